"""The order of training: endless, the same however it is cut, each pass complete."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from puzzle_sets import set_of, split_of

from models.puzzles import read_split, write
from models.stream import Stream, fast_groups, steps_of, take

GROUPS = st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=4), min_size=1, max_size=6)
ORDERS = st.sampled_from(["groups", "examples"])
RAGGED = [[2, 2, 2], [1], [3, 1], [1, 4], [2]]


@given(groups=GROUPS, order=ORDERS, seed=st.integers(0, 2**64 - 1), data=st.data())
def test_a_window_is_the_same_however_it_is_cut(groups, order, seed, data):
    """Whole, in pieces, backwards or from a stream just opened: one position, one example."""
    split = split_of(groups)
    cuts = sorted(data.draw(st.lists(st.integers(0, 80), min_size=2, max_size=6)))
    first, last = cuts[0], cuts[-1]
    whole = Stream(split, order, seed).window(first, last - first)
    stream = Stream(split, order, seed)
    ranges = list(pairwise(cuts))
    pieces = [stream.window(a, b - a) for a, b in ranges]
    assert np.array_equal(np.concatenate(pieces), whole)
    backwards = [stream.window(a, b - a) for a, b in reversed(ranges)]
    assert np.array_equal(np.concatenate(backwards[::-1]), whole)
    assert whole.dtype == np.int64
    assert len(whole) == last - first


@given(groups=GROUPS, seed=st.integers(0, 1000), number=st.integers(0, 50))
def test_a_pass_over_examples_is_a_permutation(groups, seed, number):
    """Each pass shows every example once."""
    split = split_of(groups)
    shown = Stream(split, "examples", seed).window(number * split.examples, split.examples)
    assert sorted(shown) == list(range(split.examples))


@given(groups=GROUPS, seed=st.integers(0, 1000))
def test_a_pass_over_groups_shows_one_puzzle_of_each(groups, seed):
    """Each group once in a pass, with all examples of one of its puzzles in their order."""
    split = split_of(groups)
    stream, position = Stream(split, "groups", seed), 0
    for _ in range(3):
        seen = []
        while len(seen) < split.groups:
            (first,) = stream.window(position, 1)
            puzzle = int(np.searchsorted(split.puzzle_indices_P1, first, side="right")) - 1
            start, end = split.puzzle_indices_P1[puzzle : puzzle + 2]
            assert stream.window(position, end - start).tolist() == list(range(start, end))
            seen.append(int(np.searchsorted(split.group_indices_G1, puzzle, side="right")) - 1)
            position += end - start
        assert sorted(seen) == list(range(split.groups))


def test_every_puzzle_of_a_group_is_as_likely():
    """Over many passes the augmentations of a group are shown equally often."""
    split = split_of([[1, 1, 1, 1], [1]])
    found = np.bincount(Stream(split, "groups", 0).window(0, 20_000)) / 20_000
    assert found[4] == 0.5
    assert np.allclose(found[:4], 0.125, atol=0.01)


@pytest.mark.parametrize("order", ["groups", "examples"])
def test_passes_and_seeds_differ(order):
    """Neither the next pass nor another seed repeats an order."""
    split = split_of([[1]] * 50)
    first, second = (Stream(split, order, 0).window(k * 50, 50).tolist() for k in (0, 1))
    other = Stream(split, order, 1).window(0, 50).tolist()
    assert first != second
    assert first != other
    assert first != list(range(50))


@pytest.mark.parametrize("seed", [2**63, 2**64 - 1])
def test_large_seeds_are_told_apart(seed):
    """A seed that does not fit into a float is not rounded to its neighbour."""
    split = split_of([[1]] * 50)
    orders = [Stream(split, "examples", s).window(0, 50).tolist() for s in (seed, seed - 1)]
    assert orders[0] != orders[1]


def test_the_order_is_fixed_for_ever():
    """A checkpoint saves one number, so the stream must not change with the code."""
    split = split_of(RAGGED)
    groups = [1, 16, 17, 7, 8, 9, 11, 2, 3, 6, 0, 1]
    assert Stream(split, "groups", 7).window(1000, 12).tolist() == groups
    examples = [9, 17, 16, 14, 11, 4, 1, 0, 0, 7, 9, 4]
    assert Stream(split, "examples", 7).window(1000, 12).tolist() == examples


def test_a_resumed_stream_finds_its_place():
    """Among forty million examples too, a window is what its neighbours say it is."""
    split, far = split_of([[3, 1, 4]] * 400), 40_000_000
    resumed, next_ones = Stream(split, "groups", 0).window(far, 64), Stream(split, "groups", 0)
    assert np.array_equal(next_ones.window(far + 1, 63), resumed[1:])
    assert next_ones.window(far, 1) == resumed[0]


def test_a_stream_reads_a_folder(tmp_path):
    """Arrays that are mapped from files give the same stream as those in memory."""
    made = set_of()
    write(tmp_path / "s", made)
    read = Stream(read_split(tmp_path / "s", "train"), "groups", 3)
    assert np.array_equal(read.window(0, 50), Stream(made.train, "groups", 3).window(0, 50))


@pytest.mark.parametrize(("order", "seed"), [("puzzles", 0), ("groups", -1), ("groups", 2**64)])
def test_a_stream_refuses_what_it_cannot_do(order, seed):
    """Unknown orders and seeds are told as such."""
    with pytest.raises(
        ValueError, match="order='puzzles'" if seed == 0 else f"seed={seed}: choose"
    ):
        Stream(split_of(RAGGED), order, seed)


@pytest.mark.parametrize(
    ("epochs", "groups", "batch", "steps"),
    [
        (50_000, [[1] * 3] * 1000, 768, 65_104),  # TRM on Sudoku-Extreme-1k, as its README says
        (10, [[3, 1], [2, 2]], 3, 13),
        (10_000, [[4]] * 814 + [[5]] * 146, 768, 51_901),
    ],
)
def test_steps_are_counted_as_by_the_originals(epochs, groups, batch, steps):
    """Epochs of groups, each as long as a puzzle on average, cut to whole steps."""
    assert steps_of(epochs, split_of(groups), batch) == steps


@given(groups=GROUPS, share=st.floats(0.01, 1), seed=st.integers(0, 100))
def test_a_part_for_validation_has_the_asked_size(groups, share, seed):
    """Different groups in rising order, their number rounded, at least one."""
    split = split_of(groups)
    chosen = fast_groups(split, share, seed).tolist()
    assert chosen == sorted(set(chosen))
    assert len(chosen) == max(1, round(share * len(groups)))
    assert set(chosen) <= set(range(len(groups)))
    assert fast_groups(split, share, seed).tolist() == chosen


def test_a_part_for_validation_is_drawn_from_everywhere():
    """Every group is as likely to be in it: the first tenth is not preferred."""
    split = split_of([[1]] * 40)
    chosen = np.concatenate([fast_groups(split, 0.1, seed) for seed in range(2000)])
    assert len(chosen) == 8000
    assert np.allclose(np.bincount(chosen) / 8000, 1 / 40, atol=0.01)


@pytest.mark.parametrize("share", [0, -0.5, 1.01, float("nan")])
def test_a_share_that_is_none_is_refused(share):
    """A share is above 0 and up to 1."""
    with pytest.raises(ValueError, match="above 0 and up to 1"):
        fast_groups(split_of(RAGGED), share, 0)


@given(groups=GROUPS, data=st.data())
def test_taking_groups_keeps_all_that_is_in_them(groups, data):
    """The groups in the asked order, with their puzzles, identifiers, inputs and labels."""
    split = split_of(groups)
    chosen = data.draw(st.permutations(range(len(groups))))[
        : data.draw(st.integers(1, len(groups)))
    ]
    part = take(split, np.array(chosen))
    assert sizes_of(part) == [groups[g] for g in chosen]
    rows, ids = [], []
    for g in chosen:
        for p in range(*split.group_indices_G1[g : g + 2]):
            ids.append(split.puzzle_identifiers_P[p])
            rows += range(*split.puzzle_indices_P1[p : p + 2])
    assert part.puzzle_identifiers_P.tolist() == ids
    assert np.array_equal(part.inputs_NS, split.inputs_NS[rows])
    assert np.array_equal(part.labels_NS, split.labels_NS[rows])


def sizes_of(split):
    """The numbers of examples, as `split_of` takes them."""
    examples = np.diff(split.puzzle_indices_P1)
    return [part.tolist() for part in np.split(examples, split.group_indices_G1[1:-1])]
