"""When the tool itself asks a run to stop."""

from collections.abc import Sequence

from orchestrator.clock import format_duration
from orchestrator.criteria import decided
from orchestrator.domain.criterion import State, Verdict
from orchestrator.domain.run import BY_US, RunRecord, StopRequest

_DECIDED = "decided"


def stop_reason(
    record: RunRecord, verdicts: Sequence[Verdict], *, elapsed: float, idle: float
) -> str | None:
    """Say why a running run must stop now, or None. `elapsed` and `idle` are in seconds."""
    return _by_verdicts(record, verdicts) or _by_budget(record, elapsed, idle)


def is_decided(stop: StopRequest | None) -> bool:
    """Whether the tool ended a run because nothing could change any more."""
    return stop is not None and stop.by == BY_US and stop.why.startswith(_DECIDED)


def time_left(record: RunRecord, max_step: int | None, elapsed: float) -> float | None:
    """Seconds that the planned rest would take at the pace so far; None without plan or pace."""
    planned = record.planned_steps
    if planned is None or max_step is None or not 0 < max_step < planned:
        return None
    return elapsed * (planned - max_step) / max_step


def saved_words(record: RunRecord, stop: StopRequest | None) -> str | None:
    """`about 12.3 GPU-hours saved`, for a run that ended early because it was decided."""
    if stop is None or stop.saved is None or not is_decided(stop):
        return None
    spared = format_duration(stop.saved)
    gpus = int(record.resources.get("gpus") or 0)
    if gpus == 0:
        return f"about {spared} saved"
    each = f"{gpus} GPU{'s' * (gpus != 1)} for {spared}"
    return f"about {stop.saved / 3600 * gpus:.2g} GPU-hours saved ({each})"


def _by_verdicts(record: RunRecord, verdicts: Sequence[Verdict]) -> str | None:
    if record.stop_when == "never":
        return None
    for criterion, verdict in zip(record.criteria, verdicts, strict=True):
        if criterion.required and verdict.final and verdict.state is State.FAILED:
            return f"{_DECIDED}: {criterion.text!r} has failed for good"
    if record.stop_when == "decided" and decided(record.criteria, verdicts):
        return f"{_DECIDED}: no required criterion can change any more"
    return None


def used_up(record: RunRecord, *, elapsed: float, idle: float) -> str | None:
    """The first limit that is used up, such as `wall budget of 8 h 00 min`; None while all hold."""
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
            return f"{name} of {format_duration(limit)}"
    return None


def _by_budget(record: RunRecord, elapsed: float, idle: float) -> str | None:
    limit = used_up(record, elapsed=elapsed, idle=idle)
    return None if limit is None else f"{limit} is used up"


def _wall_of(gpu_hours: float | None, gpus: int) -> float | None:
    return None if gpu_hours is None or gpus == 0 else gpu_hours * 3600 / gpus
