"""Scores of predicted grids: hand-made cases, a literal reference, and the seed's mistake."""

import numpy as np
import pytest

from models.arc import FIRST_COLOUR, decode, encode
from models.baselines import BASELINES
from models.grid_scores import (
    confusion,
    exact_grids,
    grid_scores,
    score_beside_baselines,
)

SIDE = 4


def canvases(*grids, side=SIDE):
    return np.stack([encode(np.array(grid, np.uint8), side) for grid in grids])


def test_a_case_by_hand():
    """Two answers: one cell of five wrong in the first, all right and too large in the second."""
    answers = canvases([[0, 1, 1], [2, 0, 0]], [[3]])
    predictions = canvases([[0, 1, 0], [2, 0, 0]], [[3, 3]])
    found = grid_scores(predictions, answers, SIDE)
    assert found["exact"] == 0
    assert (found["exact/low"], found["exact/high"]) == (0, 0)
    assert found["shape_accuracy"] == 1 / 2
    assert found["cell_accuracy"] == 6 / 7
    assert found["background_accuracy"] == 1
    assert found["non_background_accuracy"] == 3 / 4
    assert found["colour/0/precision"] == 3 / 4
    assert found["colour/0/recall"] == 1
    assert found["colour/0/f1"] == pytest.approx(6 / 7)
    assert found["colour/1/precision"] == 1
    assert found["colour/1/recall"] == 1 / 2
    assert found["colour/3/f1"] == 1
    assert not [name for name in found if name.startswith("colour/4")]


def test_a_colour_only_predicted_or_only_wanted():
    """The first has a precision of 0 and no recall, the second a recall of 0 and no precision."""
    found = grid_scores(canvases([[5]]), canvases([[6]]), SIDE)
    assert found["colour/5/precision"] == found["colour/6/recall"] == 0
    assert found["colour/5/f1"] == found["colour/6/f1"] == 0
    assert "colour/5/recall" not in found
    assert "colour/6/precision" not in found
    assert "background_accuracy" not in found


@pytest.mark.parametrize(
    ("predicted", "right"),
    [
        ([[1, 0], [0, 1]], True),
        ([[1, 0], [0, 2]], False),
        ([[1, 0, 0], [0, 1, 0]], False),
        ([[1, 0]], False),
    ],
    ids=["same", "a cell", "too wide", "too low"],
)
def test_exact_is_every_cell_and_the_size(predicted, right):
    """A grid that holds the answer is not the answer."""
    answer = canvases([[1, 0], [0, 1]])
    assert exact_grids(canvases(predicted), answer, SIDE).tolist() == [right]


def test_what_stands_outside_of_the_grid_does_not_matter():
    """End marks, padding, and colours that do not touch the grid are no part of it."""
    answer = canvases([[1, 0], [0, 1]])
    marked = answer.copy()
    marked[answer < FIRST_COLOUR] = 0
    marked[0, -1] = FIRST_COLOUR
    assert exact_grids(marked, answer, SIDE).all()


def test_scores_are_those_of_a_literal_reference():
    """Exact, sizes and cells of noisy predictions, grid by grid."""
    draw = np.random.default_rng(0)
    sizes = draw.integers(1, SIDE + 1, (60, 2))
    answers = canvases(*(draw.integers(0, 4, size) for size in sizes))
    noise = draw.integers(0, 12, answers.shape)
    predictions = np.where(draw.random(answers.shape) < 0.05, noise, answers).astype(np.uint8)
    exact, shapes, right, background = [], [], [], []
    for wanted, said, row in zip(
        decode(answers, SIDE), decode(predictions, SIDE), predictions, strict=True
    ):
        exact.append(said is not None and np.array_equal(said, wanted))
        shapes.append(said is not None and said.shape == wanted.shape)
        for (y, x), colour in np.ndenumerate(wanted):
            right.append(row.reshape(SIDE, SIDE)[y, x] == colour + FIRST_COLOUR)
            background.append(colour == 0)
    found = grid_scores(predictions, answers, SIDE)
    right, background = np.array(right), np.array(background)
    assert found["exact"] == np.mean(exact)
    assert 0 < found["exact/low"] < found["exact"] < found["exact/high"] < 1
    assert found["shape_accuracy"] == np.mean(shapes)
    assert found["cell_accuracy"] == right.mean()
    assert found["background_accuracy"] == right[background].mean()
    assert found["non_background_accuracy"] == right[~background].mean()


