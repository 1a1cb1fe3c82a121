"""How far training is, how fast it goes, and when it will be done."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_WINDOWS = 12
_FEWEST_WINDOWS = 3
_SKEW = 60.0  # seconds by which ranks, or their clocks, may be apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far training is. `speed` is steps per second, `eta` the seconds left, low and high.

    `method` says how speed and eta were measured. `epoch_steps` are the steps of an epoch. None
    means unknown, never zero.
    """

    step: int | None = None
    planned: int | None = None
    elapsed: float | None = None
    speed: float | None = None
    eta: tuple[float, float] | None = None
    method: str | None = None
    eval_share: float | None = None
    epoch_steps: float | None = None


def pace(times: Sequence[tuple[int, float]], planned: int | None) -> Progress:
    """Speed and time left from (step, time) pairs, pauses such as evaluations included.

    The recent half of the time is cut into windows; the middle half of their speeds makes the
    range. Too few points, or no progress, leave both unknown.
    """
    highest = max((step for step, _ in times), default=None)
    forward = _forward(times)
    speeds = _window_speeds(forward)
    if highest is None or len(speeds) < _FEWEST_WINDOWS:
        return Progress(step=highest, planned=planned)
    low, middle, high = statistics.quantiles(speeds, n=4, method="inclusive")
    left = None if planned is None else max(0, planned - highest)
    return Progress(
        step=highest,
        planned=planned,
        speed=middle or None,
        eta=(left / high, left / low) if left and low > 0 else None,
        method=f"median and middle half of {len(speeds)} windows of wall time",
    )


def _forward(times: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """The last stretch in which steps and times both grow: the present attempt.

    Of several ranks that log one step, a little apart, the first counts.
    """
    stretch: list[tuple[int, float]] = []
    for step, when in times:
        if stretch:
            before, then = stretch[-1]
            if step == before or (step > before and then - _SKEW < when < then):
                continue
            if step < before or when < then:
                stretch = []
        stretch.append((step, when))
    return stretch


def _window_speeds(forward: Sequence[tuple[int, float]]) -> list[float]:
    if len(forward) < 2:
        return []
    begin, end = forward[len(forward) // 4][1], forward[-1][1]
    width = (end - begin) / _WINDOWS
    if width <= 0:
        return []
    edges: list[tuple[int, float]] = []
    for step, when in forward:
        if when >= (edges[-1][1] + width if edges else begin):
            edges.append((step, when))
    return [(b[0] - a[0]) / (b[1] - a[1]) for a, b in pairwise(edges)]
