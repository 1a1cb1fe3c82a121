"""Loops that numpy cannot express, compiled by numba, and random numbers for them.

Random numbers are splitmix64 over (seed, stream, number): what is made with number n depends on
nothing else, so neither the machine, nor a version of numpy or numba, nor how the work is shared
out changes a byte.

Importing this costs 0.3 s (numba), and the first call of a kernel its compilation. numba keeps the
result in NUMBA_CACHE_DIR, beside the source or in the user's cache folder; where none of them can
be written it compiles again in each process. A kept result follows changes of its own file only:
kernels that call each other, these generators aside, live in one file.
"""

from collections.abc import Callable
from typing import TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

Ints = NDArray[np.int64]
State = NDArray[np.uint64]
Kernel = TypeVar("Kernel", bound=Callable[..., object])

_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_27, _30, _31, _32 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(32)


def compiled(kernel: Kernel) -> Kernel:
    """Compile on first call; keep the result on disk where any folder for it can be written to."""
    try:
        return cast("Kernel", njit(nogil=True, cache=True)(kernel))
    except RuntimeError:  # numba found no such folder
        return cast("Kernel", njit(nogil=True)(kernel))


@compiled
def _mix(z: np.uint64) -> np.uint64:
    """The finaliser of splitmix64 (Steele, Lea and Flood 2014)."""
    z = (z ^ (z >> _30)) * _MIX_1
    z = (z ^ (z >> _27)) * _MIX_2
    return z ^ (z >> _31)


@compiled
def generator(seed: int, stream: int, number: int) -> State:
    """State of the generator of one number of one stream."""
    state = np.empty(1, np.uint64)
    key = _mix(np.uint64(seed) + np.uint64(stream) * _STEP)
    state[0] = _mix(key + np.uint64(number) * _STEP)
    return state


@compiled
def below(state: State, bound: int) -> int:
    """A random integer in [0, bound)."""
    state[0] += _STEP
    return int(((_mix(state[0]) >> _32) * np.uint64(bound)) >> _32)


@compiled
def shuffled(state: State, count: int) -> Ints:
    """A random order of 0..count - 1."""
    items = np.arange(count)
    for last in range(count - 1, 0, -1):
        other = below(state, last + 1)
        items[last], items[other] = items[other], items[last]
    return items
