"""The state behind a verdict on a series: small, and told what it may be fed.

A fold takes effective points. `needs` says what it relies on: `SET` folds keep extremes by order,
which is a join-semilattice, so any order and any repetition will do; `NEW` folds count, so each
point must come once; `ORDER` folds need each point once and in order. A lane that cannot give
that builds the fold anew from the history of the series.
"""

import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from operator import attrgetter
from typing import ClassVar, Protocol

from orchestrator.criteria.judging.bound import Bound
from orchestrator.criteria.judging.order import Chunk, earlier, later, ordered
from orchestrator.domain.point import Point

MOST_KEPT = 100_000  # points of a `last …` window
_TIME = attrgetter("at.time")
_STEP = attrgetter("at.step")


class Need(IntEnum):
    """What a fold relies on."""

    SET = 0
    NEW = 1
    ORDER = 2


class Fold(Protocol):
    """Something that is fed chunks of effective points; `late` ones are not after all others."""

    needs: ClassVar[Need]

    def feed(self, chunk: Chunk, *, late: bool) -> None:
        """Take in points."""


@dataclass(slots=True)
class Extent:
    """First and last point, lowest and highest finite one; of equal values the earliest."""

    needs: ClassVar[Need] = Need.SET
    oldest: Point | None = None
    newest: Point | None = None
    lowest: Point | None = None
    highest: Point | None = None
    first_finite: Point | None = None
    odd: dict[str, Point] = field(default_factory=dict)  # first of each of nan, inf, -inf

    def feed(self, chunk: Chunk, *, late: bool) -> None:
        """Take in points."""
        first, last = chunk.points[0], chunk.points[-1]
        self.oldest = earlier(self.oldest, first) if late else self.oldest or first
        self.newest = later(self.newest, last) if late else last
        part: Chunk | None = chunk
        if not chunk.finite:
            self._take_odd(chunk)
            part = chunk.finite_part()
        if part is None:
            return
        first = part.points[0]
        self.first_finite = (
            earlier(self.first_finite, first) if late else self.first_finite or first
        )
        low, high = self.lowest, self.highest
        if low is None or part.low < low.value or (late and part.low == low.value):
            point = part.points[part.values.index(part.low)]
            self.lowest = point if low is None or part.low < low.value else earlier(low, point)
        if high is None or part.high > high.value or (late and part.high == high.value):
            point = part.points[part.values.index(part.high)]
            self.highest = point if high is None or part.high > high.value else earlier(high, point)

    def _take_odd(self, chunk: Chunk) -> None:
        for point in chunk.points:
            if not math.isfinite(point.value):
                name = str(point.value)
                self.odd[name] = earlier(self.odd.get(name), point)


@dataclass(slots=True)
class Hits:
    """The first point that meets a bound, and the first that does not."""

    needs: ClassVar[Need] = Need.SET
    bound: Bound
    first_good: Point | None = None
    first_bad: Point | None = None
    _test: Callable[[float], bool] = field(init=False)

    def __post_init__(self) -> None:
        """Prepare the test."""
        self._test = self.bound.test()

    def feed(self, chunk: Chunk, *, late: bool) -> None:
        """Take in points."""
        some, every = self.bound.spread(chunk.low, chunk.high) if chunk.finite else (None, None)
        if (late or self.first_good is None) and some is not False:
            self.first_good = self._first(self.first_good, chunk, wanted=True)
        if (late or self.first_bad is None) and every is not True:
            self.first_bad = self._first(self.first_bad, chunk, wanted=False)

    def _first(self, kept: Point | None, chunk: Chunk, *, wanted: bool) -> Point | None:
        test = self._test
        for point, value in zip(chunk.points, chunk.values, strict=True):
            if test(value) is wanted:
                return earlier(kept, point)
        return kept


@dataclass(slots=True)
class Hold:
    """The longest run of points in a row that meet a bound, up to the first of `length`."""

    needs: ClassVar[Need] = Need.ORDER
    bound: Bound
    length: int
    run: int = 0
    longest: int = 0
    done: Point | None = None
    _test: Callable[[float], bool] = field(init=False)

    def __post_init__(self) -> None:
        """Prepare the test."""
        self._test = self.bound.test()

    def feed(self, chunk: Chunk, *, late: bool) -> None:
        """Take in points."""
        test, run = self._test, self.run
        for point, value in zip(chunk.points, chunk.values, strict=True):
            if self.done is not None:
                return
            run = run + 1 if test(value) else 0
            self.longest = max(self.longest, run)
            if run >= self.length:
                self.done = point
        self.run = run


@dataclass(slots=True)
class Hazard:
    """Points that are NaN (`nan`) or infinite (`inf`), and how many of them were superseded."""

    needs: ClassVar[Need] = Need.NEW
    what: str
    first: Point | None = None
    count: int = 0
    lost: int = 0

    def feed(self, chunk: Chunk, *, late: bool) -> None:
        """Take in points."""
        for point in self._bad(chunk):
            self.count += 1
            self.first = earlier(self.first, point)

    def lose(self, chunk: Chunk) -> None:
        """Take note of superseded points."""
        self.lost += len(self._bad(chunk))

    def _bad(self, chunk: Chunk) -> list[Point]:
        if chunk.finite:
            return []
        test = math.isnan if self.what == "nan" else math.isinf
        return [point for point in chunk.points if test(point.value)]


@dataclass(slots=True)
class Recent:
    """The newest points: so many `point`s, or those of the newest so many steps or seconds."""

    needs: ClassVar[Need] = Need.SET
    limit: float
    unit: str
    points: list[Point] = field(default_factory=list)

    def feed(self, chunk: Chunk, *, late: bool) -> None:
        """Take in points."""
        self.points.extend(chunk.points)
        if late:
            self.points = ordered(self.points)
        points = self.points
        most = MOST_KEPT + 1
        if self.unit == "point":
            most = min(most, int(self.limit))
        elif self.unit == "step":
            del points[: bisect_right(points, points[-1].at.step - self.limit, key=_STEP)]
        else:
            newest = max(map(_TIME, points))  # not that of the last point: a clock may go back
            self.points = points = [p for p in points if p.at.time > newest - self.limit]
        del points[: max(0, len(points) - most)]

    @property
    def clipped(self) -> bool:
        """Whether the window holds more points than are kept."""
        return len(self.points) > MOST_KEPT
