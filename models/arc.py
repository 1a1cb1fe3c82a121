"""ARC tasks: reading them, their augmentations, their grids as token canvases, and the way back.

Encoding of HRM, TRM and URM (their build_arc_dataset): PAD 0, end of grid 1, colour c as c + 2. A
grid stands on a square canvas, a row of end marks under it and a column of them right of it where
there is room; the corner where the two would meet stays PAD.

An augmentation (here: Variants) is one of the 8 symmetries of the square and a permutation of
colours 1..9 (0, the background, stays), the same for all grids of a task. Each augmented task is a
puzzle with an identifier of its own, named as the references name it: `TASK` unchanged, else
`TASK|||t{symmetry}|||{new colour of 0, of 1, ... of 9}`.

Shapes: V variants of a task, h and w a grid's rows and columns, S cells of a canvas (side * side),
N rows of a batch.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Grid = NDArray[np.uint8]
Pair = tuple[Grid, Grid]

PAD, END, FIRST_COLOUR = 0, 1, 2
VOCABULARY = 12
COLOURS = 10
LARGEST = 30
_CANVASES_AT_ONCE = 4096  # bounds the memory of what is computed per cell

SYMMETRIES: tuple[Callable[[Grid], Grid], ...] = (
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
# These make columns of rows.
TRANSPOSING = (1, 3, 6, 7)

_UNCHANGED = "".join(map(str, range(COLOURS)))
_NAME = re.compile(r"(?P<task>.+)\|\|\|t(?P<symmetry>[0-7])\|\|\|(?P<colours>0[1-9]{9})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Pairs of (question, answer): `train` demonstrates the rule, `test` is what is to be solved.

    Grids are uint8 [h, w] of colours 0..9.
    """

    name: str
    train: tuple[Pair, ...]
    test: tuple[Pair, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variants:
    """V augmentations of one task: symmetry [V] in 0..7, new colour of each old one [V, 10]."""

    symmetry_V: NDArray[np.uint8]
    colours_VC: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.symmetry_V)

    def names(self, task: str) -> tuple[str, ...]:
        """The identifier of each variant."""
        digits = ("".join(map(str, row)) for row in self.colours_VC.tolist())
        return tuple(
            task if (symmetry, colours) == (0, _UNCHANGED) else f"{task}|||t{symmetry}|||{colours}"
            for symmetry, colours in zip(self.symmetry_V.tolist(), digits, strict=True)
        )

    def shown(self, grid: Grid) -> Iterator[tuple[NDArray[np.int64], Grid]]:
        """The grid as the variants show it: (places in 0..V, grids [places, h, w]) by symmetry."""
        for symmetry, turn in enumerate(SYMMETRIES):
            places = np.flatnonzero(self.symmetry_V == symmetry)
            if len(places):
                yield places, np.take(self.colours_VC[places], turn(grid), axis=1)


def parse_identifier(identifier: str) -> tuple[str, int, tuple[int, ...]]:
    """Task, symmetry and new colour of each old one of an identifier; the inverse of `names`.

    Raises:
        ValueError: the part after the task is not of the form `|||t3|||0123456789`.
    """
    if "|||" not in identifier:
        return identifier, 0, tuple(range(COLOURS))
    match = _NAME.fullmatch(identifier)
    if match is None or len(set(match["colours"])) != COLOURS:
        raise ValueError(
            f"identifier {identifier!r}: expected TASK or TASK|||t3|||0123456789 (symmetry 0 to 7,"
            " the ten colours each once and 0 first)"
        )
    return match["task"], int(match["symmetry"]), tuple(map(int, match["colours"]))


def augment(grid: Grid, symmetry: int, colours: Sequence[int]) -> Grid:
    """The grid as the augmented task shows it: colours first, then the symmetry."""
    table = np.array(colours, np.uint8)
    return np.ascontiguousarray(SYMMETRIES[symmetry](table[grid]))


def restore(grid: Grid, symmetry: int, colours: Sequence[int]) -> Grid:
    """The inverse of `augment`: symmetry first, then the colours."""
    table = np.argsort(np.array(colours)).astype(np.uint8)
    return np.ascontiguousarray(table[SYMMETRIES[INVERSE[symmetry]](grid)])


