"""Generated sets of Sudoku: puzzles with one solution each, train and test of different classes.

A set is a walk over numbered candidates (models/sudoku_solver.py), each with exactly one solution,
proved by search, in an order that depends on the seed alone. A candidate is dropped if its clues
were there before; otherwise its class decides where it goes: all puzzles of one class are in the
same split. The class is the canonical form of the solution, so no test puzzle can be turned into a
training puzzle, or even into one with the same solution, by a symmetry of Sudoku (the rule of
Sudoku-Extreme, which compares puzzles, is weaker). A class that is new goes to the split that is
further from its number.

4 x 4 is an exception: its 288 full grids are 2 classes, so there the class is the solution itself,
symmetries connect training with test, and training forms by symmetry are refused. 6 x 6 has 49
classes, so its test set is a few classes that training never saw. Shapes, tokens: models/sudoku.py.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from math import ceil
from typing import Any, NamedTuple

import numpy as np

from models.puzzles import PuzzleSet, Split
from models.sudoku import BOXES, Digits
from models.sudoku_solver import generate
from models.sudoku_symmetry import augment, canonical

GIVENS = {4: (6, 9), 6: (8, 16), 9: (30, 38)}  # fewest and most, where nobody says
CHUNK = 128  # puzzles that a chunk of candidates is cut down to
HOPELESS = 1000  # candidates of which none was kept
PATIENCE = 30  # candidates tried for each puzzle asked for, at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Sudoku:
    """What a set is generated from.

    Fields:
        side: 4, 6 or 9.
        givens: fewest and most clues. Each candidate draws its number from this range and keeps
            more, up to the most, where fewer would allow a second solution.
        train, test: numbers of puzzles.
        augmentations: forms of each training puzzle, the unchanged one first; 1 is none, and all
            that 4 x 4 allows (see the module).
        hardest: keep only this share, those with most guesses of the solver; None keeps all. For
            9 x 9: the solver needs none for nearly all smaller puzzles.
        seed: of everything.

    Raises:
        ValueError: a value that no set can be generated from.
    """

    side: int
    givens: tuple[int, int]
    train: int
    test: int
    augmentations: int = 1
    hardest: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        low, high = self.givens
        _demand(self.side in BOXES, f"side={self.side}: sizes are 4, 6 and 9")
        _demand(
            0 <= low <= high < self.side**2,
            f"givens={low}..{high}: wanted low <= high < {self.side**2} cells",
        )
        _demand(self.train > 0, f"train={self.train}: wanted at least one puzzle")
        _demand(self.test > 0, f"test={self.test}: wanted at least one puzzle")
        _demand(self.augmentations > 0, f"augmentations={self.augmentations}: 1 means none")
        _demand(
            self.side > 4 or self.augmentations == 1,
            "augmentations: all 4 x 4 grids are forms of two, so training would see the answers"
            " of the test; use augmentations=1 or a larger side",
        )
        _demand(
            self.hardest is None or 0 < self.hardest < 1,
            f"hardest={self.hardest}: wanted a share between 0 and 1, or nothing",
        )
        _demand(0 <= self.seed < 2**63, f"seed={self.seed}: wanted 0 <= seed < 2**63")

    @property
    def name(self) -> str:
        """Like sudoku-6x6-givens8-16-5000x16-seed0, with -hardest0.05 where only those are kept."""
        low, high = self.givens
        kept = "" if self.hardest is None else f"-hardest{self.hardest:g}"
        size = f"{self.side}x{self.side}-givens{low}-{high}{kept}"
        return f"sudoku-{size}-{self.train}x{self.augmentations}-seed{self.seed}"

    @property
    def settings(self) -> dict[str, Any]:
        """All fields, as JSON has them."""
        return asdict(self) | {"givens": list(self.givens)}


def usual_givens(side: int) -> tuple[int, int]:
    """Fewest and most clues of a set for which nobody said how many.

    Raises:
        ValueError: there is no Sudoku of this side.
    """
    _demand(side in GIVENS, f"side={side}: sizes are 4, 6 and 9")
    return GIVENS[side]


class _Puzzle(NamedTuple):
    """Clues and solution [2, S], and the class of the solution."""

    grids_2S: Digits
    key: bytes


def _demand(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)


def build(config: Sudoku, workers: int | None = None) -> PuzzleSet:
    """Generate a set, on all cores or on this many; the result does not depend on them.

    Raises:
        ValueError: there are not enough puzzles of this description.
    """
    train_P2S, test_P2S = _collect(config, workers or len(os.sched_getaffinity(0)))
    forms_PK2S = augment(train_P2S, config.augmentations, config.seed, config.side)
    return PuzzleSet(
        name=config.name,
        kind="sudoku",
        side=config.side,
        vocabulary=config.side + 2,
        identifiers=("<blank>",),
        train=_split(forms_PK2S),
        test=_split(test_P2S[:, None]),
        test_puzzles={},
        settings=config.settings,
    )


def _collect(config: Sudoku, workers: int) -> tuple[Digits, Digits]:
    """The puzzles of both splits, each [P, 2, S]."""
    wanted = {"train": config.train, "test": config.test}
    found: dict[str, list[Digits]] = {"train": [], "test": []}
    split_of: dict[bytes, str] = {}
    seen: set[bytes] = set()
    for puzzle in _walk(config, workers):
        clues = puzzle.grids_2S[0].tobytes()
        if clues in seen:
            continue
        seen.add(clues)
        behind = min(wanted, key=lambda split: len(found[split]) / wanted[split])
        split = split_of.setdefault(puzzle.key, behind)
        if len(found[split]) < wanted[split]:
            found[split].append(puzzle.grids_2S)
        if all(len(found[split]) == wanted[split] for split in wanted):
            return np.stack(found["train"]), np.stack(found["test"])
    counts = ", ".join(f"{len(found[split])} of {wanted[split]} for {split}" for split in wanted)
    raise ValueError(
        f"{config.name}: {len(seen)} different puzzles gave {counts};"
        " ask for fewer, or widen givens"
    )


def _walk(config: Sudoku, workers: int) -> Iterator[_Puzzle]:
    """Puzzles of the description in the order of their numbers."""
    share = config.hardest or 1.0
    size = ceil(CHUNK / share)
    last = ceil(PATIENCE * (config.train + config.test) / share)
    kept = 0
    with ThreadPoolExecutor(workers) as pool:
        for first in range(0, last, size * workers):
            starts = range(first, min(first + size * workers, last), size)
            for chunk in pool.map(partial(_chunk, config, size), starts):
                kept += len(chunk)
                yield from chunk
            if not kept and starts.stop >= min(HOPELESS, last):
                low, high = config.givens
                raise ValueError(
                    f"givens={low}..{high}: none of {starts.stop} candidates was kept, as next to"
                    " none has one solution with so few; raise the upper end"
                )


def _chunk(config: Sudoku, size: int, first: int) -> list[_Puzzle]:
    """The hardest share of the candidates first..first + size - 1, in order of their numbers."""
    clues_NS, answers_NS, guesses_N = generate(config.seed, first, size, config.givens, config.side)
    met = np.flatnonzero(guesses_N >= 0)
    hardest = met[np.argsort(-guesses_N[met], kind="stable")]
    chosen = np.sort(hardest[: int(len(met) * (config.hardest or 1.0))])
    grids_N2S = np.stack([clues_NS[chosen], answers_NS[chosen]], axis=1)
    keys_NS = answers_NS[chosen]
    if config.side > 4:
        keys_NS = canonical(keys_NS, config.side)
    return [_Puzzle(grids, key.tobytes()) for grids, key in zip(grids_N2S, keys_NS, strict=True)]


def _split(forms_PK2S: Digits) -> Split:
    """Forms of puzzles as examples: one example a puzzle, one group an original."""
    groups, forms = forms_PK2S.shape[:2]
    grids_2NS = forms_PK2S.reshape(groups * forms, 2, -1).swapaxes(0, 1) + np.uint8(1)
    return Split(
        inputs_NS=np.ascontiguousarray(grids_2NS[0]),
        labels_NS=np.ascontiguousarray(grids_2NS[1]),
        puzzle_identifiers_P=np.zeros(groups * forms, np.int32),
        puzzle_indices_P1=np.arange(groups * forms + 1, dtype=np.int32),
        group_indices_G1=np.arange(0, groups * forms + 1, forms, dtype=np.int32),
    )
