"""The flat view of a predicate: one clause a test, for people and for JSON."""

from dataclasses import replace
from typing import Any

from orchestrator.criteria.predicates.expression import (
    Amount,
    Arithmetic,
    Baseline,
    CommandResult,
    Comparison,
    Family,
    FileExists,
    Free,
    Happened,
    Leaf,
    Logged,
    Name,
    Number,
    Output,
    Pointwise,
    Predicate,
    Reduced,
    Scalar,
    Trend,
    Window,
    leaves,
)
from orchestrator.criteria.predicates.write import (
    predicate_text,
    scalar_text,
    trend_window_text,
)
from orchestrator.domain.criterion import Clause, Subject

_MEASURES = {
    "step": (Subject.STEP, "step"),
    "checkpoints": (Subject.CHECKPOINT, "checkpoints"),
    "duration": (Subject.DURATION, "duration"),
    "exit": (Subject.EXIT, "exit_code"),
}


def flat(predicate: Predicate) -> tuple[Clause, ...]:
    """One clause for each test, from left to right; what joins them is left out."""
    return tuple(_clause(leaf) for leaf in leaves(predicate))


def _clause(leaf: Leaf) -> Clause:
    match leaf:
        case Comparison():
            return _comparison(leaf)
        case Pointwise():
            return _pointwise(leaf)
        case Family():
            return _family(leaf)
        case Trend():
            return _of_series(
                leaf.name, op=leaf.direction, aggregate="trend", anchor=_anchor(leaf.window)
            )
        case Logged():
            return _of_series(leaf.name, op="exists")
    return _of_run(leaf)


def _comparison(test: Comparison) -> Clause:
    """Series and aggregate from the left side; what stands to the right fills the other fields."""
    fields = {"op": test.op, "tolerance": test.tolerance, "total": test.total} | _right(test)
    if isinstance(test.left, Reduced):
        left = test.left
        return _of_series(left.name, aggregate=left.how, anchor=_anchor(left.window), **fields)
    return Clause(subject=Subject.METRIC, metric=scalar_text(test.left), **fields)


def _right(test: Comparison) -> dict[str, Any]:
    low, high = test.right, test.right2
    if high is None:
        return _right_fields(low)
    if isinstance(low, Number) and isinstance(high, Number):
        return {"value": low.value, "value2": high.value, "unit": low.unit}
    return {"other": f"{scalar_text(low)}..{scalar_text(high)}"}


def _right_fields(right: Scalar) -> dict[str, Any]:
    match right:
        case Number():
            return {"value": right.value, "unit": right.unit}
        case Baseline():
            return {"baseline": right.run}
        case (
            Arithmetic(op="*", left=Number() as factor, right=Baseline() as baseline)
            | Arithmetic(op="*", left=Baseline() as baseline, right=Number() as factor)
        ):
            return {"baseline": baseline.run, "change": "times", "value": factor.value}
        case Arithmetic(op="+", left=Baseline() as baseline, right=Number() as more):
            fields = {"value": more.value, "unit": more.unit}
            return {"baseline": baseline.run, "change": "exceeds_by", **fields}
    return {"other": scalar_text(right)}


def _pointwise(test: Pointwise) -> Clause:
    return _of_series(
        test.name,
        op=test.op,
        value=test.value.value,
        value2=None if test.value2 is None else test.value2.value,
        unit=test.value.unit,
        tolerance=test.tolerance,
        aggregate=None if test.mode == "hold" else test.mode,
        hold=test.hold,
        anchor=_anchor(test.window),
    )


def _family(family: Family) -> Clause:
    if family.bound is None:
        return replace(_clause(family.test), quantifier=family.quantifier)
    return Clause(
        subject=Subject.METRIC,
        metric=predicate_text(family.test),
        op=family.op,
        value=family.bound.value,
        unit=family.bound.unit,
        quantifier=family.quantifier,
    )


def _of_run(leaf: Leaf) -> Clause:
    match leaf:
        case Free(hazard="nan" | "inf"):
            series = None if leaf.series is None else leaf.series.text
            return Clause(
                subject=Subject.METRIC,
                metric=series,
                op="absent",
                unit=leaf.hazard,
                aggregate="all",
            )
        case Free():
            return Clause(subject=Subject.LOG, metric=leaf.hazard, op="absent")
        case Happened():
            op = "absent" if leaf.absent else "exists"
            return Clause(subject=Subject.EVENT, metric=leaf.event, op=op)
        case Output():
            op = "absent" if leaf.absent else "contains"
            return Clause(subject=Subject.OUTPUT, metric="output", op=op, other=leaf.text)
        case Amount():
            return _amount(leaf)
        case FileExists():
            return Clause(subject=Subject.FILE, metric=leaf.path, op="exists")
        case CommandResult():
            op = "passes" if leaf.prints is None else "prints"
            return Clause(subject=Subject.COMMAND, metric=leaf.command, op=op, other=leaf.prints)
    return Clause(subject=Subject.RESOURCES, metric="resources", op="released")


def _amount(amount: Amount) -> Clause:
    subject, metric = _MEASURES[amount.of]
    if subject is Subject.CHECKPOINT and (amount.op, amount.value.value) == (">=", 1.0):
        return Clause(subject=subject, metric=metric, op="exists")
    return Clause(
        subject=subject,
        metric=metric,
        op=amount.op,
        value=amount.value.value,
        value2=None if amount.value2 is None else amount.value2.value,
        unit="steps" if subject is Subject.STEP else amount.value.unit,
        tolerance=amount.tolerance,
    )


def _of_series(name: Name, **fields: Any) -> Clause:
    return Clause(subject=Subject.METRIC, metric=name.text, qualifier=name.scope, **fields)


def _anchor(window: Window) -> str | None:
    return trend_window_text(window) or None