def draw_variants(task: Task, count: int, *, recolour: bool, seed: int) -> Variants:
    """Up to `count` augmentations that show a task differently, the unchanged one first.

    Without `recolour` they are the symmetries in order. Two that show the task the same way, the
    order of its pairs aside, count once, so a symmetric task has fewer. At most 5 * count draws are
    made, as in the references. The answers of test pairs are not looked at. Nothing depends on
    which other tasks there are.
    """
    candidates = _candidates(
        5 * count, generator(task.name, seed, "variants") if recolour else None
    )
    kept: list[int] = []
    seen: set[tuple[bytes, ...]] = set()
    for first in range(0, len(candidates), count):
        some = _at(candidates, np.arange(first, min(first + count, len(candidates))))
        for number, look in enumerate(_looks(task, some), start=first):
            if look not in seen and len(kept) < count:
                seen.add(look)
                kept.append(number)
        if len(kept) == count:
            break
    return _at(candidates, np.array(kept))


def generator(task: str, seed: int, purpose: str) -> np.random.Generator:
    """Random numbers of one task for one purpose, whichever other tasks there are."""
    entropy = [seed, *f"{purpose} {task}".encode()]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))


def _at(variants: Variants, places: NDArray[np.int64]) -> Variants:
    return Variants(symmetry_V=variants.symmetry_V[places], colours_VC=variants.colours_VC[places])


def _candidates(draws: int, generator: np.random.Generator | None) -> Variants:
    """All draws that will be looked at, the first one unchanged."""
    count = len(SYMMETRIES) if generator is None else draws
    symmetry_V = np.arange(count) % len(SYMMETRIES)
    colours_VC = np.tile(np.arange(COLOURS, dtype=np.uint8), (count, 1))
    if generator is not None:
        symmetry_V[1:] = generator.integers(len(SYMMETRIES), size=count - 1)
        colours_VC[1:, 1:] = generator.permuted(colours_VC[1:, 1:], axis=1)
    return Variants(symmetry_V=symmetry_V.astype(np.uint8), colours_VC=colours_VC)


def _looks(task: Task, variants: Variants) -> list[tuple[bytes, ...]]:
    """What each variant shows of a task, in an order that the order of pairs does not decide."""
    looks: list[list[bytes]] = [[] for _ in range(len(variants))]
    for grids in (*task.train, *((question,) for question, _ in task.test)):
        parts = [variants.shown(grid) for grid in grids]
        for shown in zip(*parts, strict=True):
            places = shown[0][0]
            sizes = bytes(size for _, stack in shown for size in stack.shape[1:])
            flat = np.concatenate([stack.reshape(len(places), -1) for _, stack in shown], axis=1)
            for place, row in zip(places, flat, strict=True):
                looks[place].append(sizes + row.tobytes())
    return [tuple(sorted(look)) for look in looks]


def place(canvases_VSS: NDArray[np.uint8], grid: Grid, variants: Variants, corners_V2: Any) -> None:
    """Write a grid, as each variant shows it, on that variant's empty canvas [V, side, side].

    `corners_V2` is the row and the column of its first cell. End marks stand under and right of it.

    Raises:
        ValueError: the grid is larger than the canvas.
    """
    side = canvases_VSS.shape[-1]
    if max(grid.shape) > side:
        raise ValueError(f"a grid of {grid.shape[0]}x{grid.shape[1]} does not fit in {side}x{side}")
    for places, stack_Vhw in variants.shown(grid):
        height, width = stack_Vhw.shape[1:]
        which = places[:, None]
        rows = corners_V2[places, :1] + np.arange(height)
        columns = corners_V2[places, 1:] + np.arange(width)
        canvases_VSS[which[..., None], rows[:, :, None], columns[:, None]] = (
            stack_Vhw + FIRST_COLOUR
        )
        below, right = rows[:, -1] + 1, columns[:, -1] + 1
        room = below < side
        canvases_VSS[which[room], below[room, None], columns[room]] = END
        room = right < side
        canvases_VSS[which[room], rows[room], right[room, None]] = END


