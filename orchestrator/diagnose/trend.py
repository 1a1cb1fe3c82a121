"""Levels, noise and excursions of a curve, by medians: a few wild points change nothing."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

_SIGMA = 1.4826  # of a normal distribution, over its median absolute deviation
_MEDIAN_ERROR = 1.2533  # standard error of a median, over that of a mean
_WINDOW, _STRIDE, _HISTORY = 100, 25, 30  # points
_IN_A_ROW = 3  # points: one alone is the noise of a small batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Excursion:
    """A stretch that stands out above what was usual before it; `end` is None if it lasts.

    `level` and `noise` are those of the points before, `top` the place of the highest point.
    """

    begin: int
    end: int | None
    top: int
    level: float
    noise: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How far a stretch has moved from its first third to its last.

    `noise` is what that may come to (three standard errors) where nothing moves.
    """

    first: float
    last: float
    noise: float

    @property
    def change(self) -> float:
        """Last less first."""
        return self.last - self.first

    def __str__(self) -> str:
        return (
            f"{self.first:.4g} → {self.last:.4g} = {self.change:+.2g}, where noise alone gives "
            f"± {self.noise:.2g}"
        )


def noise_of(values: Sequence[float]) -> float:
    """Robust standard deviation."""
    middle = median(values)
    return _SIGMA * median([abs(value - middle) for value in values])


def drift_of(values: Sequence[float]) -> Drift:
    """From the first third to the last, of at least three values."""
    third = max(1, len(values) // 3)
    first, last = values[:third], values[-third:]
    noise = max(noise_of(first), noise_of(last))
    noise *= 3 * _MEDIAN_ERROR * math.sqrt(2 / third)
    return Drift(first=median(first), last=median(last), noise=noise)


def block_medians(values: Sequence[float], size: int) -> list[float]:
    """Medians of blocks of so many values, the newest block whole."""
    offset = len(values) % size
    return [median(values[at : at + size]) for at in range(offset, len(values), size)]


def excursions(values: Sequence[float], sigmas: float) -> Iterator[Excursion]:
    """Stretches that begin with three points in a row above the window before them.

    Above means by more than `sigmas` robust standard deviations over its median and higher than
    all of it, and for the first point three times as far as that: noise with a heavy tail shows
    in the window. It is over where three points in a row are within three standard deviations.
    """
    at = _HISTORY
    while at < len(values):
        past = values[max(0, at - _WINDOW) : at]
        stop = min(at + _STRIDE, len(values))
        highest = max(past)
        if max(values[at:stop]) <= highest:
            at = stop
            continue
        level, noise = median(past), noise_of(past)
        usual = max(highest, level + sigmas * noise)
        far = max(usual, level + 3 * (highest - level))
        above = (n for n in range(at, stop) if values[n] > far)
        begin = next((n for n in above if min(values[n : n + _IN_A_ROW]) > usual), None)
        if begin is None:
            at = stop
            continue
        end = _calm_again(values, begin, level + 3 * noise)
        at = len(values) if end is None else end
        top = max(range(begin, at), key=lambda place: values[place])
        yield Excursion(begin=begin, end=end, top=top, level=level, noise=noise)


def _calm_again(values: Sequence[float], begin: int, usual: float) -> int | None:
    """The first place behind `begin` from which on three points in a row are usual."""
    calm = 0
    for place in range(begin, len(values)):
        calm = calm + 1 if values[place] <= usual else 0
        if calm == _IN_A_ROW:
            return place - _IN_A_ROW + 1
    return None
