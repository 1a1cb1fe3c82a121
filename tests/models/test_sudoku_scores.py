"""Scores of answers to Sudoku, and what a right answer is."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from literal_sudoku import BOXES, is_solution

from models.puzzles import Split
from models.sudoku import constant_baseline, is_valid, score
from models.sudoku_solver import generate

ROOT = Path(__file__).resolve().parents[2]
ANSWER = [1, 2, 3, 4, 3, 4, 1, 2, 2, 1, 4, 3, 4, 3, 2, 1]
BLANKS = [0, 5, 10, 15]


def tokens(digits):
    return np.array([digits], np.uint8) + np.uint8(1)


def split_of(inputs, labels):
    count = len(inputs)
    return Split(
        inputs_NS=inputs,
        labels_NS=labels,
        puzzle_identifiers_P=np.zeros(count, np.int32),
        puzzle_indices_P1=np.arange(count + 1, dtype=np.int32),
        group_indices_G1=np.arange(count + 1, dtype=np.int32),
    )


def question():
    inputs = tokens(ANSWER)
    inputs[0, BLANKS] = 1
    return inputs


@pytest.mark.parametrize("side", BOXES)
def test_any_solution_that_keeps_the_clues_is_valid(side):
    """Answers are judged by the rules: without clues every full grid is valid."""
    answers = generate(0, 0, 50, (side, side * side - 1), side).answers_NS + np.uint8(1)
    blank = np.ones_like(answers)
    assert is_valid(answers, blank, side).all()
    assert is_valid(answers.astype(np.int64), answers, side).all()
    assert not is_valid(answers[1:], answers[:-1], side).any()


@pytest.mark.parametrize("side", BOXES)
def test_two_cells_exchanged_are_seen_wherever_they_are(side):
    """Any two different digits of a solution that change places make it invalid."""
    answer = generate(0, 0, 1, (side, side * side - 1), side).answers_NS[0] + np.uint8(1)
    one, other = np.triu_indices(side * side, 1)
    differ = answer[one] != answer[other]
    one, other = one[differ], other[differ]
    wrong = np.repeat(answer[None], len(one), axis=0)
    at = np.arange(len(one))
    wrong[at, one], wrong[at, other] = answer[other], answer[one]
    assert not is_valid(wrong, np.ones_like(wrong), side).any()


@pytest.mark.parametrize(
    ("unit", "digits"),
    [
        ("row", [1, 1, 2, 2, 3, 3, 4, 4, 2, 2, 1, 1, 4, 4, 3, 3]),
        ("column", [1, 2, 3, 4, 3, 4, 1, 2, 1, 2, 3, 4, 3, 4, 1, 2]),
        ("box", [1, 2, 3, 4, 2, 3, 4, 1, 3, 4, 1, 2, 4, 1, 2, 3]),
    ],
)
def test_each_kind_of_unit_is_checked(unit, digits):
    """A grid that is wrong in its rows, or columns, or boxes is invalid."""
    assert not is_solution(digits, 4)
    assert not is_valid(tokens(digits), np.ones((1, 16), np.uint8), 4).any(), unit


@pytest.mark.parametrize("token", [-1, 0, 1, 6, 40, 255, 2**40])
def test_what_is_no_digit_is_invalid(token):
    """Padding, blank and tokens that do not exist are wrong, never an error or a digit."""
    answer = tokens(ANSWER).astype(np.int64)
    answer[0, 0] = token
    assert not is_valid(answer, question(), 4).any()


def test_another_solution_breaks_clues():
    """A right grid that is not the answer to this question is invalid."""
    exchanged = [{1: 2, 2: 1}.get(digit, digit) for digit in ANSWER]
    assert is_solution(exchanged, 4)
    assert not is_valid(tokens(exchanged), question(), 4).any()


def test_scores_of_answers_worked_out_by_hand():
    """One right row; one with one blank wrong; one with a clue changed as well."""
    answers = np.repeat(tokens(ANSWER), 3, axis=0)
    answers[1:, BLANKS[0]] += 1
    answers[2, 1] += 1
    split = split_of(np.repeat(question(), 3, axis=0), np.repeat(tokens(ANSWER), 3, axis=0))
    assert score(answers, split, 4) == {
        "exact": pytest.approx(1 / 3),
        "valid": pytest.approx(1 / 3),
        "cell_accuracy": pytest.approx(10 / 12),
        "givens_kept": pytest.approx(35 / 36),
    }


def test_a_second_solution_is_valid_and_not_exact():
    """Where clues allow it, an answer that differs from the label is valid all the same."""
    inputs = np.ones((1, 16), np.uint8)
    inputs[0, 2] = ANSWER[2] + 1
    exchanged = [{1: 2, 2: 1}.get(digit, digit) for digit in ANSWER]
    found = score(tokens(exchanged), split_of(inputs, tokens(ANSWER)), 4)
    assert (found["exact"], found["valid"], found["givens_kept"]) == (0.0, 1.0, 1.0)
    assert found["cell_accuracy"] == pytest.approx(7 / 15)


def test_the_constant_baseline_knows_training_only():
    """It answers the commonest digit of the blanks of training, whatever the test's is."""
    train = split_of(question(), tokens(ANSWER))
    labels = tokens(ANSWER)
    labels[0, BLANKS] = 5, 5, 5, 2
    assert (train.labels_NS[0, BLANKS] == [2, 5, 5, 2]).all()
    found = constant_baseline(train, split_of(question(), labels), 4)
    assert found["cell_accuracy"] == pytest.approx(1 / 4)
    assert (found["exact"], found["givens_kept"]) == (0.0, 1.0)


def test_answers_of_another_shape_are_refused():
    """Too few rows, another side and a split with nothing to answer are errors."""
    split = split_of(question(), tokens(ANSWER))
    for answers, side in ((tokens(ANSWER)[:, :9], 4), (tokens(ANSWER), 6), (tokens(ANSWER)[0], 4)):
        with pytest.raises(ValueError, match="both must be"):
            score(answers, split, side)
    with pytest.raises(ValueError, match="nothing to score"):
        score(tokens(ANSWER), split_of(tokens(ANSWER), tokens(ANSWER)), 4)


def test_scoring_does_not_load_numba():
    """An evaluation of a model starts without what only generation needs."""
    program = "import sys, models.sudoku; print('numba' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
