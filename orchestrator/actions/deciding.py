"""Which criterion will decide next."""

from collections.abc import Sequence

from orchestrator.actions.rows import CriterionRow
from orchestrator.domain.criterion import State


def next_deciding(rows: Sequence[CriterionRow]) -> CriterionRow | None:
    """The required criterion on which a run's success hangs next; None if all are met for good.

    One that has failed comes first, since it decides the ticket whatever the others do; then the
    one whose bound is crossed earliest at the present trend, those with the least relative distance
    (first the ones that are not met so far), those that wait for their first value, those that can
    only be told at the end, and last what only a person can say.
    """
    open_ones = [row for row in rows if row.required and is_open(row)]
    return min(open_ones, key=_urgency, default=None)


def is_open(row: CriterionRow) -> bool:
    """Whether a goal can still miss, or has missed."""
    verdict = row.verdict
    return row.polarity == "positive" and (
        verdict is None
        or not (verdict.state is State.WAIVED or (verdict.state is State.MET and verdict.final))
    )


def _urgency(row: CriterionRow) -> tuple[int, float]:
    verdict = row.verdict
    if verdict is None or verdict.state is State.MANUAL:
        return 7, 0.0
    if verdict.state is State.FAILED:
        return (0 if verdict.final else 1), 0.0
    if verdict.projection is not None and verdict.projection.step is not None:
        return 2, float(verdict.projection.step)
    if verdict.margin is not None:
        return (4 if verdict.state is State.MET else 3), abs(verdict.margin) / (
            abs(verdict.value or 0.0) + abs(verdict.margin) or 1.0
        )
    return (5 if verdict.state is State.NO_DATA else 6), 0.0
