"""When the tool itself asks a run to stop."""

from collections.abc import Sequence

from orchestrator.clock import format_duration
from orchestrator.criteria import decided
from orchestrator.domain.criterion import State, Verdict
from orchestrator.domain.run import RunRecord


def stop_reason(
    record: RunRecord, verdicts: Sequence[Verdict], *, elapsed: float, idle: float
) -> str | None:
    """Say why a running run must stop now, or None. `elapsed` and `idle` are in seconds."""
    return _by_verdicts(record, verdicts) or _by_budget(record, elapsed, idle)


def _by_verdicts(record: RunRecord, verdicts: Sequence[Verdict]) -> str | None:
    if record.stop_when == "never":
        return None
    for criterion, verdict in zip(record.criteria, verdicts, strict=True):
        if criterion.required and verdict.final and verdict.state is State.FAILED:
            return f"decided: {criterion.text!r} has failed for good"
    if record.stop_when == "decided" and decided(record.criteria, verdicts):
        return "decided: no required criterion can change any more"
    return None


def _by_budget(record: RunRecord, elapsed: float, idle: float) -> str | None:
    budget = record.budget
    gpus = int(record.resources.get("gpus") or 0)
    time_limit = record.resources.get("time_limit")
    limits = (
        ("time limit", time_limit, elapsed),
        ("wall budget", budget.wall, elapsed),
        ("idle budget", budget.idle, idle),
        ("GPU budget", _wall_of(budget.gpu_hours, gpus), elapsed),
    )
    for name, limit, used in limits:
        if limit is not None and used > limit:
            return f"{name} of {format_duration(limit)} is used up"
    return None


def _wall_of(gpu_hours: float | None, gpus: int) -> float | None:
    return None if gpu_hours is None or gpus == 0 else gpu_hours * 3600 / gpus
