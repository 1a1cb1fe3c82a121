"""Baselines on a canvas made by hand."""

import numpy as np

from models.arc import encode
from models.baselines import BASELINES, background, commonest_colour, constant, copy_input

QUESTION = np.array([[1, 1], [1, 0]], np.uint8)


def canvases(*grids):
    return np.stack([encode(np.array(grid, np.uint8), 3) for grid in grids])


def test_copy_is_the_question():
    """The answer is the question's canvas."""
    assert np.array_equal(copy_input(canvases(QUESTION)), canvases(QUESTION))


def test_background_is_zero_at_the_questions_size():
    """Colours become 0; end marks and padding stay."""
    assert np.array_equal(background(canvases(QUESTION)), canvases([[0, 0], [0, 0]]))


def test_constant_is_zero_on_the_whole_canvas():
    """Neither colours nor size of the question matter."""
    assert np.array_equal(constant(canvases(QUESTION)), canvases(np.zeros((3, 3))))


def test_the_commonest_colour_is_everywhere():
    """Each question gets its own; of equals the lowest; padding and end marks do not count."""
    asked = canvases(QUESTION, [[7]], [[4, 3]])
    assert np.array_equal(commonest_colour(asked), canvases([[1, 1], [1, 1]], [[7]], [[3, 3]]))


def test_all_have_a_name():
    """The names under which scores stand."""
    assert set(BASELINES) == {"copy_input", "background", "constant", "commonest_colour"}
