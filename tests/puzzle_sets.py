"""Small sets of puzzles with known numbers in them, for tests of what reads or orders them."""

import numpy as np

from models.puzzles import PuzzleSet, Split


def split_of(groups, side=2, vocabulary=12, seed=0):
    """A split by numbers of examples: [[2, 1], [3]] has a group of two puzzles and one of one."""
    puzzles = [examples for group in groups for examples in group]
    shape = (sum(puzzles), side**2)
    generator = np.random.default_rng(seed)
    return Split(
        inputs_NS=generator.integers(0, vocabulary, shape, dtype=np.uint8),
        labels_NS=generator.integers(1, vocabulary, shape, dtype=np.uint8),
        puzzle_identifiers_P=np.arange(1, len(puzzles) + 1, dtype=np.int32),
        puzzle_indices_P1=np.cumsum([0, *puzzles], dtype=np.int32),
        group_indices_G1=np.cumsum([0, *map(len, groups)], dtype=np.int32),
    )


def set_of(groups=((2, 1), (3,)), **changes):
    """A set whose two splits have these groups."""
    identifiers = ("<blank>", *(f"p{k}" for k in range(sum(map(len, groups)))))
    fields = {
        "name": "small",
        "kind": "arc",
        "side": 2,
        "vocabulary": 12,
        "identifiers": identifiers,
        "test_puzzles": {"t": {"train": [], "test": []}},
        "settings": {"seed": 0},
        "train": split_of(groups),
        "test": split_of(groups, seed=1),
    }
    return PuzzleSet(**(fields | changes))
