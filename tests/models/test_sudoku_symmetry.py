"""Forms of a puzzle, and the one that stands for all of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from literal_sudoku import BOXES, forms, is_solution

from models.sudoku_solver import generate, solve
from models.sudoku_symmetry import augment, canonical

SIDES = tuple(BOXES)


def puzzle(side, number):
    """Clues and answer of one puzzle [1, 2, S]."""
    made = generate(7, number, 1, (side, side * side - 1), side)
    return np.stack([made.clues_NS, made.answers_NS], axis=1)


def swapped(grid, side, move, one, other):
    """The grid [side, side] with two digits, rows of a band or bands exchanged, or turned."""
    rows = BOXES[side][0]
    if move == "digits":
        one, other = one % side + 1, other % side + 1
        return np.where(grid == one, other, np.where(grid == other, one, grid))
    if move == "transpose":
        return grid.T if rows == BOXES[side][1] else grid
    if move in {"columns", "stacks"}:
        kind = "rows" if move == "columns" else "bands"
        size = BOXES[side][1]
        return exchanged(grid.T, side // size, size, kind, one, other).T
    return exchanged(grid, side // rows, rows, move, one, other)


def exchanged(grid, groups, size, move, one, other):
    lines = np.arange(groups * size).reshape(groups, size)
    if move == "bands":
        lines[[one % groups, other % groups]] = lines[[other % groups, one % groups]]
    else:
        band = lines[(one + other) % groups]
        band[[one % size, other % size]] = band[[other % size, one % size]]
    return grid[lines.reshape(-1)]


@pytest.mark.parametrize("side", SIDES)
@given(number=st.integers(0, 500), seed=st.integers(0, 2**63 - 1))
@settings(max_examples=30)
def test_forms_are_puzzles_of_the_same_class(side, number, seed):
    """A form has one solution, its own answer, as many clues, and the same canonical form."""
    grids = puzzle(side, number)
    made = augment(grids, 4, seed, side)
    assert made.shape == (1, 4, 2, side * side)
    assert (made[0, 0] == grids[0]).all()
    clues, answers = made[0, :, 0], made[0, :, 1]
    found = solve(clues, side)
    assert (found.solutions_N == 1).all()
    assert (found.answers_NS == answers).all()
    assert ((clues > 0).sum(1) == (grids[0, 0] > 0).sum()).all()
    assert (canonical(answers, side) == canonical(grids[:, 1], side)).all()


def test_forms_are_all_kinds_of_symmetry():
    """A cell goes to every place, half of the forms are turned, digits take every name."""
    mark = np.zeros((1, 1, 81), np.uint8)
    mark[0, 0, [0, 1]] = 1, 2
    made = augment(mark, 4000, 0, 9)[0, :, 0]
    at = np.stack([np.argmax(made == made.max(1, keepdims=True), 1), (made > 0).argmax(1)])
    assert len(np.unique(at)) == 81
    first, second = np.divmod(np.array([np.flatnonzero(form) for form in made]), 9)[0].T
    turned = first != second
    assert 0.45 < turned.mean() < 0.55
    pairs = {tuple(form[form > 0]) for form in made}
    assert pairs == {(a, b) for a in range(1, 10) for b in range(1, 10) if a != b}


def test_forms_differ_by_seed_and_repeat_with_it():
    """The same seed gives the same forms, another seed others, and each puzzle its own."""
    grids = np.concatenate([puzzle(9, 1), puzzle(9, 1)])
    one = augment(grids, 50, 3, 9)
    assert (one == augment(grids, 50, 3, 9)).all()
    assert not (one[:, 1:] == augment(grids, 50, 4, 9)[:, 1:]).all((2, 3)).any()
    assert not (one[0, 1:] == one[1, 1:]).all((1, 2)).any()


@pytest.mark.parametrize("side", SIDES)
@given(data=st.data())
@settings(max_examples=40)
def test_canonical_forms_do_not_change_under_any_symmetry(side, data):
    """However a full grid is exchanged, turned and renamed, it stands for the same class."""
    grid = puzzle(side, data.draw(st.integers(0, 500)))[0, 1]
    moved = grid.reshape(side, side)
    kinds = st.sampled_from(["digits", "rows", "bands", "columns", "stacks", "transpose"])
    for move in data.draw(st.lists(kinds, min_size=1, max_size=12)):
        line = st.integers(0, side - 1)
        moved = swapped(moved, side, move, data.draw(line), data.draw(line))
    assert is_solution(moved.reshape(-1).tolist(), side)
    one, other = canonical(np.stack([grid, moved.reshape(-1)]), side)
    assert (one == other).all()


@pytest.mark.parametrize(("side", "grids"), [(4, 20), (6, 6)])
def test_canonical_forms_are_the_least_of_all_forms(side, grids):
    """The form is the first, as a list, of those that the whole group of symmetries makes."""
    for number in range(grids):
        answer = puzzle(side, number)[:, 1]
        assert canonical(answer, side)[0].tolist() == min(forms(answer[0].tolist(), side))


def test_canonical_forms_of_9_x_9_are_forms():
    """The form of a form is itself, and it is a full grid that begins as the least ones do."""
    answers = generate(2, 0, 100, (80, 80), 9).answers_NS
    least = canonical(answers, 9)
    assert (canonical(least, 9) == least).all()
    assert (least[:, :12] == [*range(1, 10), 4, 5, 6]).all(1).any()
    assert (least[:, :10] == [*range(1, 10), 4]).all()
    assert all(is_solution(grid, 9) for grid in least.tolist())
    assert len(np.unique(least, axis=0)) == 100


@pytest.mark.parametrize(("side", "grids", "classes"), [(4, 500, 2), (6, 20_000, 49)])
def test_classes_are_as_many_as_are_known(side, grids, classes):
    """Random grids of 4 x 4 fall into 2 classes, those of 6 x 6 into 49, as is published."""
    answers = generate(0, 0, grids, (side * side - 1,) * 2, side).answers_NS
    assert len(np.unique(canonical(answers, side), axis=0)) == classes


def test_only_solutions_have_canonical_forms():
    """A blank cell or a digit twice is an error that names the row."""
    answers = generate(0, 0, 3, (15, 15), 4).answers_NS
    answers[1, 5] = 0
    with pytest.raises(ValueError, match="row 1 is no solution"):
        canonical(answers, 4)
    with pytest.raises(ValueError, match="wanted \\[N, side"):
        canonical(answers, 9)
