"""How long a run will take, before it ran: what decides whether it is rehearsed first."""

from orchestrator.clock import format_duration
from orchestrator.domain.rehearse import Rehearse
from orchestrator.domain.run import RunRecord


def estimate_of(
    record: RunRecord, rehearse: Rehearse, last_seconds: float | None
) -> tuple[float, str] | None:
    """The expected length in seconds and where it is known from; None where nothing tells.

    What the spec says wins, then `last_seconds` (an earlier run of the same plan), then the
    tightest limit or budget, which a run can at most use up.
    """
    if rehearse.estimate is not None:
        return rehearse.estimate, f"rehearse.estimate is {format_duration(rehearse.estimate)}"
    if last_seconds is not None:
        return last_seconds, f"the last run took {format_duration(last_seconds)}"
    limits = _limits(record)
    if not limits:
        return None
    seconds, name = min(limits)
    return seconds, f"{name} allows {format_duration(seconds)}"


def _limits(record: RunRecord) -> list[tuple[float, str]]:
    """Every bound on the length of the run with its key in the spec."""
    gpus, hours = record.resources.get("gpus"), record.budget.gpu_hours
    limits = [
        (record.resources.get("time_limit"), "resources.time_limit"),
        (record.budget.wall, "budget.wall"),
        (hours * 3600 / gpus if hours and gpus else None, "budget.gpu_hours"),
    ]
    return [(float(seconds), name) for seconds, name in limits if seconds is not None]
