"""Baselines scored by hand."""

import numpy as np
import pytest

from models.arc import Task, encode
from models.baselines import (
    BASELINES,
    background,
    cells_right,
    commonest_colour,
    copy_question,
    pooled,
    score_baseline,
)

QUESTION = np.array([[1, 1], [1, 0]], np.uint8)
FLIPPED = np.array([[1, 1], [0, 1]], np.uint8)


def task(*questions):
    return Task(id="t", train=(), questions=questions)


def test_each_baseline_predicts_what_its_name_says():
    """Copy gives the question, background zeros, the commonest colour itself everywhere."""
    assert np.array_equal(copy_question(QUESTION), QUESTION)
    assert background(QUESTION).tolist() == [[0, 0], [0, 0]]
    assert commonest_colour(QUESTION).tolist() == [[1, 1], [1, 1]]
    assert set(BASELINES) == {"copy_input", "background", "commonest_colour"}


def test_copying_is_scored_by_hand():
    """One task of two copies, the other has two of four cells right: 1/2 solved, 6/8 cells."""
    score = score_baseline(
        [task(QUESTION), task(QUESTION)], [[QUESTION], [FLIPPED]], copy_question, 3
    )
    assert score.solved == 0.5
    assert score.cells == 6 / 8


def test_all_questions_of_a_task_must_be_copied():
    """A task of two questions of which one copies is not solved."""
    score = score_baseline([task(QUESTION, QUESTION)], [[QUESTION, FLIPPED]], copy_question, 2)
    assert score.solved == 0


def test_padding_is_not_counted():
    """Only cells inside the answer's grid count, however large the canvas."""
    assert cells_right(encode(QUESTION, 6), QUESTION, 6) == (4, 4)
    assert cells_right(np.zeros(36, np.int64), QUESTION, 6) == (0, 4)


def test_large_grids_weigh_by_their_cells():
    """Pooled accuracy is over cells, not over grids."""
    assert pooled([(1, 1), (0, 9)]) == pytest.approx(0.1)
