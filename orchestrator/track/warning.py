"""The one rule of this package: nothing here may end or delay the training."""

import sys
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

LONGEST = 500  # characters of an exception; torch lists all its backends in some

_given: set[str] = set()


def warn_once(topic: str, message: str) -> None:
    """Say `message` on stderr unless something was said about `topic` before; never raises."""
    if topic in _given or len(_given) > 100:
        return
    _given.add(topic)
    with suppress(Exception):  # stderr may be closed; training goes on all the same
        sys.stderr.write(f"exp track: {message}\n")


def describe(error: BaseException) -> str:
    """One line about an exception, even one whose text cannot be had."""
    try:
        return f"{type(error).__name__}: {error}".partition("\n")[0][:LONGEST]
    except Exception:  # noqa: BLE001 - a broken __str__ must not hide the error itself
        return type(error).__name__


def harmless(function: Callable[P, T]) -> Callable[P, T | None]:
    """Make `function` warn once and return None where it would raise."""

    @wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> T | None:
        try:
            return function(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - tracking must never hurt training
            warn_once(function.__name__, f"{function.__name__} failed: {describe(error)}")
            return None

    return guarded