def encode(grid: Grid, side: int) -> NDArray[np.uint8]:
    """The canvas [S] of a grid at the top left.

    Raises:
        ValueError: the grid is larger than the canvas.
    """
    canvases_VSS = np.zeros((1, side, side), np.uint8)
    unchanged = _at(_candidates(1, None), np.zeros(1, np.int64))
    place(canvases_VSS, grid, unchanged, np.zeros((1, 2), np.int64))
    return canvases_VSS.reshape(-1)


def grid_sizes(tokens_NS: NDArray[Any], side: int) -> NDArray[np.int64]:
    """Rows and columns [N, 2] of the grid that each canvas shows; columns 0 where it shows none.

    The grid is the largest rectangle of colours at the top left, of equals the one of fewer rows.
    """
    parts = range(0, len(tokens_NS), _CANVASES_AT_ONCE)
    return np.concatenate([_sizes(tokens_NS[n : n + _CANVASES_AT_ONCE], side) for n in parts])


def _sizes(tokens_NS: NDArray[Any], side: int) -> NDArray[np.int64]:
    colour_NSS = tokens_NS.reshape(-1, side, side) >= FIRST_COLOUR
    widths_NR = np.minimum.accumulate(np.logical_and.accumulate(colour_NSS, axis=2).sum(2), axis=1)
    last_N = (widths_NR * np.arange(1, side + 1)).argmax(1)
    columns_N = np.take_along_axis(widths_NR, last_N[:, None], axis=1)[:, 0]
    return np.stack([last_N + 1, columns_N], axis=1)


def decode(tokens_NS: NDArray[Any], side: int) -> list[Grid | None]:
    """The grid that each canvas shows (see `grid_sizes`), or None."""
    canvases_NSS = tokens_NS.reshape(-1, side, side)
    return [
        (canvas[:rows, :columns] - FIRST_COLOUR).astype(np.uint8) if columns else None
        for canvas, (rows, columns) in zip(
            canvases_NSS, grid_sizes(tokens_NS, side).tolist(), strict=True
        )
    ]


def parse_task(name: str, raw: Mapping[str, Any]) -> Task:
    """A task from `{"train": [{"input": rows, "output": rows}, ...], "test": [...]}`.

    Raises:
        ValueError: no demonstration or no test pair, a pair without question or answer, rows of
            different lengths, an empty grid, one over 30x30, or a value that is no colour 0..9.
    """
    pairs = {part: raw.get(part) or () for part in ("train", "test")}
    for part, found in pairs.items():
        if not found:
            raise ValueError(f"task {name}: no {part} pairs; every task needs at least one")
    return Task(
        name=name,
        train=tuple(_pair(f"task {name}, train pair {i}", p) for i, p in enumerate(pairs["train"])),
        test=tuple(_pair(f"task {name}, test pair {i}", p) for i, p in enumerate(pairs["test"])),
    )


def raw_task(task: Task) -> dict[str, list[dict[str, list[list[int]]]]]:
    """The inverse of `parse_task`: plain lists, as in the JSON of the ARC prize."""
    return {
        part: [{"input": q.tolist(), "output": a.tolist()} for q, a in pairs]
        for part, pairs in (("train", task.train), ("test", task.test))
    }


def _pair(where: str, raw: Mapping[str, Any]) -> Pair:
    missing = [key for key in ("input", "output") if key not in raw]
    if missing:
        raise ValueError(f'{where}: no "{missing[0]}"')
    return _grid(f"{where}, input", raw["input"]), _grid(f"{where}, output", raw["output"])


def _grid(where: str, raw: Any) -> Grid:
    try:
        grid = np.array(raw)
    except ValueError as error:
        raise ValueError(f"{where}: rows of different lengths; a grid is a rectangle") from error
    if grid.ndim != 2 or grid.size == 0:
        raise ValueError(f"{where}: shape {grid.shape}; a grid has at least one row and one column")
    if max(grid.shape) > LARGEST:
        raise ValueError(f"{where}: {grid.shape[0]}x{grid.shape[1]}; the largest grid is 30x30")
    if grid.dtype.kind not in "iu":
        raise ValueError(f"{where}: values of type {grid.dtype}; colours are whole numbers")
    if grid.min() < 0 or grid.max() >= COLOURS:
        raise ValueError(f"{where}: values {grid.min()} to {grid.max()}; colours are 0 to 9")
    return np.ascontiguousarray(grid, dtype=np.uint8)
