"""Sudoku of 4 x 4, 6 x 6 (boxes of 2 rows x 3 columns) and 9 x 9: generated sets, and scores.

Shapes: N grids, S = side * side cells in rows. Tokens as HRM has them: 0 padding (never used here),
1 blank, digit d as d + 1; the label is the whole solution. All puzzles have identifier 0.

A set is a walk over numbered candidates (models/sudoku_solver.py), each with exactly one solution,
proved by search, in an order that depends on the seed alone. A candidate is dropped if its clues
were there before; otherwise its class decides where it goes: all puzzles of one class are in the
same split. The class is the canonical form of the solution, so no test puzzle can be turned into a
training puzzle, or even into one with the same solution, by a symmetry of Sudoku (the rule of
Sudoku-Extreme, which compares puzzles, is weaker). A class that is new goes to the split that is
further from its number.

4 x 4 is an exception: its 288 full grids are 2 classes, so there the class is the solution itself,
symmetries connect training with test, and training forms by symmetry are refused. 6 x 6 has 49
classes, so its test set is a few classes that training never saw.

Scoring imports numpy only; building a set imports numba.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from math import ceil
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.puzzles import PuzzleSet, Split

Digits = NDArray[np.uint8]

BOXES = {4: (2, 2), 6: (2, 3), 9: (3, 3)}
GIVENS = {4: (6, 9), 6: (8, 16), 9: (30, 38)}  # fewest and most, where nobody says
BLANK = 1
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
    from models.sudoku_symmetry import augment  # noqa: PLC0415 - numba; scoring does without

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
    from models.sudoku_solver import generate  # noqa: PLC0415 - see build
    from models.sudoku_symmetry import canonical  # noqa: PLC0415 - see build

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


def is_solved(digits_NS: NDArray[Any], side: int) -> NDArray[np.bool_]:
    """Whether every row, column and box of a grid has each digit 1..side once [N]."""
    rows, columns = BOXES[side]
    known_NS = (digits_NS > 0) & (digits_NS <= side)
    sets_NS = np.left_shift(1, np.where(known_NS, digits_NS, 0), dtype=np.int64)
    lines = sets_NS.reshape(-1, side, side)
    boxes = lines.reshape(-1, columns, rows, rows, columns).swapaxes(2, 3).reshape(lines.shape)
    units = np.stack([lines, lines.swapaxes(1, 2), boxes])
    whole = (1 << side + 1) - 2
    solved_N: NDArray[np.bool_] = (np.bitwise_or.reduce(units, axis=3) == whole).all((0, 2))
    return solved_N


def is_valid(tokens_NS: NDArray[Any], inputs_NS: Digits, side: int) -> NDArray[np.bool_]:
    """Whether rows of tokens solve their puzzle [N]: it is solved, and the clues are kept.

    Raises:
        ValueError: tokens or inputs are not [N, side * side].
    """
    _check_shapes(tokens_NS, inputs_NS, side)
    kept_N: NDArray[np.bool_] = ((inputs_NS == BLANK) | (tokens_NS == inputs_NS)).all(1)
    return kept_N & is_solved(tokens_NS.astype(np.int64) - BLANK, side)


def solved(tokens_NS: NDArray[Any], split: Split, side: int) -> dict[str, NDArray[np.bool_]]:
    """Which rows of answers are right, [N] each, in the two senses of `score`: exact and valid.

    Raises:
        ValueError: another shape than the split's.
    """
    valid_N = is_valid(tokens_NS, split.inputs_NS, side)
    same_NS = (tokens_NS == split.labels_NS) | (split.labels_NS == 0)
    return {"exact": same_NS.all(1), "valid": valid_N}


def score(tokens_NS: NDArray[Any], split: Split, side: int) -> dict[str, float]:
    """Shares in 0..1 of answers to a split.

    exact: rows equal to the label; valid: rows that solve their puzzle, whatever the label;
    cell_accuracy: right cells of those that were blank; givens_kept: clues that were answered as
    they were given.

    Raises:
        ValueError: another shape than the split's, or a split without a blank or a given cell.
    """
    shares = {name: float(rows_N.mean()) for name, rows_N in solved(tokens_NS, split, side).items()}
    right_NS = tokens_NS == split.labels_NS
    blank_NS = split.inputs_NS == BLANK
    if not 0 < blank_NS.sum() < blank_NS.size:
        raise ValueError("nothing to score: the split has no blank cell, or no given one")
    return shares | {
        "cell_accuracy": float(right_NS[blank_NS].mean()),
        "givens_kept": float((tokens_NS == split.inputs_NS)[~blank_NS].mean()),
    }


def constant_baseline(train: Split, test: Split, side: int) -> dict[str, float]:
    """The score of one digit in every blank: the commonest there in training."""
    blank_NS = train.inputs_NS == BLANK
    digit = np.bincount(train.labels_NS[blank_NS], minlength=BLANK + 2)[BLANK + 1 :].argmax()
    answer_NS = np.where(test.inputs_NS == BLANK, digit + BLANK + 1, test.inputs_NS)
    return score(answer_NS, test, side)


def checked(digits_NS: Digits, side: int) -> Digits:
    """The digits as contiguous bytes.

    Raises:
        ValueError: no such size, not [N, side * side], or a digit that is not in 0..side.
    """
    if side not in BOXES or digits_NS.ndim != 2 or digits_NS.shape[1] != side**2:
        raise ValueError(f"shape {digits_NS.shape} for side {side}: wanted [N, side * side]")
    if digits_NS.size and not (digits_NS.min() >= 0 and digits_NS.max() <= side):
        found = f"{digits_NS.min()}..{digits_NS.max()}"
        raise ValueError(f"digits {found} for side {side}: wanted 1..{side}, 0 for a blank")
    return np.ascontiguousarray(digits_NS, np.uint8)


def _check_shapes(tokens_NS: NDArray[Any], inputs_NS: Digits, side: int) -> None:
    wanted = (len(inputs_NS), side * side)
    if side not in BOXES or tokens_NS.shape != wanted or inputs_NS.shape != wanted:
        raise ValueError(
            f"tokens {tokens_NS.shape} for inputs {inputs_NS.shape}: both must be [N, {side**2}]"
        )
