"""How far a mean over a sample of puzzles may be from that over all such puzzles."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.stream import philox

_RESAMPLES = 2000


def bootstrap(values_K: NDArray[Any], seed: int = 0) -> tuple[float, float]:
    """The 95% percentile interval of the mean, by drawing as many values with replacement.

    What is drawn is how often each different value comes up, which is the same in distribution as
    K draws of values. So it takes memory and time by the number of different values, not by K:
    half a million puzzles, each solved or not, cost as much as ten.
    """
    different_U, counts_U = np.unique(values_K.astype(np.float64), return_counts=True)
    drawn = philox(seed, 0).multinomial(len(values_K), counts_U / len(values_K), size=_RESAMPLES)
    low, high = np.percentile(drawn @ different_U / len(values_K), (2.5, 97.5))
    return float(low), float(high)


def intervals(credits_K: dict[str, NDArray[Any]]) -> dict[str, float]:
    """`NAME/low` and `NAME/high` of what each of the K puzzles scores, for each name."""
    return {
        f"{name}/{end}": value
        for name, values_K in credits_K.items()
        for end, value in zip(("low", "high"), bootstrap(values_K), strict=True)
    }
