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
from models.sudoku import BOXES, Digits, checked

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
    digits = np.zeros(side + 1, np.uint8)
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
def _second_row(grid: Digits, first: int, column: int, digits: Digits, rows: int) -> int:
    """The row of `first`'s band that comes after it: the one with the least digit in a column."""
    second, least = first, 255
    for row in range(first // rows * rows, first // rows * rows + rows):
        if row != first and digits[grid[row, column]] < least:
            second, least = row, digits[grid[row, column]]
    return second


@compiled
def _is_behind(row: Digits, order: Ints, digits: Digits, best: Digits) -> bool:
    """Whether a row, reordered and relabelled, comes after the best one so far."""
    for column in range(len(order)):
        digit = digits[row[order[column]]]
        if digit != best[column]:
            return digit > best[column]
    return False


@compiled
def _is_less(grid: Digits, other: Digits) -> bool:
    for row in range(len(grid)):
        for column in range(len(grid)):
            if grid[row, column] != other[row, column]:
                return grid[row, column] < other[row, column]
    return False


@compiled
def _arrange(grid: Digits, order: Ints, digits: Digits, rows: int) -> Digits:
    """The grid relabelled, its columns in this order and its rows in the least order allowed."""
    side, at = len(order), 0
    arranged = np.empty((side, side), np.uint8)
    done = np.zeros(side, np.bool_)
    ranks = np.empty(side, np.int64)
    for row in range(side):
        ranks[digits[grid[row, order[0]]] - 1] = row
    for least in range(side):
        band = ranks[least] // rows
        if done[band]:
            continue
        done[band] = True
        for row in ranks[least:]:
            if row // rows == band:
                for column in range(side):
                    arranged[at, column] = digits[grid[row, order[column]]]
                at += 1
    return arranged


@compiled
def _least_form(grid: Digits, orders: Ints, rows: int, best: Digits) -> None:
    """Improve on `best`, cell by cell in rows, with what starts from any row and column order.

    The digits are named by the first row, which so becomes 1, 2, 3 and so on: no other naming is
    less. The rest has one least order of rows, and most tries end within their second row.
    """
    side = len(grid)
    digits = np.zeros(side + 1, np.uint8)
    for first in range(side):
        for order in orders:
            for column in range(side):
                digits[grid[first, order[column]]] = column + 1
            second = _second_row(grid, first, order[0], digits, rows)
            if _is_behind(grid[second], order, digits, best[1]):
                continue
            form = _arrange(grid, order, digits, rows)
            if _is_less(form, best):
                best[:] = form


@compiled
def _canonical(grids_NS: Digits, orders: Ints, box: Box) -> Digits:
    side = box[0] * box[1]
    forms_NS = np.empty_like(grids_NS)
    for n in range(len(grids_NS)):
        best = np.full((side, side), 255, np.uint8)
        grid = grids_NS[n].copy().reshape(side, side)
        _least_form(grid, orders, box[0], best)
        if box[0] == box[1]:
            _least_form(grid.T.copy(), orders, box[0], best)
        forms_NS[n] = best.reshape(-1)
    return forms_NS


@lru_cache
def _column_orders(side: int) -> Ints:
    """Every order of the columns that keeps stacks together [orders, side]."""
    columns = BOXES[side][1]
    inside = list(permutations(range(columns)))
    orders = []
    for stacks in permutations(range(side // columns)):
        for chosen in product(inside, repeat=side // columns):
            pairs = zip(stacks, chosen, strict=True)
            orders.append([stack * columns + at for stack, order in pairs for at in order])
    return np.array(orders)


def augment(grids_NCS: Digits, count: int, seed: int, side: int) -> Digits:
    """`count` forms [N, count, C, S] of each puzzle's C grids (clues, answer), the first unchanged.

    The grids of one puzzle share their symmetry. Forms may repeat where there are few (4 x 4).
    """
    return _augment(grids_NCS, count, seed, BOXES[side])


def canonical(grids_NS: Digits, side: int) -> Digits:
    """The least grid, as a list of its cells, among all that are equivalent to each full grid.

    Two full grids are equivalent exactly if these are equal.

    Raises:
        ValueError: not grids of this side, or a blank cell.
    """
    if not np.all(checked(grids_NS, side)):
        raise ValueError("a grid with blank cells has no canonical form here: give solutions")
    return _canonical(grids_NS, _column_orders(side), BOXES[side])
