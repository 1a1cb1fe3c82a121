"""Mazes: drawn at random, solved by breadth-first search, and answers verified without labels.

A maze is a square of walls and free cells with a start S and a goal G; one moves between cells
that share an edge. Rules of Lehnert et al. 2024 (2402.14083, appendix C) and HRM (2506.21734): a
share of the cells, itself drawn from a range, are walls; S and G are random free cells; kept are
mazes whose shortest path has at least `side` moves, or, if `hard`, more than 0.122 per cell
(Maze-Hard: over 110 at 30x30). Tokens are the places in "# SGo" from 1 on, and 0 is padding.

A label marks one shortest path. Shortest paths are rarely unique, so the label is drawn by a
fixed rule (from S on, of the moves that come nearer to G the first of up, left, right, down) and
so is a function of the maze. A view of a maze (turned, mirrored) is labelled by that rule again;
the originals turn the label with the maze. Equality with the label is one score; `verify` accepts
every path, and knows which are shortest.

Training and test mazes are all different, also after turning and mirroring.

Why numba, measured on one core in microseconds a candidate, drawing and search (one in seven is
kept): 9x9 1.2 against 21 in plain Python with NumPy, 15x15 3.2 against 51, 30x30 12 against 296.
The hard rule keeps one in 67,000 at 30x30: 13 minutes for 1,000 mazes, and hours without numba.

Shapes: N examples, S cells of the square (side * side).
"""

from dataclasses import asdict, dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.puzzles import BLANK, PuzzleSet, Split
from models.stream import philox

Tokens = NDArray[np.uint8]

WALL, FREE, START, GOAL, PATH = 1, 2, 3, 4, 5
VOCABULARY = 6

_BATCH = 1_000  # mazes; that many without a new one mean that there are no more
_CANDIDATES = 2_000_000  # without one that is long enough: the rule of length cannot be met


@dataclass(frozen=True, slots=True, kw_only=True)
class Maze:
    """What to generate: `train` and `test` mazes, each of the first shown in `augmentations` views.

    `walls` is the range of the share of walls. Views are the symmetries of the square, the
    unchanged maze first.

    Raises:
        ValueError: a value out of range.
    """

    side: int
    train: int
    test: int
    walls: tuple[float, float] = (0.3, 0.5)
    augmentations: int = 1
    hard: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        low, high = self.walls
        if self.side < 3:
            raise ValueError(f"side={self.side}: a maze has 3x3 cells at the least")
        if not 0 <= low <= high or self.side**2 * (1 - high) < 2:
            raise ValueError(f"walls={self.walls}: write shares (low, high) that leave room")
        if min(self.train, self.test) < 1:
            raise ValueError(f"train={self.train}, test={self.test}: ask for 1 of each or more")
        if not 1 <= self.augmentations <= 8:
            raise ValueError(f"augmentations={self.augmentations}: a square has 1 to 8 views")
        if not 0 <= self.seed < 2**64:
            raise ValueError(f"seed={self.seed}: choose one from 0 to 2**64 - 1")

    @property
    def name(self) -> str:
        """The set's name, like maze-9x9-walls0.3-0.5-1000x8-seed0."""
        square = f"{self.side}x{self.side}{'-hard' if self.hard else ''}"
        shares = f"walls{self.walls[0]}-{self.walls[1]}"
        return f"maze-{square}-{shares}-{self.train}x{self.augmentations}-seed{self.seed}"

    @property
    def shortest(self) -> int:
        """Moves that the shortest path of a maze has at least."""
        return int(0.122 * self.side**2) + 1 if self.hard else self.side


def build(maze: Maze) -> PuzzleSet:
    """Generate a set; the same settings give the same set.

    Raises:
        ValueError: there are not so many different mazes, or none with so long a path.
    """
    inputs_NS = _different(maze)
    return PuzzleSet(
        name=maze.name,
        kind="maze",
        side=maze.side,
        vocabulary=VOCABULARY,
        identifiers=(BLANK,),
        test_puzzles={},
        settings=asdict(maze),
        train=_split(inputs_NS[: maze.train], maze.side, maze.augmentations),
        test=_split(inputs_NS[maze.train :], maze.side, 1),
    )


