"""The compiled search against one that is written out with sets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from literal_sudoku import BOXES, count, is_solution, search

from models.sudoku_solver import generate, solve

# Few clues leave many ways, on which a wrong count would show.
GIVENS = {4: (4, 10), 6: (8, 20), 9: (21, 40)}
KNOWN = "000000010400000000020000000000050407008000300001090000300400200050100000000806000"
ANSWER = "693784512487512936125963874932651487568247391741398625319475268856129743274836159"


def bytes_of(*grids):
    return np.array([[int(digit) for digit in grid] for grid in grids], np.uint8)


@given(st.lists(st.sampled_from([0, 0, 0, 1, 2, 3, 4]), min_size=16, max_size=16))
def test_counts_equal_those_of_trying_everything(digits):
    """Whatever the clues, contradictory ones too, as many solutions are found as there are."""
    found = solve(bytes_of(digits), 4, limit=300)
    assert found.solutions_N[0] == count(digits, 4, 300)
    assert found.guesses_N[0] == search(digits, 4, 300)[1]


@pytest.mark.parametrize("side", BOXES)
@given(data=st.data())
def test_solutions_and_guesses_equal_those_of_the_literal_search(side, data):
    """Puzzles with clues taken away or changed: as many solutions, and as many guesses."""
    number = data.draw(st.integers(0, 1000))
    puzzle = generate(3, number, 1, (side, side * side - 1), side).clues_NS[0].tolist()
    for cell in data.draw(st.lists(st.integers(0, side * side - 1), max_size=3)):
        puzzle[cell] = data.draw(st.integers(0, side))
    found = solve(bytes_of(puzzle), side, limit=2)
    assert (found.solutions_N[0], found.guesses_N[0]) == search(puzzle, side, 2)
    if found.solutions_N[0]:
        answer = found.answers_NS[0].tolist()
        assert is_solution(answer, side)
        assert all(clue in {0, digit} for clue, digit in zip(puzzle, answer, strict=True))


def test_a_published_puzzle_is_solved():
    """A puzzle of 17 clues has its published solution and no other."""
    found = solve(bytes_of(KNOWN), 9)
    assert found.solutions_N[0] == 1
    assert (found.answers_NS == bytes_of(ANSWER)).all()


def test_there_are_288_grids_of_4_x_4():
    """From nothing every full grid is found, and a limit ends the search."""
    blank = np.zeros((1, 16), np.uint8)
    assert solve(blank, 4, limit=1000).solutions_N[0] == 288
    assert solve(blank, 4, limit=7).solutions_N[0] == 7


@pytest.mark.parametrize("side", BOXES)
def test_candidates_are_puzzles_with_one_solution(side):
    """Clues are part of a solution that no other fits, as many as asked for or marked as not."""
    low, high = GIVENS[side]
    made = generate(0, 0, 60, (low, high), side)
    met = made.guesses_N >= 0
    givens = (made.clues_NS > 0).sum(1)
    assert met.any()
    assert ((givens >= low) & (givens <= high) == met).all()
    assert ((made.clues_NS == 0) | (made.clues_NS == made.answers_NS)).all()
    for clues, guesses in zip(made.clues_NS[:10].tolist(), made.guesses_N[:10], strict=True):
        assert search(clues, side, 2) == (1, max(guesses, 0)) or guesses < 0
    assert all(is_solution(answer, side) for answer in made.answers_NS.tolist())


def test_too_few_givens_are_marked():
    """A candidate that cannot be emptied as far as asked has no number of guesses."""
    made = generate(0, 0, 20, (10, 16), 9)
    assert (made.guesses_N == -1).all()
    assert ((made.clues_NS > 0).sum(1) > 16).all()


def test_a_candidate_depends_on_its_number_alone():
    """The same candidates come out one by one, in other portions, and never for another seed."""
    whole = generate(1, 0, 12, (21, 34), 9)
    parts = [generate(1, first, 4, (21, 34), 9) for first in (8, 0, 4)]
    assert (np.concatenate([parts[n].clues_NS for n in (1, 2, 0)]) == whole.clues_NS).all()
    assert (generate(1, 5, 1, (21, 34), 9).answers_NS[0] == whole.answers_NS[5]).all()
    assert not (generate(2, 0, 12, (21, 34), 9).answers_NS == whole.answers_NS).all(1).any()


@pytest.mark.parametrize(
    ("digits", "side", "limit", "says"),
    [
        (np.zeros((1, 16), np.uint8), 9, 2, "wanted \\[N, side"),
        (np.zeros(16, np.uint8), 4, 2, "wanted \\[N, side"),
        (np.zeros((1, 25), np.uint8), 5, 2, "wanted \\[N, side"),
        (np.full((1, 16), 5, np.uint8), 4, 2, "digits 5..5"),
        (np.full((1, 16), -1), 4, 2, "digits -1..-1"),
        (np.zeros((1, 16), np.uint8), 4, 0, "limit=0"),
    ],
)
def test_what_is_no_grid_is_refused(digits, side, limit, says):
    """Another shape, a digit that does not exist and a limit of nothing are errors."""
    with pytest.raises(ValueError, match=says):
        solve(digits, side, limit)
