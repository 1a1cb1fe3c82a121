"""In which order the examples of a split are trained on, and parts of a split.

Shapes: N examples, P puzzles, G groups as in models/puzzles.py.
"""

from bisect import bisect_right
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.puzzles import Split

Order = Literal["groups", "examples"]


def philox(seed: int, number: int) -> np.random.Generator:
    """The random numbers of one pass, step or part of a whole that has a seed; both below 2**64."""
    # As a list, a large and a small number would become floats on their way in.
    return np.random.Generator(np.random.Philox(key=np.array([seed, number], np.uint64)))


class Passes:
    """An endless stream of the numbers 0 to count - 1: pass after pass, each in a random order.

    The generator of a pass is Philox(seed, pass), so a position in the stream is one number to
    save: `window` gives the same numbers however the stream is cut, in whatever process.
    """

    def __init__(self, count: int, seed: int) -> None:
        if not 0 <= seed < 2**64:
            raise ValueError(f"seed={seed}: choose one from 0 to 2**64 - 1")
        self._count, self._seed = count, seed
        self._starts = [0]  # where pass k starts in the stream, as far as it was asked for
        self._read = (-1, np.empty(0, np.int64))  # the pass that was read last

    def window(self, first: int, count: int) -> NDArray[np.int64]:
        """The numbers [count] at first, first + 1, … of the stream."""
        parts, end = [np.empty(0, np.int64)], first + count
        while first < end:
            number = self._pass_of(first)
            if self._read[0] != number:
                self._read = (number, self._order(philox(self._seed, number)))
            start, order = self._starts[number], self._read[1]
            parts.append(order[first - start : end - start])
            first += len(parts[-1])
        return np.concatenate(parts)

    def _pass_of(self, position: int) -> int:
        while self._starts[-1] < position:
            generator = philox(self._seed, len(self._starts) - 1)
            self._starts.append(self._starts[-1] + self._length(generator))
        return bisect_right(self._starts, position) - 1

    def _length(self, _generator: np.random.Generator) -> int:
        """How many numbers the pass of this generator has."""
        return self._count

    def _order(self, generator: np.random.Generator) -> NDArray[np.int64]:
        """The numbers of the pass of this generator."""
        return generator.permutation(self._count)


class Stream(Passes):
    """An endless stream of examples that is a function of the split, the order and the seed.

    "examples": pass after pass, each all examples in a random order. "groups", the originals'
    epoch: pass after pass, each all groups in a random order, of every group ONE puzzle (an
    augmentation) drawn at random, all its examples in their order.
    """

    def __init__(self, split: Split, order: Order, seed: int) -> None:
        if order not in ("groups", "examples"):
            raise ValueError(f'order={order!r}: choose "groups" or "examples"')
        super().__init__(split.examples, seed)
        self._split, self._by_group = split, order == "groups"
        self._lengths_P = np.diff(split.puzzle_indices_P1)

    def _length(self, _generator: np.random.Generator) -> int:
        if self._by_group:
            return int(self._lengths_P[self._drawn(_generator)].sum())
        return super()._length(_generator)

    def _order(self, generator: np.random.Generator) -> NDArray[np.int64]:
        if self._by_group:
            return _examples_of(self._split, generator.permutation(self._drawn(generator)))
        return super()._order(generator)

    def _drawn(self, generator: np.random.Generator) -> NDArray[np.int64]:
        """One puzzle of each group, [G]."""
        starts, ends = self._split.group_indices_G1[:-1], self._split.group_indices_G1[1:]
        return generator.integers(starts, ends)


def steps_of(epochs: int, split: Split, batch: int) -> int:
    """Optimizer steps in so many epochs, as the originals count them.

    An epoch shows each group once, and a group counts as many examples as a puzzle has on average.
    """
    return int(epochs * split.groups * (split.examples / split.puzzles) / batch)


def fast_groups(split: Split, share: float, seed: int) -> NDArray[np.int64]:
    """Numbers of a share of the groups for a quick validation, drawn at random, in rising order.

    At random, because neighbours in a split are alike: its first tenth is no sample of it.

    Raises:
        ValueError: the share is not above 0 and up to 1.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share={share}: choose a share of the groups above 0 and up to 1")
    chosen = philox(seed, 0).permutation(split.groups)[: max(1, round(share * split.groups))]
    return np.sort(chosen)


def take(split: Split, groups: NDArray[np.int64]) -> Split:
    """The split of these groups alone, in the given order, with all their puzzles and examples."""
    puzzles = _ranges(split.group_indices_G1, groups)
    examples = _examples_of(split, puzzles)
    return Split(
        inputs_NS=split.inputs_NS[examples],
        labels_NS=split.labels_NS[examples],
        puzzle_identifiers_P=split.puzzle_identifiers_P[puzzles],
        puzzle_indices_P1=_indices(split.puzzle_indices_P1, puzzles),
        group_indices_G1=_indices(split.group_indices_G1, groups),
    )


def _examples_of(split: Split, puzzles: NDArray[np.int64]) -> NDArray[np.int64]:
    return _ranges(split.puzzle_indices_P1, puzzles)


def _ranges(indices: NDArray[np.int32], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """indices[r], …, indices[r + 1] - 1 for each row r, one after the other."""
    starts = indices[rows].astype(np.int64)
    lengths = indices[rows + 1] - starts
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(lengths.sum())


def _indices(indices: NDArray[np.int32], rows: NDArray[np.int64]) -> NDArray[np.int32]:
    lengths = indices[rows + 1] - indices[rows]
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