def _different(maze: Maze) -> Tokens:
    """Mazes [train + test, S], no two of them views of one another."""
    generator = philox(maze.seed, 0)
    found: dict[bytes, Tokens] = {}
    wanted = maze.train + maze.test
    while len(found) < wanted:
        room = np.empty((max(_BATCH, wanted - len(found)), maze.side**2), np.uint8)
        drawn = room[: _draw(generator, maze.side, maze.walls, maze.shortest, room)]
        before = len(found)
        for key, inputs_S in zip(canonical(drawn, maze.side), drawn, strict=True):
            found.setdefault(key, inputs_S)
        if len(found) == before:
            raise ValueError(
                f"{maze.name}: found {before} different mazes with a path of {maze.shortest} moves "
                f"or more, not {wanted}: ask for fewer, larger or other ones"
            )
    return np.stack(list(found.values())[:wanted])


def views(inputs_NS: Tokens, side: int) -> Tokens:
    """Every maze as the 8 symmetries of the square show it, [N, 8, S], unchanged first."""
    grids = inputs_NS.reshape(-1, side, side)
    turned = [np.rot90(grids, k, axes=(1, 2)) for k in range(4)]
    turned += [grid.transpose(0, 2, 1) for grid in turned]
    return np.stack(turned, axis=1).reshape(len(inputs_NS), 8, side**2)


def canonical(inputs_NS: Tokens, side: int) -> list[bytes]:
    """For each maze a key that all its views share, and no other maze."""
    return [min(view.tobytes() for view in eight) for eight in views(inputs_NS, side)]


def _split(inputs_NS: Tokens, side: int, shown: int) -> Split:
    shown_NS = views(inputs_NS, side)[:, :shown].reshape(-1, side**2)
    examples = len(shown_NS)
    return Split(
        inputs_NS=shown_NS,
        labels_NS=solve(shown_NS, side),
        puzzle_identifiers_P=np.zeros(examples, np.int32),
        puzzle_indices_P1=np.arange(examples + 1, dtype=np.int32),
        group_indices_G1=np.arange(0, examples + 1, shown, dtype=np.int32),
    )


def solve(inputs_NS: NDArray[np.integer], side: int) -> Tokens:
    """The mazes [N, S] with a shortest path marked, by the rule of the labels.

    Raises:
        ValueError: a maze without a path; says which row.
    """
    labels_NS = np.array(inputs_NS, np.uint8)
    solved_N = _mark(labels_NS, side)
    if not solved_N.all():
        raise ValueError(f"maze {int(solved_N.argmin())}: no path leads from S to G")
    return labels_NS


