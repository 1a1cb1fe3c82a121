"""What an end before the plan spares, once nothing could change any more."""

from orchestrator.clock import format_duration
from orchestrator.domain.run import BY_US, RunRecord, StopRequest

DECIDED = "decided"  # how the reason of such a stop begins


def is_decided(stop: StopRequest | None) -> bool:
    """Whether the tool ended a run because nothing could change any more."""
    return stop is not None and stop.by == BY_US and stop.why.startswith(DECIDED)


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
