"""Search for Sudoku at three sizes: solutions counted, difficulty, candidates for puzzles.

Shapes: N grids, S = side * side cells of a grid in rows; side = rows * columns of a box. Digits are
1..side, 0 is blank. Inside the kernels a set of digits is a bit mask, digit d being bit d - 1.

Search places singles until none is left (a cell with one candidate; a digit with one place in a
row, column or box), then branches on the cell with the fewest candidates. A guess is a digit tried
while others of its cell remain, counted over the search that proves how many solutions there are:
the difficulty of a puzzle. (HRM rates with the guesses of the solver tdoku, which counts alike and
infers otherwise: the scales differ.)
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.compiled import Ints, State, below, compiled, generator, shuffled
from models.sudoku import BOXES, Digits, checked

Masks = NDArray[np.int16]

FULL, DEAD = -1, -2
UNTRIED = -1
CANDIDATES = 1  # the stream of random numbers

_COUNT = np.array([mask.bit_count() for mask in range(1 << max(BOXES))])


class Rules(NamedTuple):
    """A size of Sudoku: cells of each unit [3 * side, side] and units of each cell [S, 3].

    Units are the rows, then the columns, then the boxes.
    """

    units: Ints
    of: Ints


class Stack(NamedTuple):
    """Levels of a search: placed digits, digits used per unit, cell branched on, what it has left.

    `left` is UNTRIED where nothing has been inferred yet at that level.
    """

    cells: Masks
    used: Masks
    branch: Ints
    left: Ints


class Solved(NamedTuple):
    """Per grid: solutions (counted up to a limit), guesses, and the first solution, if any."""

    solutions_N: Ints
    guesses_N: Ints
    answers_NS: Digits


class Candidates(NamedTuple):
    """Clues with their only solution, and guesses; -1 where more givens had to stay than asked."""

    clues_NS: Digits
    answers_NS: Digits
    guesses_N: Ints


@compiled
def _options(cell: int, used: Masks, rules: Rules) -> int:
    """Digits that no unit of the cell holds yet."""
    taken = used[rules.of[cell, 0]] | used[rules.of[cell, 1]] | used[rules.of[cell, 2]]
    return int(((1 << rules.units.shape[1]) - 1) & ~np.int64(taken))


@compiled
def _place(cell: int, digit: int, cells: Masks, used: Masks, rules: Rules) -> None:
    cells[cell] = digit
    for unit in rules.of[cell]:
        used[unit] |= digit


@compiled
def _sole_candidates(cells: Masks, used: Masks, rules: Rules) -> tuple[bool, int]:
    """Fill the cells that have one candidate: whether there were any; the cell to branch on."""
    placed, best, fewest = False, FULL, 99
    for cell in range(len(cells)):
        if cells[cell]:
            continue
        options = _options(cell, used, rules)
        if options == 0:
            return False, DEAD
        if _COUNT[options] == 1:
            _place(cell, options, cells, used, rules)
            placed = True
        elif _COUNT[options] < fewest:
            best, fewest = cell, _COUNT[options]
    return placed, best


@compiled
def _sole_places(cells: Masks, used: Masks, rules: Rules) -> tuple[bool, bool]:
    """Fill the cells that are a digit's only place in a unit: whether any; whether still sound."""
    placed, side = False, rules.units.shape[1]
    for unit in range(len(rules.units)):
        once, twice = 0, 0
        for cell in rules.units[unit]:
            if not cells[cell]:
                options = _options(cell, used, rules)
                twice |= once & options
                once |= options
        if once | used[unit] != (1 << side) - 1:
            return placed, False
        sole = once & ~twice
        if not sole:
            continue
        for cell in rules.units[unit]:
            if not cells[cell]:
                digit = sole & _options(cell, used, rules)
                if _COUNT[digit] > 1:
                    return placed, False
                if digit:
                    _place(cell, digit, cells, used, rules)
                    placed = True
    return placed, True


@compiled
def _settle(cells: Masks, used: Masks, rules: Rules) -> int:
    """Place singles until none is left: the cell to branch on, or FULL, or DEAD."""
    while True:
        placed, best = _sole_candidates(cells, used, rules)
        if best == DEAD:
            return DEAD
        if placed:
            continue
        if best == FULL:
            return FULL
        placed, sound = _sole_places(cells, used, rules)
        if not sound:
            return DEAD
        if not placed:
            return best


@compiled
def _stack(rules: Rules) -> Stack:
    levels = len(rules.of) + 1
    return Stack(
        np.zeros((levels, len(rules.of)), np.int16),
        np.zeros((levels, len(rules.units)), np.int16),
        np.zeros(levels, np.int64),
        np.zeros(levels, np.int64),
    )


@compiled
def _load(digits_S: Digits, stack: Stack, rules: Rules) -> bool:
    """Begin a search from these clues: whether no two of them contradict each other."""
    stack.cells[0] = 0
    stack.used[0] = 0
    stack.left[0] = UNTRIED
    for cell in range(len(digits_S)):
        if digits_S[cell]:
            digit = 1 << (int(digits_S[cell]) - 1)
            if not digit & _options(cell, stack.used[0], rules):
                return False
            _place(cell, digit, stack.cells[0], stack.used[0], rules)
    return True


@compiled
def _pick(options: int, state: State) -> int:
    """One of the digits: the lowest, or any if there is a generator."""
    skip = below(state, _COUNT[options]) if len(state) else 0
    for _ in range(skip):
        options &= options - 1
    return options & -options