def verify(
    tokens_NS: NDArray[np.integer], inputs_NS: NDArray[np.integer], side: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which answers are a path, and which a shortest one, [N] each; no label is needed.

    Valid is an answer that changes nothing but free cells to path cells, and whose path cells
    lead from S to G: S and G touch one of them, each of them touches the two before and after it,
    and none is left over.
    """
    moves_N, shortest_N = _measure(
        np.array(tokens_NS, np.uint8), np.array(inputs_NS, np.uint8), side
    )
    return moves_N > 0, (moves_N > 0) & (moves_N == shortest_N)


def solved(tokens_NS: NDArray[np.integer], split: Split, side: int) -> dict[str, NDArray[np.bool_]]:
    """Which answers are right, [N] each, in the senses of `score`: exact, valid and optimal."""
    valid_N, optimal_N = verify(tokens_NS, split.inputs_NS, side)
    exact_N = (tokens_NS == split.labels_NS).all(axis=1)
    return {"exact": exact_N, "valid": valid_N, "optimal": optimal_N}


def score(tokens_NS: NDArray[np.integer], split: Split, side: int) -> dict[str, float]:
    """Scores of answers [N, S], all shares in 0..1.

    "optimal" is the published "valid and optimal"; "exact" is equality with the label. Precision,
    recall and F1 are those of path cells over all mazes; precision is left out if none is marked.
    """
    marked, path = tokens_NS == PATH, split.labels_NS == PATH
    both, marked_cells, path_cells = (marked & path).sum(), marked.sum(), path.sum()
    found = {name: rows_N.mean() for name, rows_N in solved(tokens_NS, split, side).items()}
    found |= {
        "cell_accuracy": (tokens_NS == split.labels_NS).mean(),
        "path/recall": both / path_cells,
        "path/f1": 2 * both / (marked_cells + path_cells),
    }
    if marked_cells:
        found["path/precision"] = both / marked_cells
    return {name: float(value) for name, value in found.items()}


def baseline(split: Split, side: int) -> dict[str, float]:
    """The scores of copying the input: most cells are no path, so few are wrong."""
    return score(split.inputs_NS, split, side)


@njit(cache=True)
def _draw(
    generator: np.random.Generator,
    side: int,
    shares: tuple[float, float],
    shortest: int,
    rows_NS: Tokens,
) -> int:
    """Fill rows with mazes whose path is long enough; returns how many were found."""
    cells = side * side
    order = np.arange(cells)
    found = 0
    for _ in range(_CANDIDATES):
        walls = round((shares[0] + (shares[1] - shares[0]) * generator.random()) * cells)
        for i in range(walls + 2):  # the first walls + 2 places of a random order
            j = i + int(generator.random() * (cells - i))
            order[i], order[j] = order[j], order[i]
        row = rows_NS[found]
        row[:] = FREE
        row[order[:walls]] = WALL
        row[order[walls]] = START
        row[order[walls + 1]] = GOAL
        if _distances(row, side)[order[walls]] >= shortest:
            found += 1
            if found == len(rows_NS):
                break
    return found


@njit(cache=True)
def _neighbours(cell: int, side: int, near: NDArray[np.int64]) -> int:
    """Write the cells above, left, right, below to `near`, those that exist; returns how many."""
    count = 0
    if cell >= side:
        near[count] = cell - side
        count += 1
    if cell % side > 0:
        near[count] = cell - 1
        count += 1
    if cell % side < side - 1:
        near[count] = cell + 1
        count += 1
    if cell < side * (side - 1):
        near[count] = cell + side
        count += 1
    return count


@njit(cache=True)
def _place(inputs_S: Tokens, token: int) -> int:
    for cell in range(len(inputs_S)):
        if inputs_S[cell] == token:
            return cell
    return -1


@njit(cache=True)
def _distances(inputs_S: Tokens, side: int) -> NDArray[np.int32]:
    """Moves from each cell to G, [S]; -1 where no way leads (breadth-first search from G)."""
    moves_S = np.full(len(inputs_S), -1, np.int32)
    queue, near = np.empty(len(inputs_S), np.int64), np.empty(4, np.int64)
    first, last = 0, 0
    goal = _place(inputs_S, GOAL)
    if goal >= 0:
        moves_S[goal], queue[0], last = 0, goal, 1
    while first < last:
        cell = queue[first]
        first += 1
        for i in range(_neighbours(cell, side, near)):
            if inputs_S[near[i]] != WALL and moves_S[near[i]] < 0:
                moves_S[near[i]] = moves_S[cell] + 1
                queue[last] = near[i]
                last += 1
    return moves_S


@njit(cache=True)
def _mark(rows_NS: Tokens, side: int) -> NDArray[np.bool_]:
    """Mark a shortest path in every row, in place; returns where there is one, [N]."""
    solved_N, near = np.zeros(len(rows_NS), np.bool_), np.empty(4, np.int64)
    for n in range(len(rows_NS)):
        row = rows_NS[n]
        moves_S, cell = _distances(row, side), _place(row, START)
        solved_N[n] = cell >= 0 and moves_S[cell] > 0
        while solved_N[n] and moves_S[cell] > 1:
            for i in range(_neighbours(cell, side, near)):
                if moves_S[near[i]] == moves_S[cell] - 1:
                    cell = near[i]
                    break
            row[cell] = PATH
    return solved_N


@njit(cache=True)
def _measure(
    tokens_NS: Tokens, inputs_NS: Tokens, side: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Moves of the path that each answer marks (-1: none), and of a shortest path, [N] each."""
    rows = len(tokens_NS)
    moves_N, shortest_N = np.full(rows, -1, np.int64), np.full(rows, -1, np.int64)
    for n in range(rows):
        start = _place(inputs_NS[n], START)
        if start >= 0:
            moves_N[n] = _walk(tokens_NS[n], inputs_NS[n], side, start)
            shortest_N[n] = _distances(inputs_NS[n], side)[start]
    return moves_N, shortest_N


@njit(cache=True)
def _walk(tokens_S: Tokens, inputs_S: Tokens, side: int, start: int) -> int:
    """Moves from the start to G along marked cells; -1 if they are no path or there are others."""
    marked = 0
    for cell in range(len(tokens_S)):
        if tokens_S[cell] == PATH and inputs_S[cell] == FREE:
            marked += 1
        elif tokens_S[cell] != inputs_S[cell]:
            return -1
    near = np.empty(4, np.int64)
    cell, before, moves = start, -1, 0
    while tokens_S[cell] != GOAL:
        ways, onward = 0, -1
        for i in range(_neighbours(cell, side, near)):
            if near[i] != before and tokens_S[near[i]] in (PATH, GOAL):
                ways += 1
                onward = near[i]
        if ways != 1:  # a dead end or a fork; so the walk never meets itself, and ends
            return -1
        cell, before, moves = onward, cell, moves + 1
    return moves if moves == marked + 1 else -1
