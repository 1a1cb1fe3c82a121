"""From the clauses of a line to the tree that is judged."""

import re
from collections.abc import Sequence

from orchestrator.criteria.expression import (
    WHOLE,
    Amount,
    Arithmetic,
    Baseline,
    Both,
    CommandResult,
    Comparison,
    Family,
    FileExists,
    Free,
    Happened,
    Logged,
    Name,
    Number,
    Output,
    Pointwise,
    Predicate,
    Reduced,
    Released,
    Scalar,
    Trend,
    Window,
)
from orchestrator.criteria.values import ABOUT
from orchestrator.criteria.vocabulary import direction_of
from orchestrator.domain.criterion import Clause, Subject

_AMOUNTS = {
    Subject.STEP: "step",
    Subject.CHECKPOINT: "checkpoints",
    Subject.DURATION: "duration",
    Subject.EXIT: "exit",
}
_COMPARISONS = frozenset([">", ">=", "<", "<=", "==", "!=", "~=", "between"])


def tree_of(clauses: Sequence[Clause]) -> Predicate | None:
    """The predicate of a line: all its clauses; None where one of them cannot be judged."""
    trees = [_tree(clause) for clause in clauses]
    if not trees or any(tree is None for tree in trees):
        return None
    parts = tuple(tree for tree in trees if tree is not None)
    return parts[0] if len(parts) == 1 else Both(parts=parts)


def _tree(clause: Clause) -> Predicate | None:
    match clause.subject:
        case Subject.METRIC:
            return _metric(clause)
        case Subject.LOG:
            return (
                Free(hazard=clause.metric) if clause.metric in {"oom", "crash", "error"} else None
            )  # type: ignore[arg-type]
        case Subject.EVENT if clause.metric:
            return Happened(event=clause.metric, absent=clause.op == "absent")
        case Subject.FILE if clause.metric:
            return FileExists(path=clause.metric)
        case Subject.OUTPUT if clause.other:
            return Output(text=clause.other, absent=clause.op == "absent")
        case Subject.COMMAND if clause.metric and clause.op in {"passes", "prints"}:
            return CommandResult(command=clause.metric, prints=clause.other)
        case Subject.RESOURCES:
            return Released()
        case Subject.CHECKPOINT if clause.op == "exists":
            return Amount(of="checkpoints", op=">=", value=Number(value=1.0))
        case _:
            return _amount(clause)


def _amount(clause: Clause) -> Predicate | None:
    of = _AMOUNTS.get(clause.subject)
    if of is None or clause.value is None or clause.op not in _COMPARISONS:
        return None
    unit = clause.unit if clause.subject is Subject.DURATION else None
    return Amount(
        of=of,  # type: ignore[arg-type]
        op=clause.op,
        value=Number(value=clause.value, unit=unit),
        value2=None if clause.value2 is None else Number(value=clause.value2, unit=unit),
        tolerance=_tolerance(clause),
    )


def _tolerance(clause: Clause) -> float | None:
    return (clause.tolerance or ABOUT) if clause.op == "~=" else None


def _metric(clause: Clause) -> Predicate | None:
    if clause.op == "absent" and clause.unit in {"nan", "inf"}:
        series = Name(text=clause.metric) if clause.metric else None
        return Free(hazard=clause.unit, series=series)  # type: ignore[arg-type]
    if clause.metric is None or (clause.change and clause.baseline is None):
        return None
    name = Name(text=clause.metric, scope=clause.qualifier)
    window = window_of(clause.anchor)
    if clause.op == "exists":
        return Logged(name=name)
    if clause.op in {"increasing", "decreasing"}:
        return Trend(name=name, direction=clause.op, window=window)  # type: ignore[arg-type]
    if clause.op not in _COMPARISONS:
        return None
    test = _test(clause, name, window)
    if clause.quantifier in {"each", "any"} and isinstance(test, Comparison | Pointwise):
        if not re.search(r"[*?\[]", clause.metric):
            return None
        return Family(quantifier=clause.quantifier, test=test)  # type: ignore[arg-type]
    return test if clause.quantifier is None else None


