"""Levels, noise and excursions of a curve, by medians: a few wild points change nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

_SIGMA = 1.4826  # of a normal distribution, over its median absolute deviation
_MEDIAN_ERROR = 1.2533  # standard error of a median, over that of a mean
_WINDOW, _STRIDE, _HISTORY = 100, 25, 30  # points
_SUSTAINED = 3  # points above: one alone is the noise of a small batch


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
    """How far a stretch has moved from its first third to its last; `error` of that, one sigma."""

    first: float
    last: float
    error: float

    @property
    def change(self) -> float:
        """Last less first."""
        return self.last - self.first

    def __str__(self) -> str:
        return (
            f"{self.first:.4g} → {self.last:.4g} = {self.change:+.2g}, where noise alone gives "
            f"± {2 * self.error:.2g}"
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
    error = _MEDIAN_ERROR * noise * float((2 / third) ** 0.5)
    return Drift(first=median(first), last=median(last), error=error)


def block_medians(values: Sequence[float], size: int) -> list[float]:
    """Medians of blocks of so many values, the newest block whole."""
    offset = len(values) % size
    return [median(values[at : at + size]) for at in range(offset, len(values), size)]


def excursions(values: Sequence[float], sigmas: float) -> Iterator[Excursion]:
    """Stretches of three points or more, far above the window before them.

    Far means more than `sigmas` robust standard deviations above its median, and three times as
    far as its highest point: noise with a heavy tail shows in that.
    """
    at = _HISTORY
    while at < len(values):
        past = values[max(0, at - _WINDOW) : at]
        chunk = values[at : at + _STRIDE]
        highest = max(past)
        if max(chunk) <= highest:
            at += len(chunk)
            continue
        level, noise = median(past), noise_of(past)
        usual = max(highest, level + sigmas * noise)
        far = max(usual, level + 3 * (highest - level))
        begin = next((at + n for n, value in enumerate(chunk) if value > far), None)
        if begin is None:
            at += len(chunk)
            continue
        end = _calm_again(values, begin, usual)
        stop = len(values) if end is None else end
        if stop - begin >= _SUSTAINED:
            top = max(range(begin, stop), key=lambda place: values[place])
            yield Excursion(begin=begin, end=end, top=top, level=level, noise=noise)
        at = stop if end is not None else len(values)


def _calm_again(values: Sequence[float], begin: int, usual: float) -> int | None:
    """The first place behind `begin` from which on three points in a row are usual."""
    calm = 0
    for place in range(begin, len(values)):
        calm = calm + 1 if values[place] <= usual else 0
        if calm == _SUSTAINED:
            return place - _SUSTAINED + 1
    return None
