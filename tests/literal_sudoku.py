"""Sudoku written out slowly with sets, to compare the fast one with."""

from itertools import permutations, product

BOXES = {4: (2, 2), 6: (2, 3), 9: (3, 3)}


def units_of(side):
    """Rows, columns and boxes, each the list of its cells."""
    rows, columns = BOXES[side]
    whole = range(side)
    lines = [[row * side + column for column in whole] for row in whole]
    boxes = [
        [(top + i) * side + left + j for i in range(rows) for j in range(columns)]
        for top in range(0, side, rows)
        for left in range(0, side, columns)
    ]
    return lines + [list(line) for line in zip(*lines, strict=True)] + boxes


def is_solution(digits, side):
    """Whether each unit holds each digit once."""
    return all({digits[c] for c in unit} == set(range(1, side + 1)) for unit in units_of(side))


def candidates(digits, side):
    """The digits that a blank cell can hold, by cell."""
    everything = set(range(1, side + 1))
    units = units_of(side)
    return {
        cell: everything - {digits[other] for unit in units if cell in unit for other in unit}
        for cell, digit in enumerate(digits)
        if not digit
    }


def contradicts(digits, side):
    """Whether a unit holds a digit twice."""
    held = [[digits[c] for c in unit if digits[c]] for unit in units_of(side)]
    return any(len(digits) != len(set(digits)) for digits in held)


def count(digits, side, limit):
    """Solutions up to a limit, by trying every digit in every cell from the left."""
    if contradicts(digits, side):
        return 0
    if 0 not in digits:
        return 1
    cell, found = digits.index(0), 0
    for digit in range(1, side + 1):
        found += count([*digits[:cell], digit, *digits[cell + 1 :]], side, limit - found)
        if found >= limit:
            break
    return found


def settle(digits, side):
    """Place one single after the other: the grid and what its blanks can hold, or None."""
    digits = list(digits)
    while True:
        options = candidates(digits, side)
        places = [
            [cell for cell in unit if digit in options.get(cell, ())]
            for unit in units_of(side)
            for digit in range(1, side + 1)
            if digit not in {digits[cell] for cell in unit}
        ]
        if not all(options.values()) or not all(places):
            return None
        single = next((cell for cell, some in options.items() if len(some) == 1), None)
        if single is not None:
            digits[single] = min(options[single])
            continue
        hidden = next(
            (
                (places[0], digit)
                for unit in units_of(side)
                for digit in range(1, side + 1)
                if digit not in {digits[cell] for cell in unit}
                and len(places := [c for c in unit if digit in options.get(c, ())]) == 1
            ),
            None,
        )
        if hidden is None:
            return digits, options
        digits[hidden[0]] = hidden[1]


def search(digits, side, limit):
    """Solutions up to a limit, and guesses: digits tried while others of their cell remained."""
    settled = None if contradicts(digits, side) else settle(digits, side)
    if settled is None:
        return 0, 0
    digits, options = settled
    if not options:
        return 1, 0
    cell = min(options, key=lambda cell: (len(options[cell]), cell))
    solutions, guesses = 0, 0
    left = sorted(options[cell])
    while left and solutions < limit:
        digit = left.pop(0)
        guesses += bool(left)
        found = search([*digits[:cell], digit, *digits[cell + 1 :]], side, limit - solutions)
        solutions, guesses = solutions + found[0], guesses + found[1]
    return solutions, guesses


def line_orders(side, size):
    """Every order of the rows (or columns) that keeps bands (or stacks) of this size together."""
    groups = range(side // size)
    return [
        [group * size + at for group, inside in zip(order, insides, strict=True) for at in inside]
        for order in permutations(groups)
        for insides in product(permutations(range(size)), repeat=len(groups))
    ]


def forms(digits, side):
    """All forms under the symmetries of Sudoku, digits named in the order of the first row."""
    rows, columns = BOXES[side]
    grid = [digits[at : at + side] for at in range(0, side * side, side)]
    turned = [list(line) for line in zip(*grid, strict=True)]
    for one in [grid, turned] if rows == columns else [grid]:
        for row_order, column_order in product(line_orders(side, rows), line_orders(side, columns)):
            cells = [one[row][column] for row in row_order for column in column_order]
            names = {digit: name for name, digit in enumerate(cells[:side], start=1)}
            yield [names[digit] for digit in cells]
