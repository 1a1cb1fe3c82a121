"""What must never be trained on: answers to the questions of an evaluation, in any guise.

Two pairs are alike when a symmetry of the square and a renaming of colours 1..9 make one the other:
augmentation shows both in the same ways, so training on one trains on the other. The demonstrations
of a task are part of its statement; where one of them is like the task's own test pair the task is
easy, not leaked.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from models.arc import COLOURS, SYMMETRIES, Pair, Task, parse_identifier


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


class Described(Protocol):
    """What is known of a set without its arrays: a PuzzleSet, or the metadata of a folder."""

    @property
    def name(self) -> str:
        """The set's name."""

    @property
    def identifiers(self) -> tuple[str, ...]:
        """The name of each identifier."""

    @property
    def test_puzzles(self) -> dict[str, Any]:
        """The evaluated tasks by name; empty unless it is ARC."""


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
    return bytes(question.shape) + bytes(answer.shape) + table[cells].tobytes()


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


def check_evaluation(trained_on: Described, evaluated: Described) -> None:
    """Refuse to evaluate a model on a set of which it may have seen answers, or which is not its.

    Sets of one family share their tasks' names; ARC-2's training tasks hold most of ARC-1's, of
    either part, some under other names, so between the families every evaluation is refused.

    Raises:
        ValueError: the model was trained on answers of evaluated tasks, on another ARC, or has no
            identity rows for them; the message says which.
    """
    asked = set(evaluated.test_puzzles)
    answered = {parse_identifier(name)[0] for name in trained_on.identifiers[1:]}
    seen = sorted(asked & (answered - set(trained_on.test_puzzles)))
    both = f"the model was trained on {trained_on.name} and is to be evaluated on {evaluated.name}"
    if seen:
        raise ValueError(
            f"{both}: its training data hold the answers of {len(seen)} evaluated tasks, the first"
            f" are {', '.join(seen[:5])}; evaluate it on the set it was trained for"
        )
    if asked and _family(trained_on.name) != _family(evaluated.name):
        raise ValueError(
            f"{both}: the two ARC sets share tasks, some under other names; evaluate it on a set"
            f" of the same ARC"
        )
    missing = set(evaluated.identifiers) - set(trained_on.identifiers)
    moved = trained_on.identifiers[: len(evaluated.identifiers)] != evaluated.identifiers
    if missing or moved:
        raise ValueError(
            f"{both}: their identifiers differ ({len(missing)} are unknown to the model), so its"
            " identity rows would belong to other puzzles; build the set with the same settings"
        )


def _family(name: str) -> str:
    return name.partition("-")[0]
