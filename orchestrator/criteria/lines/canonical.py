"""From the clauses of a line to the tree that is judged."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from orchestrator.criteria.lines.vocabulary import COUNTERS, direction_of
from orchestrator.criteria.predicates.expression import (
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
    Hazard,
    Logged,
    Name,
    Not,
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
from orchestrator.domain.criterion import Clause, Subject

_AMOUNTS: dict[Subject, Literal["step", "checkpoints", "duration", "exit"]] = {
    Subject.STEP: "step",
    Subject.CHECKPOINT: "checkpoints",
    Subject.DURATION: "duration",
    Subject.EXIT: "exit",
}
_TRACES: dict[str | None, Hazard] = {"oom": "oom", "crash": "crash", "error": "error"}
# Units that the name of a counter says already: `epoch >= 20`.
_SPELLED_OUT = frozenset(f"{counter}s" for counter in COUNTERS)
_COMPARISONS = frozenset({">", ">=", "<", "<=", "==", "!=", "~=", "between"})
_TRENDS = frozenset({"increasing", "decreasing"})
_MIRRORED = {">": "<", ">=": "<=", "<": ">", "<=": ">="}
_NUMBER = r"([\d.e+-]+)"
_PLACE = re.compile(rf"(by|at|after) (?:([a-z]+) {_NUMBER}|{_NUMBER} ([a-z]+))")
_BETWEEN = re.compile(rf"([a-z]+)s {_NUMBER}\.\.{_NUMBER}")
_LAST = re.compile(rf"over last {_NUMBER} ([a-z]+?)s?")


def tree_of(clauses: Sequence[Clause]) -> Predicate | None:
    """The predicate of a line: all its clauses; None where one of them cannot be judged."""
    parts = tuple(tree for clause in clauses if (tree := _tree(clause)) is not None)
    if not parts or len(parts) < len(clauses):
        return None
    return parts[0] if len(parts) == 1 else Both(parts=parts)


def _tree(clause: Clause) -> Predicate | None:
    match clause.subject:
        case Subject.METRIC:
            return _metric(clause)
        case Subject.LOG if clause.metric in _TRACES:
            return _unless(clause, Free(hazard=_TRACES[clause.metric]))
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


def _unless(clause: Clause, free: Free) -> Predicate:
    """An alarm says that the hazard is there."""
    return Not(part=free) if clause.op == "exists" else free


def _amount(clause: Clause) -> Predicate | None:
    of = _AMOUNTS.get(clause.subject)
    if of is None or clause.value is None or clause.op not in _COMPARISONS:
        return None
    unit = clause.unit if clause.subject is Subject.DURATION else None
    return Amount(
        of=of,
        op=clause.op,
        value=Number(value=clause.value, unit=unit),
        value2=None if clause.value2 is None else Number(value=clause.value2, unit=unit),
        tolerance=_tolerance(clause),
    )


def _tolerance(clause: Clause) -> float | None:
    return (clause.tolerance or ABOUT) if clause.op == "~=" else None


def _metric(clause: Clause) -> Predicate | None:
    if clause.op in {"absent", "exists"} and clause.unit in {"nan", "inf"}:
        series = Name(text=clause.metric) if clause.metric else None
        hazard: Hazard = "nan" if clause.unit == "nan" else "inf"
        return _unless(clause, Free(hazard=hazard, series=series))
    if clause.metric is None or (clause.change and clause.baseline is None):
        return None
    name = Name(text=clause.metric, scope=clause.qualifier)
    window = window_of(clause.anchor)
    if window.kind == "at" and (clause.op in _TRENDS or _mode(clause) is not None):
        return None  # one point has no trend, and is not every point
    if clause.op == "exists":
        return Logged(name=name)
    if clause.op == "increasing":
        return Trend(name=name, direction="increasing", window=window)
    if clause.op == "decreasing":
        return Trend(name=name, direction="decreasing", window=window)
    if clause.op not in _COMPARISONS:
        return None
    test = _test(clause, name, window)
    if clause.quantifier is None:
        return test
    named = clause.quantifier in {"each", "any"} and re.search(r"[*?\[]", clause.metric)
    if not named or not isinstance(test, Comparison | Pointwise):
        return None
    return Family(quantifier="each" if clause.quantifier == "each" else "any", test=test)


def _test(clause: Clause, name: Name, window: Window) -> Predicate | None:
    unit = None if clause.unit in _SPELLED_OUT else clause.unit
    value = None if clause.value is None else Number(value=clause.value, unit=unit)
    value2 = None if clause.value2 is None else Number(value=clause.value2, unit=unit)
    mode = _mode(clause)
    if mode is not None and value is not None and clause.baseline is None:
        return Pointwise(
            name=name,
            op=clause.op,
            value=value,
            value2=value2,
            tolerance=_tolerance(clause),
            mode=mode,
            hold=clause.hold,
            window=window,
        )
    left = Reduced(name=name, how=clause.aggregate or "latest", window=window)
    if clause.baseline is not None:
        return _changed(clause, left)
    right: Scalar | None = value
    if clause.other is not None:
        right = Reduced(name=Name(text=clause.other), how=left.how, window=window)
    if right is None:
        return None
    tolerance = _tolerance(clause)
    return Comparison(
        left=_quotient(left),
        op=clause.op,
        right=right,
        right2=value2,
        tolerance=tolerance,
        total=clause.total,
    )


def _quotient(value: Reduced) -> Scalar:
    """`eval/loss / train/loss` is two series, each reduced alike."""
    sides = value.name.text.split(" / ")
    if len(sides) != 2:
        return value
    left, right = (replace(value, name=replace(value.name, text=side.strip("`"))) for side in sides)
    return Arithmetic(op="/", left=left, right=right)


def _mode(clause: Clause) -> Literal["all", "any", "hold"] | None:
    """How single points are tested; None for a test of one value."""
    if clause.hold:
        return "hold"
    if clause.aggregate == "all":
        return "all"
    return "any" if clause.aggregate == "any" else None


def _changed(clause: Clause, left: Reduced) -> Predicate | None:
    """`improves by ≥ 15% over R-7` as a comparison with what that run measured."""
    run, metric, value, op = clause.baseline, clause.metric, clause.value, clause.op
    if run is None or metric is None or value is None or op not in _MIRRORED:
        return None
    if not re.fullmatch(r"R-\d+|previous", run):
        return None
    base = Baseline(run=run, series=metric)
    if clause.change == "times":
        return Comparison(left=left, op=op, right=_times(value, base))
    if clause.change == "exceeds_by" and value == 0.0:
        return Comparison(left=left, op=op, right=base)
    rising = direction_of(metric) == "max"
    falls = clause.change == "reduced_by" or (clause.change == "improves_by" and not rising)
    right: Scalar
    if clause.unit == "x":
        if value <= 0:
            return None
        falls = falls or (clause.change == "faster_by" and not rising)
        right = _times(1 / value if falls else value, base)
    elif clause.unit == "%":
        right = _times(1 - value if falls else 1 + value, base)
    else:
        right = Arithmetic(op="-" if falls else "+", left=base, right=Number(value=value))
    return Comparison(left=left, op=_MIRRORED[op] if falls else op, right=right)


def _times(factor: float, base: Baseline) -> Scalar:
    return Arithmetic(op="*", left=Number(value=factor), right=base)


def window_of(anchor: str | None) -> Window:
    """The window that an anchor's canonical text names."""
    if anchor is None:
        return WHOLE
    if found := _PLACE.fullmatch(anchor):
        number, unit = float(found[3] or found[4]), found[2] or found[5]
        if found[1] == "after":
            return Window(kind="after", low=number, unit=unit)
        return Window(kind="by" if found[1] == "by" else "at", high=number, unit=unit)
    if found := _BETWEEN.fullmatch(anchor):
        return Window(kind="between", low=float(found[2]), high=float(found[3]), unit=found[1])
    if found := _LAST.fullmatch(anchor):
        return Window(kind="last", high=float(found[1]), unit=found[2])
    raise ValueError(f"no anchor: {anchor!r}")