def test_rows_are_counted_alike_in_parts(monkeypatch):
    """However many rows are counted at once, and each with its own table."""
    answers = canvases([[1]], [[1]], [[2, 3]])
    predictions = canvases([[1]], [[2]], [[2, 2]])
    tables = np.tile(np.arange(12, dtype=np.uint8), (3, 1))
    tables[1, [3, 4]] = 4, 3
    whole = confusion(predictions, answers, tables)
    monkeypatch.setattr("models.grid_scores._ROWS_AT_ONCE", 1)
    assert np.array_equal(confusion(predictions, answers, tables), whole)
    assert {(w, p): n for (w, p), n in np.ndenumerate(whole) if n} == {
        (3, 3): 1,
        (4, 3): 1,
        (4, 4): 1,
        (5, 4): 1,
    }


def test_baselines_stand_beside_every_score():
    """Each has every score, and the lead over the best one is told."""
    questions = canvases([[1, 2], [2, 2]], [[0, 3]])
    answers = canvases([[1, 2], [2, 1]], [[3, 3]])
    found = score_beside_baselines(answers, questions, answers, SIDE)
    for name, answer in BASELINES.items():
        for metric, value in grid_scores(answer(questions), answers, SIDE).items():
            assert found[f"baseline/{name}/{metric}"] == value
    assert found["baseline/copy_input/cell_accuracy"] == 4 / 6
    assert found["above_baseline/cell_accuracy"] == pytest.approx(2 / 6)
    assert found["baseline/copy_input/exact"] == 0
    assert found["above_baseline/exact"] == 1
    assert found["above_baseline/shape_accuracy"] == 0


def as_the_original(predicted, grid):
    """Right cells of 30 x 30, the answer padded with colour 0: all the original looked at."""
    padded = np.zeros((30, 30), int)
    padded[: grid.shape[0], : grid.shape[1]] = grid
    return (predicted == padded).sum()


def test_the_seeds_score_is_no_lead():
    """Colour 0 everywhere scored 146,289 of 154,800 cells (94.5%); here it leads over nothing.

    172 answers of 10 x 10 with the 8,511 cells of other colours that the seed's figure leaves.
    """
    answers = [np.zeros(100, np.uint8) for _ in range(172)]
    for place, answer in enumerate(answers):
        answer[: 50 if place < 83 else 49] = 1 + place % 9
    grids = [answer.reshape(10, 10) for answer in answers]
    nothing = np.zeros((30, 30), int)
    right = sum(as_the_original(nothing, grid) for grid in grids)
    assert right == 146_289
    assert right / 154_800 == pytest.approx(0.94502, abs=1e-5)

    questions = canvases(*(grid[:5, :5] for grid in grids), side=30)
    labels = canvases(*grids, side=30)
    predictions = np.full_like(labels, FIRST_COLOUR)
    found = score_beside_baselines(predictions, questions, labels, 30)
    assert found["cell_accuracy"] == (17_200 - 8_511) / 17_200
    assert found["above_baseline/cell_accuracy"] == 0
    assert found["above_baseline/non_background_accuracy"] < 0
    assert found["exact"] == found["shape_accuracy"] == found["non_background_accuracy"] == 0


def test_what_cannot_be_scored_is_refused():
    """No answers, predictions or questions of another shape, an answer without a grid."""
    answers = canvases([[1]], [[2]])
    with pytest.raises(ValueError, match="the split is empty"):
        grid_scores(answers[:0], answers[:0], SIDE)
    with pytest.raises(ValueError, match=r"predictions \(1, 16\) for answers \(2, 16\)"):
        grid_scores(answers[:1], answers, SIDE)
    with pytest.raises(ValueError, match="canvases of 3x3"):
        grid_scores(answers, answers, 3)
    with pytest.raises(ValueError, match=r"questions \(1, 16\)"):
        score_beside_baselines(answers, answers[:1], answers, SIDE)
    with pytest.raises(ValueError, match="answer 1 shows no grid"):
        grid_scores(answers, np.stack([answers[0], np.zeros(16, np.uint8)]), SIDE)
