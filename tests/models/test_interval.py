"""The interval around a share."""

import tracemalloc

import numpy as np
import pytest

from models.interval import bootstrap, intervals


def test_the_interval_is_that_of_a_share():
    """Of 400 tasks 30% solved the interval is about 1.96 standard errors wide each way."""
    low, high = bootstrap(np.repeat([1.0, 0.0], [120, 280]))
    error = 1.96 * np.sqrt(0.3 * 0.7 / 400)
    assert low == pytest.approx(0.3 - error, abs=0.003)
    assert high == pytest.approx(0.3 + error, abs=0.003)


def test_the_interval_is_seeded_and_has_no_width_without_spread():
    """The same seed gives the same interval; equal values give themselves."""
    values = np.random.default_rng(0).random(30)
    assert bootstrap(values, 3) == bootstrap(values, 3) != bootstrap(values, 4)
    assert bootstrap(np.ones(7)) == (1, 1)


def test_the_interval_is_that_of_drawing_values_themselves():
    """Its ends are those of a plain bootstrap, index by index, of values that are no shares."""
    values = np.random.default_rng(1).exponential(size=200)
    drawn = np.random.default_rng(2).integers(200, size=(20_000, 200))
    plain = np.percentile(values[drawn].mean(1), (2.5, 97.5))
    assert bootstrap(values) == pytest.approx(tuple(plain), abs=0.02)


def test_many_puzzles_take_little_memory():
    """Half a million puzzles: no table of all draws, and an interval as narrow as it must be."""
    solved = np.arange(500_000) % 4 == 0
    tracemalloc.start()
    low, high = bootstrap(solved)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 * 2**20
    assert 0.248 < low < 0.25 < high < 0.252


def test_every_share_gets_both_ends():
    """One pair of names for each score."""
    found = intervals({"exact": np.array([0, 1, 1]), "valid": np.ones(3, bool)})
    assert set(found) == {"exact/low", "exact/high", "valid/low", "valid/high"}
    assert (found["valid/low"], found["valid/high"]) == (1, 1)
    assert found["exact/low"] < 2 / 3 < found["exact/high"]
