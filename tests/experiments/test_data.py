"""Settings that say what a generated set is made of."""

import pytest

from experiments.puzzles.data import data_folder
from experiments.puzzles.settings import read_settings
from models import maze
from models.puzzles import read_meta, read_split

FEW = {"train_puzzles": 12, "test_puzzles": 6, "augmentations": 1}


def made(argv=(), **given):
    """The folder of the set and what it says of itself."""
    folder = data_folder(read_settings(FEW | given, argv))
    return folder, read_meta(folder)


@pytest.mark.parametrize(("side", "least", "most"), [(4, 6, 9), (6, 8, 16), (9, 30, 38)])
def test_every_side_has_a_usual_number_of_givens(side, least, most):
    """Without `givens` a set of any side can be made, with clues from the side's own range."""
    folder, meta = made(data=f"sudoku-{side}x{side}")
    clues = (read_split(folder, "train").inputs_NS > 1).sum(1)
    assert meta.settings["givens"] == [least, most]
    assert least <= clues.min() <= clues.max() <= most


def test_givens_that_are_said_win():
    """From a spec's list and from the command line alike."""
    for argv, given in ((("givens=12,14",), {}), ((), {"givens": [12, 14]})):
        _, meta = made(argv, data="sudoku-6x6", **given)
        assert meta.settings["givens"] == [12, 14]


def test_walls_are_percentages_of_the_cells():
    """Every maze has as many walls as was said, and the set's name tells."""
    folder, meta = made(("walls=20,25",), data="maze-7x7")
    walls = (read_split(folder, "train").inputs_NS == maze.WALL).sum(1)
    assert round(0.2 * 49) <= walls.min() <= walls.max() <= round(0.25 * 49)
    assert meta.name == "maze-7x7-walls0.2-0.25-12x1-seed0"


def test_hard_mazes_have_long_ways():
    """`hard` asks for more than 0.122 moves a cell, where a side's length is asked for else."""
    folder, meta = made(("hard=true",), data="maze-11x11")
    assert (read_split(folder, "train").labels_NS == maze.PATH).sum(1).min() >= 14
    assert meta.name.startswith("maze-11x11-hard-")
