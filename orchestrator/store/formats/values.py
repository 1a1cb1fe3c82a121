"""Values as JSON, CSV and logs write them → numbers of the index, or None."""

import math
from typing import Any

_NAMES = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
INT64 = 1 << 63
LATEST = 1e18  # seconds; times beyond it, and NaN, are no times
_EARLIEST_WALL = 1e8  # seconds since 1970; less is a duration


def as_step(value: Any) -> int | None:
    """A step of 64 bits; floats without a fraction are steps too."""
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and -INT64 <= value < INT64 else None


def as_time(value: Any) -> float | None:
    """A time in seconds since 1970."""
    number = as_number(value) if type(value) in {int, float} else None
    return number if number is not None and -LATEST < number < LATEST else None


def as_wall_time(value: Any) -> float | None:
    """A time that cannot be a duration: what other programs call `time` is either."""
    time = as_time(value)
    return time if time is not None and time > _EARLIEST_WALL else None


def as_number(value: Any) -> float | None:
    """A number, a bool, or one of the three names of what is not finite."""
    if isinstance(value, str):
        return _NAMES.get(value)
    if not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def read_number(text: str) -> float | None:
    """A number as CSV writes it."""
    text = text.strip()
    if "_" in text:
        return None  # Python's own spelling of thousands
    try:
        return float(text)
    except ValueError:
        return None


def read_step(text: str) -> int | None:
    """A step as CSV writes it: `12`, `12.0`."""
    number = read_number(text)
    return None if number is None or not math.isfinite(number) else as_step(number)


def is_text(value: str) -> bool:
    """Whether a name can be stored."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
