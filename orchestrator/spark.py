"""A curve in one line of text."""

from collections.abc import Sequence
from itertools import pairwise
from math import isfinite

_LEVELS = "▁▂▃▄▅▆▇█"
_BROKEN = "×"  # a value that was not finite


def sparkline(values: Sequence[float], width: int) -> str:
    """A curve from its first value to its last in at most `width` characters, low to high."""
    if not values or width < 1:
        return ""
    count = min(width, len(values))
    edges = [place * len(values) // count for place in range(count + 1)]
    parts = [_mean(values[begin:end]) for begin, end in pairwise(edges)]
    finite = [part for part in parts if part is not None]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    return "".join(_BROKEN if part is None else _level(part, low, high) for part in parts)


def _level(value: float, low: float, high: float) -> str:
    if high <= low:
        return _LEVELS[0]
    # Halves first: the distance of two finite numbers may not be one.
    share = (value / 2 - low / 2) / (high / 2 - low / 2)
    return _LEVELS[min(len(_LEVELS) - 1, int(share * len(_LEVELS)))]


def _mean(values: Sequence[float]) -> float | None:
    """The mean; None if any value is not finite, so that one NaN of a thousand is seen."""
    if not all(map(isfinite, values)):
        return None
    return sum(value / len(values) for value in values)
