"""Memory that grows until there is none left: a leak, seen before it kills."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from orchestrator.clock import format_duration
from orchestrator.diagnose.case import Case, Curve
from orchestrator.diagnose.rules.pace import left
from orchestrator.domain.finding import Finding, Severity

_SAMPLES = 30  # below which there is no trend
_USED = 60  # samples that the trend is computed from: pairs of them are compared
_SETTLED = 0.2  # of the samples, at the begin, in which memory grows in every run
_STEADY = 0.5  # of the slope of the first half, that the second half must keep
_RISING = 0.8  # of the pairs of samples, that must rise
_NOISE = 4.0  # median deviations from the line, that the rise must exceed
_TREE, _HOST = "system/tree_memory", "system/memory_used"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trend:
    """A line through samples of memory: bytes a second, and where it is at the last of them."""

    slope: float
    now: float
    curve: Curve
    first: int


def memory_trend(case: Case) -> Iterator[Finding]:
    """A steady rise reaches the memory of the GPU or the machine before the planned end."""
    rest = None if case.ended else left(case)
    if rest is None:
        return
    for name, total in _totals(case):
        trend = _trend(case, name)
        if trend is None:
            continue
        limit = case.thresholds.memory_trend * total
        if trend.now + trend.slope * rest >= limit:
            yield _finding(trend, total=total, rest=rest, limit=limit)


def _totals(case: Case) -> Iterator[tuple[str, int]]:
    """Each series of memory in use with the size of that memory.

    Of the host the run's own processes, if the machine's memory rises with them: pages that they
    share count once for each, so that their sum alone proves nothing.
    """
    host = case.machine.host
    if host is not None and host.memory_total:
        tree = _trend(case, _TREE)
        alone = _HOST not in case.curves
        both = tree is not None and (alone or _trend(case, _HOST) is not None)
        yield _TREE if both else _HOST, host.memory_total
    for event in case.events:
        if event.name == "gpu" and event.at.attempt == case.attempt:
            total = event.data.get("memory_total")
            if isinstance(total, int) and total > 0:
                yield f"system/gpu.{event.data.get('ordinal')}.memory_used", total


def _trend(case: Case, name: str) -> _Trend | None:
    """The rise of a series in the newest attempt; None if it is weak, uneven or too short."""
    curve = case.curves.get(name)
    if curve is None:
        return None
    own = f"attempt-{case.attempt}/"
    places = [at for at in range(len(curve)) if curve.sources[at].startswith(own)]
    if len(places) < _SAMPLES:
        return None
    places = places[int(_SETTLED * len(places)) :]
    places = places[:: -(-len(places) // _USED)]
    points = [(curve.times[at], curve.values[at]) for at in places]
    half = len(points) // 2
    slope, rising = _slope(points)
    early, late = _slope(points[:half])[0], _slope(points[half:])[0]
    if min(slope, late) <= 0 or rising < _RISING or late < _STEADY * early:
        return None
    base = median(value - slope * time for time, value in points)
    noise = median(abs(value - slope * time - base) for time, value in points)
    span = points[-1][0] - points[0][0]
    if slope * span <= _NOISE * noise:
        return None
    return _Trend(slope=slope, now=base + slope * points[-1][0], curve=curve, first=places[0])


def _slope(points: list[tuple[float, float]]) -> tuple[float, float]:
    """The median slope of all pairs (Theil-Sen), and the share of pairs that rise."""
    slopes = [
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for n, earlier in enumerate(points)
        for later in points[n + 1 :]
        if later[0] > earlier[0]
    ]
    if not slopes:
        return 0.0, 0.0
    return median(slopes), sum(slope > 0 for slope in slopes) / len(slopes)


def _finding(trend: _Trend, *, total: int, rest: float, limit: float) -> Finding:
    curve, last = trend.curve, len(trend.curve) - 1
    until = max(0.0, (limit - trend.now) / trend.slope)
    hour = trend.slope * 3600
    host = not curve.name.startswith("system/gpu.")
    return Finding(
        id="memory-trend",
        subject=curve.name,
        severity=Severity.WARN,
        title=f"{curve.name} grows by {_gib(hour)} GiB/h: full in {format_duration(until)}, "
        f"{format_duration(rest)} to go",
        evidence=(curve.quote(trend.first), curve.quote(last)),
        arithmetic=f"{_gib(trend.now)} + {_gib(hour)} GiB/h × {rest / 3600:.2f} h = "
        f"{_gib(trend.now + trend.slope * rest)} ≥ {_gib(limit)} GiB, "
        f"{limit / total:.0%} of {_gib(total)}",
        meaning="Something is kept that is needed no more."
        + ("" if curve.name != _HOST else " The run's own processes do not grow with it."),
        action="Look for lists of tensors or of Python objects that grow with each step; fewer or "
        "no persistent data workers; stop at a checkpoint and resume before it is full"
        if host
        else "Log losses as numbers (loss.item()), not as tensors, which keep their graph; stop at "
        "a checkpoint and resume before it is full",
    )


def _gib(size: float) -> str:
    return f"{size / (1 << 30):.2f}"