@compiled
def _search(
    stack: Stack, rules: Rules, limit: int, state: State, answer_S: Digits
) -> tuple[int, int]:
    """Solutions, counted up to `limit`, and guesses; the first solution goes to `answer_S`."""
    solutions, guesses, level = 0, 0, 0
    while level >= 0:
        cells, used = stack.cells[level], stack.used[level]
        if stack.left[level] == UNTRIED:
            cell = _settle(cells, used, rules)
            stack.left[level] = 0
            if cell == FULL:
                solutions += 1
                if solutions == 1:
                    for at in range(len(cells)):
                        answer_S[at] = _COUNT[cells[at] - 1] + 1
                if solutions == limit:
                    break
            elif cell != DEAD:
                stack.branch[level], stack.left[level] = cell, _options(cell, used, rules)
        if stack.left[level] == 0:
            level -= 1
            continue
        digit = _pick(stack.left[level], state)
        stack.left[level] ^= digit
        guesses += stack.left[level] != 0
        level += 1
        stack.cells[level], stack.used[level], stack.left[level] = cells, used, UNTRIED
        _place(int(stack.branch[level - 1]), digit, stack.cells[level], stack.used[level], rules)
    return solutions, guesses


@compiled
def _only_digit(cell: int, clues_S: Digits, stack: Stack, rules: Rules, scrap_S: Digits) -> bool:
    """Whether an emptied cell of a puzzle can hold but the digit that its solution has there."""
    digit = clues_S[cell]
    clues_S[cell] = 0
    _load(clues_S, stack, rules)
    others = _options(cell, stack.used[0], rules) & ~(1 << (int(digit) - 1))
    clues_S[cell] = digit
    stack.branch[0], stack.left[0] = cell, others
    solutions, _ = _search(stack, rules, 1, np.empty(0, np.uint64), scrap_S)
    return solutions == 0


@compiled
def _dig(clues_S: Digits, givens: int, state: State, stack: Stack, rules: Rules) -> int:
    """Empty cells in random order while one solution remains, down to `givens`: those left."""
    left, scrap_S = len(clues_S), np.empty_like(clues_S)
    for cell in shuffled(state, len(clues_S)):
        if left == givens:
            break
        if _only_digit(cell, clues_S, stack, rules, scrap_S):
            clues_S[cell] = 0
            left -= 1
    return left


@compiled
def _generate(
    seed: int, first: int, count: int, givens: tuple[int, int], rules: Rules
) -> tuple[Digits, Digits, Ints]:
    low, high = givens
    cells = len(rules.of)
    clues_NS = np.zeros((count, cells), np.uint8)
    answers_NS = np.zeros((count, cells), np.uint8)
    guesses_N = np.full(count, -1, np.int64)
    scrap_S = np.zeros(cells, np.uint8)
    stack, nothing = _stack(rules), np.empty(0, np.uint64)
    for n in range(count):
        state = generator(seed, CANDIDATES, first + n)
        _load(clues_NS[n], stack, rules)
        _search(stack, rules, 1, state, answers_NS[n])
        clues_NS[n] = answers_NS[n]
        target = low + below(state, high - low + 1)
        if _dig(clues_NS[n], target, state, stack, rules) <= high:
            _load(clues_NS[n], stack, rules)
            solutions, guesses = _search(stack, rules, 2, nothing, scrap_S)
            if solutions == 1:
                guesses_N[n] = guesses
    return clues_NS, answers_NS, guesses_N


@compiled
def _solve(digits_NS: Digits, limit: int, rules: Rules) -> tuple[Ints, Ints, Digits]:
    solutions_N, guesses_N = np.zeros((2, len(digits_NS)), np.int64)
    answers_NS, nothing, stack = np.zeros_like(digits_NS), np.empty(0, np.uint64), _stack(rules)
    for n in range(len(digits_NS)):
        if _load(digits_NS[n], stack, rules):
            solutions_N[n], guesses_N[n] = _search(stack, rules, limit, nothing, answers_NS[n])
    return solutions_N, guesses_N, answers_NS


@lru_cache
def _rules(side: int) -> Rules:
    rows, columns = BOXES[side]
    row_S, column_S = np.divmod(np.arange(side * side), side)
    box_S = row_S // rows * rows + column_S // columns
    of = np.stack([row_S, side + column_S, 2 * side + box_S], axis=1)
    units = [np.flatnonzero((of == unit).any(axis=1)) for unit in range(3 * side)]
    return Rules(np.stack(units), of)


def solve(digits_NS: Digits, side: int, limit: int = 2) -> Solved:
    """Search each grid until `limit` solutions are found: 1 of at most 2 is exactly one.

    Raises:
        ValueError: not grids of this side, a digit that is not in 0..side, or a limit below 1.
    """
    if limit < 1:
        raise ValueError(f"limit={limit}: wanted at least one solution to stop at")
    return Solved(*_solve(checked(digits_NS, side), limit, _rules(side)))


def generate(seed: int, first: int, count: int, givens: tuple[int, int], side: int) -> Candidates:
    """Candidates number first..first + count - 1 of a seed.

    Each is a random full grid whose cells are emptied in random order wherever the solution stays
    the only one, down to a number of givens drawn from the range.
    """
    return Candidates(*_generate(seed, first, count, givens, _rules(side)))
