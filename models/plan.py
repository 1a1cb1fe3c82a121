"""What one segment of a recurrent core does, as data: a list of calls.

HRM 2506.21734 sec. 2, TRM 2510.04871 sec. 4 and URM 2512.14693 sec. 3 differ in nothing else
but their sizes; models/hrm.py, trm.py, urm.py and direct.py write their plans.
"""

from collections.abc import Collection
from dataclasses import dataclass

QUESTION = "x"  # the embedded question among the sources of a call


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """target <- module(sum of sources), summed in their order.

    A call that is not `graded` runs without a graph. After a call with `read` the heads are read.
    """

    module: str
    target: str
    sources: tuple[str, ...]
    graded: bool
    read: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopPlan:
    """What one segment does, as data. The heads read the state `answer`, after the last call too.

    `states` live from one segment to the next.
    """

    states: tuple[str, ...]
    answer: str
    calls: tuple[Call, ...]


def validate(plan: LoopPlan, modules: Collection[str]) -> None:
    """Refuse a plan that cannot be run with these modules, or that would train nothing.

    Raises:
        ValueError: says which call, state or module is wrong.
    """
    if not plan.calls:
        raise ValueError("loop plan: it has no calls")
    if QUESTION in plan.states or len(set(plan.states)) < len(plan.states):
        raise ValueError(f"loop plan: states {plan.states} must differ, and {QUESTION!r} is taken")
    if plan.answer not in plan.states:
        raise ValueError(f"loop plan: the answer {plan.answer!r} is none of {plan.states}")
    if idle := set(modules) - {call.module for call in plan.calls}:
        raise ValueError(f"loop plan: no call of the modules {sorted(idle)}")
    if not any(QUESTION in call.sources for call in plan.calls):
        raise ValueError(f"loop plan: no call has the question {QUESTION!r} among its sources")
    graded = False
    for number, call in enumerate(plan.calls):
        _validate_call(f"loop plan: call {number}", call, plan, modules)
        if call.target == plan.answer:
            graded = call.graded
        if (call.read or number == len(plan.calls) - 1) and not graded:
            raise ValueError(
                f"loop plan: after call {number} the heads read {plan.answer!r}, which no graded"
                " call has made: grade the last call before it whose target it is"
            )


def _validate_call(where: str, call: Call, plan: LoopPlan, modules: Collection[str]) -> None:
    if call.module not in modules:
        raise ValueError(f"{where} names the module {call.module!r}, none of {sorted(modules)}")
    if call.target not in plan.states:
        raise ValueError(f"{where} has the target {call.target!r}, none of {plan.states}")
    if not call.sources or (unknown := set(call.sources) - {QUESTION, *plan.states}):
        named = sorted(unknown) if call.sources else "nothing"
        raise ValueError(f"{where} has {named} as source: name {QUESTION!r} or {plan.states}")
