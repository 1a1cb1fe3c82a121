"""Puzzles as arrays, in memory and in the folder layout of HRM, TRM and URM.

Shapes: N examples, P puzzles (one augmentation of one original each), G groups (originals),
S cells of a canvas. Token 0 is padding, and as a label it means "not scored".
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["arc", "sudoku", "maze"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Examples of one split; those of puzzle p are puzzle_indices[p] to puzzle_indices[p + 1].

    Likewise the puzzles of group g are group_indices[g] to group_indices[g + 1].
    """

    inputs_NS: NDArray[np.uint8]
    labels_NS: NDArray[np.uint8]
    puzzle_identifiers_P: NDArray[np.int32]
    puzzle_indices_P1: NDArray[np.int32]
    group_indices_G1: NDArray[np.int32]

    @property
    def examples(self) -> int:
        """Number of examples N."""
        return len(self.inputs_NS)

    def identifiers_N(self) -> NDArray[np.int32]:  # noqa: N802 - the suffix is the shape
        """The identifier of each example."""
        return np.repeat(self.puzzle_identifiers_P, np.diff(self.puzzle_indices_P1))


@dataclass(frozen=True, slots=True, kw_only=True)
class PuzzleSet:
    """A generated set: two splits and what they were made from.

    `identifiers` names every identifier; the first is "<blank>". `test_puzzles` holds the raw
    tasks of an ARC evaluation. `settings` is what the generator was asked for.
    """

    name: str
    kind: Kind
    side: int
    vocabulary: int
    identifiers: tuple[str, ...]
    train: Split
    test: Split
    test_puzzles: dict[str, Any]
    settings: dict[str, Any]
