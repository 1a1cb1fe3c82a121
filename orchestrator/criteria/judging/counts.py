"""Folds that count: sums, percentiles and slopes that are the same for every order of points.

Sums are exact integers in units of 2**-1074, the smallest float, and are rounded once, at the end.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import ClassVar

from orchestrator.criteria.judging.folds import Need
from orchestrator.criteria.judging.order import Chunk
from orchestrator.domain.point import Point

_SHIFT = 1074
_WIDTH = math.log(1.002)  # of a bucket; its middle is within 0.1% of all its values
_SIDE = 500_000  # added to the logarithm's bucket, so that negative values sort before zero
_LARGEST = math.log(1.7976e308)


def exact(value: float) -> int:
    """A finite float in units of 2**-1074."""
    over, under = value.as_integer_ratio()
    return over << (_SHIFT + 1 - under.bit_length())


@dataclass(slots=True)
class Count:
    """How many points there are."""

    needs: ClassVar[Need] = Need.NEW
    count: int = 0

    def feed(self, chunk: Chunk, *, late: bool) -> None:
        """Take in points."""
        self.count += len(chunk.points)


@dataclass(slots=True)
class Tally:
    """The exact sum; one NaN makes the mean NaN."""

    needs: ClassVar[Need] = Need.NEW
    count: int = 0
    total: int = 0
    odd: float = 0.0  # the sum of what is not finite: ±∞ or NaN

    def feed(self, chunk: Chunk, *, late: bool) -> None:
        """Take in points."""
        self.count += len(chunk.points)
        part = chunk if chunk.finite else chunk.finite_part()
        if part is not None:
            self.total += sum(map(exact, part.values))
        if part is not chunk:
            self.odd += sum(value for value in chunk.values if not math.isfinite(value))

    @property
    def mean(self) -> float | None:
        """The mean, rounded once; None without points."""
        if not self.count:
            return None
        return self.total / (self.count << _SHIFT) if self.odd == 0 else self.odd


@dataclass(slots=True)
class Buckets:
    """A histogram of logarithms: percentiles to within 0.1% of the value."""

    needs: ClassVar[Need] = Need.NEW
    counts: Counter[int] = field(default_factory=Counter)
    count: int = 0
    nans: int = 0

    def feed(self, chunk: Chunk, *, late: bool) -> None:
        """Take in points."""
        self.count += len(chunk.points)
        values: Sequence[float] = chunk.values
        if not chunk.finite:
            values = [value for value in values if not math.isnan(value)]
            self.nans += len(chunk.values) - len(values)
        self.counts.update(map(_bucket, values))

    def percentile(self, percent: Fraction) -> float | None:
        """About the nearest-rank percentile; NaN if any value is, None without points."""
        if not self.count or self.nans:
            return math.nan if self.count else None
        missing = nearest_rank(percent, self.count)
        for bucket in sorted(self.counts):
            missing -= self.counts[bucket]
            if missing <= 0:
                return _middle(bucket)
        raise AssertionError("the rank is at most the count")


def _bucket(value: float) -> int:
    if value == 0:
        return 0
    if math.isinf(value):
        return int(math.copysign(2 * _SIDE, value))
    place = _SIDE + math.floor(math.log(abs(value)) / _WIDTH)
    return place if value > 0 else -place


def _middle(bucket: int) -> float:
    if bucket == 0:
        return 0.0
    if abs(bucket) == 2 * _SIDE:
        return math.copysign(math.inf, bucket)
    size = math.exp(min(_LARGEST, (abs(bucket) - _SIDE + 0.5) * _WIDTH))
    return math.copysign(size, bucket)


def nearest_rank(percent: Fraction, count: int) -> int:
    """The rank, from 1, of a percentile among so many values."""
    return max(1, math.ceil(percent * count / 100))


def percentile_of(values: Sequence[float], percent: Fraction) -> float | None:
    """The nearest-rank percentile; NaN if any value is, None without values."""
    if not values or any(map(math.isnan, values)):
        return math.nan if values else None
    return sorted(values)[nearest_rank(percent, len(values)) - 1]


@dataclass(slots=True)
class Below:
    """How many values lie below a number, and how many on it: decides a percentile exactly."""

    needs: ClassVar[Need] = Need.NEW
    number: float
    below: int = 0
    equal: int = 0
    count: int = 0

    def feed(self, chunk: Chunk, *, late: bool) -> None:
        """Take in points."""
        number, values = self.number, chunk.values
        self.count += len(values)
        if chunk.finite and chunk.high < number:
            self.below += len(values)
        elif not (chunk.finite and chunk.low > number):
            self.below += sum(value < number for value in values)
            self.equal += values.count(number)

    def side(self, percent: Fraction) -> int:
        """-1, 0 or 1: the nearest-rank percentile lies below the number, on it, or above it."""
        rank = nearest_rank(percent, self.count)
        if rank <= self.below:
            return -1
        return 0 if rank <= self.below + self.equal else 1


@dataclass(slots=True)
class Slope:
    """Exact sums for the line of least squares through (step, value)."""

    needs: ClassVar[Need] = Need.NEW
    count: int = 0
    odd: int = 0
    _x: int = 0
    _xx: int = 0
    _y: int = 0
    _xy: int = 0

    def feed(self, chunk: Chunk, *, late: bool) -> None:
        """Take in points."""
        part = chunk if chunk.finite else chunk.finite_part()
        self.odd += len(chunk.points) - (0 if part is None else len(part.points))
        for point in [] if part is None else part.points:
            self._take(point)

    def _take(self, point: Point) -> None:
        step, value = point.at.step, exact(point.value)
        self.count += 1
        self._x += step
        self._xx += step * step
        self._y += value
        self._xy += step * value

    @property
    def per_step(self) -> float | None:
        """The slope; None where all points stand at one step."""
        under = self.count * self._xx - self._x * self._x
        if under == 0:
            return None
        over = self.count * self._xy - self._x * self._y
        try:
            return over / (under << _SHIFT)
        except OverflowError:
            return math.copysign(math.inf, over)
