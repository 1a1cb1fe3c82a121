"""evaluate.py scores a checkpoint on no puzzle whose answer it was trained on."""

from dataclasses import replace

import pytest

from experiments.common.world import World
from experiments.puzzles.evaluate import check_data
from experiments.puzzles.settings import read_settings
from experiments.puzzles.study import build
from models.puzzles import answers_in_common, read_split

SETTINGS = {
    "data": "sudoku-9x9",
    "train_puzzles": 30,
    "test_puzzles": 30,
    "augmentations": 1,
    "givens": [30, 40],
    "width": 8,
    "heads": 2,
    "threads": 1,
}


@pytest.mark.usefixtures("generators")
@pytest.mark.parametrize("data", ["sudoku-9x9", "maze-5x5"])
def test_another_set_of_the_same_kind_is_asked_only_if_no_answer_was_seen(training, data):
    """A set of the same seed that was cut elsewhere is refused; one of another seed is scored."""
    settings = read_settings(SETTINGS | {"data": data})
    saved = training(settings).content()
    check_data(saved, build(settings, World()))
    other = build(replace(settings, train_puzzles=2, test_puzzles=58), World())
    with pytest.raises(ValueError, match=r"answers that \S+ asks for: sets of one data_seed"):
        check_data(saved, other)
    if data == "sudoku-9x9":
        check_data(saved, build(replace(settings, data_seed=7), World()))


def test_answers_are_compared_cell_by_cell(training, generators):
    """Every example of a split shares its answer with the split itself; one cell makes another."""
    split = read_split(training(read_settings(SETTINGS)).state.study.folder, "test")
    assert answers_in_common(split, split) == split.examples == 30
    changed = split.labels_NS.copy()
    changed[0, 0] = 3 if changed[0, 0] != 3 else 4
    assert answers_in_common(replace(split, labels_NS=changed), split) == 29
