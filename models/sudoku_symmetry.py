"""The symmetries of Sudoku: random ones for augmentation, and canonical forms.

Shapes: N grids, K forms of each, S = side * side cells; digits 1..side, 0 is blank.

The group: any permutation of the digits, of the bands, of the rows of a band, of the stacks, of the
columns of a stack, and, where boxes are square, transposition. (6 x 6 has boxes of 2 x 3: the
transpose of a grid is none.) 4 x 4 has 288 full grids in 2 classes, 6 x 6 28,200,960 in 49, 9 x 9
6.67e21 in 5,472,730,538.
"""

from functools import lru_cache
from itertools import permutations, product

import numpy as np

from models.compiled import Ints, State, below, compiled, generator, shuffled
from models.sudoku import BOXES, Digits, checked, is_solved

Box = tuple[int, int]

FORMS = 2  # the stream of random numbers


@compiled
def _symmetry(state: State, box: Box) -> tuple[Ints, Ints]:
    """A random symmetry: for each cell the one it comes from, and for each digit the new one."""
    side = box[0] * box[1]
    lines = np.empty((2, side), np.int64)
    for axis in range(2):
        size = box[axis]
        groups = shuffled(state, side // size)
        for group in range(side // size):
            start = group * size
            lines[axis, start : start + size] = groups[group] * size + shuffled(state, size)
    transposed = box[0] == box[1] and below(state, 2) == 1
    source_S = np.empty(side * side, np.int64)
    for cell in range(side * side):
        row, column = lines[0, cell // side], lines[1, cell % side]
        source_S[cell] = column * side + row if transposed else row * side + column
    digits = np.zeros(side + 1, np.int64)
    digits[1:] = shuffled(state, side) + 1
    return source_S, digits


@compiled
def _augment(grids_NCS: Digits, count: int, seed: int, box: Box) -> Digits:
    grids, channels, cells = grids_NCS.shape
    forms_NKCS = np.empty((grids, count, channels, cells), np.uint8)
    forms_NKCS[:, 0] = grids_NCS
    for n in range(grids):
        for k in range(1, count):
            source_S, digits = _symmetry(generator(seed, FORMS, n * count + k), box)
            for channel in range(channels):
                for cell in range(cells):
                    old = grids_NCS[n, channel, source_S[cell]]
                    forms_NKCS[n, k, channel, cell] = digits[old]
    return forms_NKCS


@compiled
def _places(grid: Ints, first: int) -> Ints:
    """For each cell the column that its digit has in the first row."""
    side = len(grid)
    column_of, places = np.empty(side + 1, np.int64), np.empty((side, side), np.int64)
    for column in range(side):
        column_of[grid[first, column]] = column
    for row in range(side):
        for column in range(side):
            places[row, column] = column_of[grid[row, column]]
    return places


@compiled
def _is_behind(row: Ints, orders: Ints, labels: Ints, n: int, best: Ints) -> bool:
    """Whether a second row, reordered and relabelled, comes after that of the best so far."""
    for column in range(len(row)):
        label = labels[n, row[orders[n, column]]]
        if label != best[1, column]:
            return bool(label > best[1, column])
    return False


@compiled
def _is_less(grid: Ints, other: Ints) -> bool:
    for row in range(len(grid)):
        for column in range(len(grid)):
            if grid[row, column] != other[row, column]:
                return bool(grid[row, column] < other[row, column])
    return False


@compiled
def _arrange(places: Ints, order: Ints, labels: Ints, rows: int) -> Ints:
    """The grid relabelled, its columns in this order and its rows in the least order allowed."""
    side, at = len(order), 0
    arranged = np.empty((side, side), np.int64)
    done = np.zeros(side, np.bool_)
    row_of = np.empty(side, np.int64)
    for row in range(side):
        row_of[labels[places[row, order[0]]]] = row
    for least in range(side):
        band = row_of[least] // rows
        if done[band]:
            continue
        done[band] = True
        for row in row_of[least:]:
            if row // rows == band:
                for column in range(side):
                    arranged[at, column] = labels[places[row, order[column]]]
                at += 1
    return arranged


@compiled
def _least_form(grid: Ints, orders: Ints, labels: Ints, rows: int, best: Ints) -> None:
    """Improve on `best`, the least form so far, by the forms that begin with any row.

    A form is the list of its cells. With the first row and the order of columns chosen, the digits
    are named 0, 1, 2 and so on by that row, as no other naming is less, and one order of the other
    rows is the least. The second row can and must begin with the digit that leads the second
    stack of the first: `orders` is by the columns that lead the stacks. Most of the forms that are
    left fall behind within their second row.
    """
    side = len(grid)
    for first in range(side):
        places = _places(grid, first)
        band = first // rows * rows
        for second in range(band, band + rows):
            if second == first:
                continue
            for column in range(side):
                lead = column, places[second, column]
                some, names = orders[lead], labels[lead]
                for n in range(len(some)):
                    if not _is_behind(places[second], some, names, n, best):
                        form = _arrange(places, some[n], names[n], rows)
                        if _is_less(form, best):
                            best[:] = form


@compiled
def _canonical(grids_NS: Digits, orders: Ints, labels: Ints, box: Box) -> Digits:
    side = box[0] * box[1]
    forms_NS = np.empty_like(grids_NS)
    for n in range(len(grids_NS)):
        best = np.full((side, side), side, np.int64)
        grid = grids_NS[n].astype(np.int64).reshape(side, side)
        _least_form(grid, orders, labels, box[0], best)
        if box[0] == box[1]:
            _least_form(grid.T.copy(), orders, labels, box[0], best)
        forms_NS[n] = best.reshape(-1) + 1
    return forms_NS


@lru_cache
def _column_orders(side: int) -> tuple[Ints, Ints]:
    """The orders of columns that keep stacks together, and their inverses.

    Both [side, side, orders, side], by the first column of the first stack and of the second.
    """
    columns = BOXES[side][1]
    inside = list(permutations(range(columns)))
    leading: dict[tuple[int, int], list[list[int]]] = {}
    for stacks in permutations(range(side // columns)):
        for chosen in product(inside, repeat=side // columns):
            pairs = zip(stacks, chosen, strict=True)
            order = [stack * columns + at for stack, within in pairs for at in within]
            leading.setdefault((order[0], order[columns]), []).append(order)
    orders = np.zeros((side, side, len(leading[0, columns]), side), np.int64)
    for lead, some in leading.items():
        orders[lead] = some
    return orders, np.argsort(orders, axis=3)


def augment(grids_NCS: Digits, count: int, seed: int, side: int) -> Digits:
    """`count` forms [N, count, C, S] of each puzzle's C grids (clues, answer), the first unchanged.

    The grids of one puzzle share their symmetry. Forms may repeat where there are few (4 x 4).
    """
    return _augment(grids_NCS, count, seed, BOXES[side])


def canonical(grids_NS: Digits, side: int) -> Digits:
    """The least grid, as a list of its cells, among all that are equivalent to each full grid.

    Two full grids are equivalent exactly if these are equal.

    Raises:
        ValueError: not grids of this side, or not solved.
    """
    solved_N = is_solved(checked(grids_NS, side), side)
    if not solved_N.all():
        raise ValueError(
            f"row {solved_N.argmin()} is no solution; canonical forms are of solutions"
        )
    return _canonical(np.ascontiguousarray(grids_NS, np.uint8), *_column_orders(side), BOXES[side])
