"""Steps 6 and 8: SIGTERM saves within half the grace, and nothing outlives the programs."""

from collections.abc import Sequence

from orchestrator.domain.finding import Quote
from orchestrator.domain.rehearsal import Plan, RehearsalStep, StageFacts
from orchestrator.domain.run import REQUEUE
from orchestrator.rehearsal.checks.causes import ending, remedy
from orchestrator.rehearsal.checks.steps import Judgement, not_asked

SHARED = "shared memory: "  # how a leftover begins that only its time ascribes to a stage
_TERM = 15
_SAVE = "check run.should_stop() after each step: save a checkpoint, then exit with code 75"


def check_termination(terminated: StageFacts, plan: Plan) -> RehearsalStep:
    """Whether a program that is told to end saves what it has trained, in time."""
    if not terminated.asked:
        return not_asked(6, plan)
    found = Judgement(6, plan, terminated)
    after, saved = terminated.terminated_after, terminated.saved_after
    newest = max(terminated.saved, key=lambda each: each.checkpoint.time, default=None)
    if terminated.ended_by is not None and not terminated.pace:
        found.fail(
            f"it logged no step within {plan.budget:.0f} s that could have been interrupted",
            remedy(terminated, "train"),
        )
    elif terminated.ended_by is not None:
        found.fail(f"SIGTERM is ignored: it lived on for the grace of {plan.grace:g} s", _SAVE)
    elif after is None:
        how = ending(terminated, plan.budget) or "ended by itself"
        found.fail(
            f"it {how} before SIGTERM was sent", remedy(terminated, "train"), terminated.error
        )
    elif saved is None:
        found.fail(
            f"it ended {after:.1f} s after SIGTERM{_code(terminated)} without saving: what was "
            f"trained {_since(terminated)} is lost",
            _SAVE,
        )
    elif newest is not None and newest.problem is not None:
        found.fail(
            f"SIGTERM left a torn checkpoint of step {newest.checkpoint.step:,}: {newest.problem}",
            "write it completely before run.checkpoint(...)",
            Quote(source=terminated.folder, text=f"{newest.checkpoint.path}: {newest.problem}"),
        )
    else:
        _in_time(found, terminated, saved, plan)
    return found.step(
        f"saved {saved or 0.0:.1f} s after SIGTERM, ended after {after or 0.0:.1f} s"
        f"{_code(terminated)}; half the grace are {plan.grace / 2:g} s"
    )


def _in_time(found: Judgement, terminated: StageFacts, saved: float, plan: Plan) -> None:
    if saved > plan.grace / 2:
        found.fail(
            f"saving took {saved:.1f} s after SIGTERM, more than half the grace: "
            f"{plan.grace / 2:g} s",
            f"raise stop.grace to {2 * saved:.0f} s or more, look at run.should_stop() more often, "
            "or save less",
        )
    ended = terminated.exit
    accepted = ended is not None and (ended.code in (0, REQUEUE, 128 + _TERM))
    if not accepted and (ended is None or ended.signal != _TERM):
        found.fail(
            f"it saved, and then {ending(terminated, plan.budget)}",
            "exit with code 75 after saving, so that it is started again",
            terminated.error,
        )
    elif ended is not None and ended.code != REQUEUE:
        found.note("exit code 75 would ask to be started again; this one does not")


def _code(terminated: StageFacts) -> str:
    ended = terminated.exit
    if ended is None:
        return ""
    code = f" with exit code {ended.code}"
    return code if ended.signal is None else f" by signal {ended.signal}"


def _since(terminated: StageFacts) -> str:
    steps = [each.checkpoint.step for each in terminated.saved]
    return f"since step {max(steps):,}" if steps else "until then"


def check_teardown(stages: Sequence[StageFacts], plan: Plan) -> RehearsalStep:
    """Whether anything of the stages is left: processes, shared memory, GPU memory.

    Shared memory that appeared during one stage alone may be another program's of the same user.
    """
    found = Judgement(8, plan)
    again = sum(any(map(_is_shared, stage.leftovers)) for stage in stages) > 1
    left = [
        Quote(source=stage.log, text=f"{stage.name}: {each}")
        for stage in stages
        for each in stage.leftovers
    ]
    if left:
        more = f" and {len(left) - 1} more" if len(left) > 1 else ""
        sure = again or not all(_is_shared(each) for stage in stages for each in stage.leftovers)
        perhaps = "" if sure else "; perhaps another program's, as it was seen once"
        (found.fail if sure else found.warn)(
            f"left behind by {left[0].text}{more}{perhaps}",
            "close loaders and process groups at the end: their workers hold memory",
            *left,
        )
    return found.step(f"nothing is left of {len(stages)} executions", 0.0)


def _is_shared(leftover: str) -> bool:
    return leftover.startswith(SHARED)
