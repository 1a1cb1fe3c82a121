"""How far and how fast a run is, as several families of rules need it. Times in seconds."""

from orchestrator.clock import format_duration
from orchestrator.diagnose.case import Case, Curve, Hit, Hits
from orchestrator.domain.hardware import is_sampled


def gpus_of(case: Case) -> int:
    """How many GPUs the run has leased."""
    return int(case.record.resources.get("gpus") or 0)


def gpu_hours(case: Case, seconds: float) -> str:
    """`2 GPUs × 1.50 h = 3.00 GPU-hours`, or the duration of a run without GPUs."""
    count, hours = gpus_of(case), seconds / 3600
    if count == 0:
        return format_duration(seconds)
    return f"{count} GPU{'s' * (count != 1)} × {hours:.2f} h = {count * hours:.2f} GPU-hours"


def programs(case: Case) -> list[Curve]:
    """The series that the programs logged, without samples of the hardware."""
    return [curve for name, curve in case.curves.items() if not is_sampled(name) and len(curve)]


def silence(case: Case) -> float | None:
    """Time since the newest point of a program, or since the attempt began if that is later.

    None if nobody knows when it began.
    """
    if case.started is None:
        return None
    last = max((curve.times[-1] for curve in programs(case)), default=case.started)
    return max(0.0, case.now - max(last, case.started))


def left(case: Case) -> float | None:
    """Time that the planned rest takes by the pace of the newest attempt.

    None without a plan, or before two points that are apart. Evaluations are part of the pace.
    """
    planned, done, started = case.record.planned_steps, case.max_step, case.started
    if planned is None or done is None or started is None or done >= planned:
        return None
    best = 0.0
    for curve in programs(case):
        first = next((at for at, time in enumerate(curve.times) if time >= started), None)
        if first is None or curve.times[-1] <= curve.times[first]:
            continue
        steps, seconds = curve.steps[-1] - curve.steps[first], curve.times[-1] - curve.times[first]
        best = max(best, steps / seconds)
    return (planned - done) / best if best > 0 else None


def hits_of(case: Case, kind: str) -> list[Hit]:
    """Log lines of a kind that the newest attempt wrote, in their order."""
    found = case.hits.get(kind, Hits(total=0, first=()))
    return [hit for hit in found.shown if hit.attempt == case.attempt]
