"""What must never be trained on: answers to the questions of an evaluation, in any guise.

Two pairs are alike when a symmetry of the square and a renaming of colours 1..9 make one the other:
augmentation shows both in the same ways, so training on one trains on the other. The demonstrations
of a task are part of its statement; where one of them is like the task's own test pair the task is
easy, not leaked.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.arc import COLOURS, SYMMETRIES, Pair, Task, parse_identifier
from models.puzzles import Meta


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Place:
    """One pair of one task: its part, "train" or "test", and its number there, from 0."""

    task: str
    part: str
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """A pair that is trained on and is like one that is evaluated."""

    trained: Place
    evaluated: Place


def canonical(pair: Pair) -> bytes:
    """The same bytes for all pairs that are alike, others for others.

    The least, over the 8 symmetries, of both shapes and both grids with colours 1..9 renamed in the
    order in which they first appear, the question before the answer.
    """
    question, answer = pair
    return min(_renamed(turn(question), turn(answer)) for turn in SYMMETRIES)


def _renamed(question: NDArray[np.uint8], answer: NDArray[np.uint8]) -> bytes:
    cells = np.concatenate([question.reshape(-1), answer.reshape(-1)])
    colours, first = np.unique(cells, return_index=True)
    present = colours[np.argsort(first)]
    table = np.zeros(COLOURS, np.uint8)
    present = present[present > 0]
    table[present] = np.arange(1, len(present) + 1)
    return bytes((*question.shape, *answer.shape)) + bytes(table[cells])


def overlap(
    trained: Iterable[tuple[Place, Pair]], evaluated: Iterable[tuple[Place, Pair]]
) -> tuple[Overlap, ...]:
    """Every (trained, evaluated) couple of pairs that are alike, in the order of evaluation."""
    # Counts of cells are the same for pairs that are alike and much cheaper than canonical forms.
    rough: dict[tuple[int, ...], list[tuple[Place, Pair]]] = defaultdict(list)
    for place, pair in trained:
        rough[_rough(pair)].append((place, pair))
    found = []
    for place, pair in evaluated:
        others = rough.get(_rough(pair), ())
        form = canonical(pair) if others else b""
        found += [
            Overlap(trained=other, evaluated=place)
            for other, its_pair in others
            if canonical(its_pair) == form
        ]
    return tuple(found)


def _rough(pair: Pair) -> tuple[int, ...]:
    counts = [np.bincount(grid.reshape(-1), minlength=COLOURS) for grid in pair]
    sides = [side for grid in pair for side in sorted(grid.shape)]
    return (*sides, *(n for c in counts for n in (c[0], *sorted(c[1:]))))


def pairs_of(task: Task, part: str) -> list[tuple[Place, Pair]]:
    """The pairs of one part of a task with their places."""
    pairs = task.train if part == "train" else task.test
    return [(Place(task=task.name, part=part, number=n), pair) for n, pair in enumerate(pairs)]


def check_evaluation(trained_on: Meta, evaluated: Meta) -> None:
    """Refuse to evaluate a model on a set of which it may have seen answers, or which is not its.

    The training tasks of ARC-2 hold most tasks of ARC-1, of either part and some under other
    names, so from one ARC to the other every evaluation is refused.

    Raises:
        ValueError: the model was trained on answers of evaluated tasks, on another ARC, or has no
            identity rows for them; the message says which.
    """
    both = f"trained on {trained_on.name}, to be evaluated on {evaluated.name}"
    answered = {parse_identifier(name)[0] for name in trained_on.identifiers[1:]}
    seen = sorted(set(evaluated.test_puzzles) & (answered - set(trained_on.test_puzzles)))
    if seen:
        raise ValueError(
            f"{both}: the training data hold the answers of {len(seen)} evaluated tasks"
            f" ({', '.join(seen[:3])} ...); evaluate on the set that was trained on"
        )
    families = {meta.settings.get("family") for meta in (trained_on, evaluated)}
    if len(families - {None}) > 1:
        raise ValueError(
            f"{both}: ARC-1 and ARC-2 share tasks, some under other names; evaluate on the set that"
            " was trained on"
        )
    if trained_on.identifiers != evaluated.identifiers:
        raise ValueError(
            f"{both}: identifiers {len(trained_on.identifiers)} and {len(evaluated.identifiers)}"
            " are not the same names in the same order, so rows of the identity table would stand"
            " for other puzzles; evaluate on the set that was trained on"
        )
