"""When the tool itself asks a run to stop."""

from collections.abc import Sequence

from orchestrator.clock import format_duration
from orchestrator.criteria import decided
from orchestrator.domain.criterion import State, Verdict
from orchestrator.domain.run import TIME_LIMIT, RunRecord
from orchestrator.watch.saving import DECIDED
from orchestrator.watch.spending import Spent


def stop_reason(
    record: RunRecord, verdicts: Sequence[Verdict], *, used: Spent, idle: float
) -> str | None:
    """Say why a running run must stop now, or None; `idle` is in seconds."""
    limit = record.resources.get("time_limit")
    return (
        by_verdicts(record, verdicts)
        or _over(TIME_LIMIT, limit, used.attempt)
        or used_up(record, used)
        or _over("idle budget", record.budget.idle, idle)
    )


def used_up(record: RunRecord, used: Spent) -> str | None:
    """Which budget of the whole run is spent, in words; None if none is."""
    budget = spent_budget(record, used)
    return None if budget is None else f"{budget} is used up"


def spent_budget(record: RunRecord, used: Spent) -> str | None:
    """The budget that is spent, such as `wall budget of 8 h 00 min`; None while all hold."""
    budget = record.budget
    if budget.gpu_hours is not None and used.gpu_hours > budget.gpu_hours:
        return f"GPU budget of {budget.gpu_hours:g} GPU-hours"
    if budget.wall is not None and used.wall > budget.wall:
        return f"wall budget of {format_duration(budget.wall)}"
    return None


def by_verdicts(record: RunRecord, verdicts: Sequence[Verdict]) -> str | None:
    """Why the verdicts end a run, if its spec wants that; None if they do not."""
    if record.stop_when == "never":
        return None
    for criterion, verdict in zip(record.criteria, verdicts, strict=True):
        if criterion.required and verdict.final and verdict.state is State.FAILED:
            return f"{DECIDED}: {criterion.text!r} has failed for good"
    if record.stop_when == "decided" and decided(record.criteria, verdicts):
        return f"{DECIDED}: no required criterion can change any more"
    return None


def _over(name: str, limit: float | None, used: float) -> str | None:
    if limit is None or used <= limit:
        return None
    return f"{name} of {format_duration(limit)} is used up"
