"""The one order of points, and pieces of a series in that order.

Points are ordered by Position: attempt, segment, step, time, source, line. A point is *superseded*
when a newer segment of its series begins at its step or before; the others are *effective*. In
this order the steps of effective points never fall, from one segment to the next they rise.
"""

import math
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import attrgetter, lt
from typing import TypeAlias

from orchestrator.criteria.predicates.expression import Window
from orchestrator.domain.point import Point

Segment: TypeAlias = tuple[int, int]
Key: TypeAlias = tuple[int, int, int, float, str, int, bool, float]

segment_of = attrgetter("at.attempt", "at.segment")
_STEP = attrgetter("at.step")


def key_of(point: Point) -> Key:
    """The total order; the last two settle records that claim the same place."""
    at, value = point.at, point.value
    nan = math.isnan(value)
    return (
        at.attempt,
        at.segment,
        at.step,
        at.time,
        at.source,
        at.line,
        nan,
        0.0 if nan else value,
    )


def earlier(kept: Point | None, point: Point) -> Point:
    """Of two points the first in order."""
    return point if kept is None or key_of(point) < key_of(kept) else kept


def later(kept: Point | None, point: Point) -> Point:
    """Of two points the last in order."""
    return point if kept is None or key_of(point) > key_of(kept) else kept


def ordered(points: Iterable[Point]) -> list[Point]:
    """Each point once, in order."""
    every = sorted(points, key=key_of)
    return [
        point
        for place, point in enumerate(every)
        if place == 0 or key_of(point) != key_of(every[place - 1])
    ]


def runs(points: list[Point]) -> Iterator[list[Point]]:
    """Points in order, those of each segment together."""
    if len(set(map(segment_of, points))) == 1:
        steps = list(map(_STEP, points))
        if all(map(lt, steps, steps[1:])):  # the common case: a file that grows
            yield points
            return
    for _, group in groupby(ordered(points), key=segment_of):
        yield list(group)


class Chunk:
    """Points of one segment in order, with what several monitors ask of them."""

    __slots__ = ("finite", "high", "low", "points", "values")

    def __init__(self, points: list[Point]) -> None:
        self.points = points
        self.values = values = [point.value for point in points]
        self.finite = all(map(math.isfinite, values))
        self.low = min(values) if self.finite else math.nan
        self.high = max(values) if self.finite else math.nan

    def within(self, window: Window, origin: float) -> "Chunk | None":
        """The part in a window of steps, or of seconds since `origin`; None if there is none."""
        if window.kind in {"whole", "last"}:
            return self
        if window.unit == "s":
            kept = [p for p in self.points if inside(window, p.at.time - origin)]
        else:
            ends = (self.points[0].at.step, self.points[-1].at.step)
            if all(inside(window, step) for step in ends):
                return self
            kept = [point for point in self.points if inside(window, point.at.step)]
        return Chunk(kept) if kept else None

    def finite_part(self) -> "Chunk | None":
        """The points that are neither NaN nor infinite."""
        kept = [point for point in self.points if math.isfinite(point.value)]
        return Chunk(kept) if kept else None


def inside(window: Window, place: float) -> bool:
    """Whether a step or a time lies in a window; `between` holds both its ends."""
    low, high = window.low, window.high
    if low is not None and (place < low or (place == low and window.kind != "between")):
        return False
    return high is None or place <= high