def _test(clause: Clause, name: Name, window: Window) -> Predicate | None:
    value = None if clause.value is None else Number(value=clause.value, unit=_unit(clause))
    value2 = None if clause.value2 is None else Number(value=clause.value2, unit=_unit(clause))
    pointwise = clause.hold or clause.aggregate == "all" or clause.aggregate == "any"
    if pointwise and value is not None and clause.baseline is None:
        mode = "hold" if clause.hold else ("all" if clause.aggregate == "all" else "any")
        return Pointwise(
            name=name, op=clause.op, value=value, value2=value2, tolerance=_tolerance(clause),
            mode=mode, hold=clause.hold, window=window,  # type: ignore[arg-type]
        )  # fmt: skip
    left = Reduced(name=name, how=clause.aggregate or "latest", window=window)
    right: Scalar | None = value
    if clause.baseline is not None:
        return _changed(clause, left)
    if clause.other is not None:
        right = Reduced(name=Name(text=clause.other), how=left.how, window=window)
    if right is None:
        return None
    return Comparison(left=left, op=clause.op, right=right, right2=value2,
                      tolerance=_tolerance(clause), total=clause.total)  # fmt: skip


def _unit(clause: Clause) -> str | None:
    return None if clause.unit in {"epochs", "iterations", "episodes", "rounds"} else clause.unit


def _changed(clause: Clause, left: Reduced) -> Predicate | None:
    """`improves by ≥ 15% over R-7` as a comparison with what that run measured."""
    if not re.fullmatch(r"R-\d+|previous", clause.baseline or "") or clause.value is None:
        return None
    base = Baseline(run=clause.baseline or "", series=clause.metric or "")
    rising = direction_of(clause.metric or "") == "max"
    value, op = clause.value, clause.op
    if clause.op not in {">", ">=", "<", "<="}:
        return None
    if clause.change == "times":
        return Comparison(left=left, op=op, right=_times(value, base))
    if clause.change == "exceeds_by" and value == 0.0:
        return Comparison(left=left, op=op, right=base)
    falls = clause.change == "reduced_by" or (clause.change == "improves_by" and not rising)
    if clause.change == "faster_by" and clause.unit == "x":
        falls, value = not rising, value if rising else 1 / value
        return Comparison(left=left, op=_mirrored(op) if falls else op, right=_times(value, base))
    if clause.unit == "%":
        right: Scalar = _times(1 - value if falls else 1 + value, base)
    else:
        right = Arithmetic(op="-" if falls else "+", left=base, right=Number(value=value))
    return Comparison(left=left, op=_mirrored(op) if falls else op, right=right)


def _times(factor: float, base: Baseline) -> Scalar:
    return Arithmetic(op="*", left=Number(value=factor), right=base)


def _mirrored(op: str) -> str:
    return {">": "<", ">=": "<=", "<": ">", "<=": ">="}[op]


_NUMBER = r"([\d.e+-]+)"


def window_of(anchor: str | None) -> Window:
    """The window that an anchor's canonical text names."""
    if anchor is None:
        return WHOLE
    if found := re.fullmatch(rf"(by|at|after) (?:([a-z]+) {_NUMBER}|{_NUMBER} ([a-z]+))", anchor):
        number = float(found[3] or found[4])
        unit = found[2] or found[5]
        if found[1] == "after":
            return Window(kind="after", low=number, unit=unit)
        return Window(kind=found[1], high=number, unit=unit)  # type: ignore[arg-type]
    if found := re.fullmatch(rf"([a-z]+)s {_NUMBER}\.\.{_NUMBER}", anchor):
        return Window(kind="between", low=float(found[2]), high=float(found[3]), unit=found[1])
    if found := re.fullmatch(rf"over last {_NUMBER} ([a-z]+?)s?", anchor):
        return Window(kind="last", high=float(found[1]), unit=found[2])
    raise ValueError(f"no anchor: {anchor!r}")
