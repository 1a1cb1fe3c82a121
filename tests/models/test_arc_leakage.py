"""No answer of an evaluated pair is ever in what a model is trained on, in any guise."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import arc, arc_set
from models.arc_leakage import Place, canonical, check_evaluation, overlap, pairs_of
from models.puzzles import Meta

NAMES = ("arc1-aug-1", "arc1-train-same-size-8x8")


def tasks_of(name):
    """(training tasks, evaluated tasks) of a set, as `build` takes them."""
    described = arc_set.parse_set(name)
    training, evaluation = arc_set.load_tasks(described.family)
    if described.tasks == "all":
        return training, evaluation
    chosen = arc_set.build(replace(described, augmentations=1)).test_puzzles
    return (), tuple(task for task in training if task.name in chosen)


def arrays(split):
    return [getattr(split, name).tobytes() for name in split.__slots__]


def small_grids():
    return st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(0, 999)).map(
        lambda s: np.random.default_rng(s[2]).integers(0, 3, s[:2]).astype(np.uint8)
    )


@given(
    pair=st.tuples(small_grids(), small_grids()),
    symmetry=st.integers(0, 7),
    colours=st.permutations(list(range(1, 10))),
)
def test_augmentation_does_not_change_the_canonical_form(pair, symmetry, colours):
    """A pair and each augmentation of it have one canonical form."""
    shown = tuple(arc.augment(grid, symmetry, (0, *colours)) for grid in pair)
    assert canonical(shown) == canonical(pair)


@given(one=st.tuples(small_grids(), small_grids()), other=st.tuples(small_grids(), small_grids()))
def test_equal_canonical_forms_mean_that_one_is_shown_as_the_other(one, other):
    """Two pairs of one form are made the same by a symmetry and a renaming, found by search."""
    found = any(renames([turn(g) for g in one], other) for turn in arc.SYMMETRIES)
    assert (canonical(one) == canonical(other)) == found


def renames(one, other):
    """Whether colours can be renamed, one to one and 0 to 0, so that `one` becomes `other`."""
    if [g.shape for g in one] != [g.shape for g in other]:
        return False
    cells = {
        (int(a), int(b))
        for g, h in zip(one, other, strict=True)
        for a, b in zip(g.flat, h.flat, strict=True)
    }
    return len({a for a, _ in cells}) == len({b for _, b in cells}) == len(cells) and all(
        (a == 0) == (b == 0) for a, b in cells
    )


def test_overlap_finds_a_turned_and_recoloured_pair():
    """A couple of alike pairs is named with both places; pairs that are not alike are not."""
    question, answer = np.array([[1, 2, 0]], np.uint8), np.array([[3]], np.uint8)
    turned = (np.array([[0], [7], [5]], np.uint8), np.array([[9]], np.uint8))
    here, there = Place(task="a", part="train", number=0), Place(task="b", part="test", number=1)
    (found,) = overlap([(here, turned)], [(there, (question, answer))])
    assert (found.trained, found.evaluated) == (here, there)
    other = (question, np.array([[0]], np.uint8))
    assert overlap([(here, turned)], [(there, other)]) == ()


@pytest.mark.parametrize("name", NAMES)
def test_changed_answers_change_nothing_that_is_trained_on(name):
    """With every evaluated answer replaced, the train split and all names are the same bytes."""
    described = arc_set.parse_set(name)
    training, evaluated = tasks_of(name)
    changed = [
        replace(task, test=tuple((q, (a + 1) % 10) for q, a in task.test)) for task in evaluated
    ]
    before = arc_set.assemble(described, training, evaluated)
    after = arc_set.assemble(described, training, changed)
    assert before.identifiers == after.identifiers
    assert arrays(before.train) == arrays(after.train)
    assert before.test.inputs_NS.tobytes() == after.test.inputs_NS.tobytes()
    assert before.test.labels_NS.tobytes() != after.test.labels_NS.tobytes()
    assert before.test_puzzles != after.test_puzzles


def test_what_is_left_out_is_all_that_leaks():
    """The pairs of other tasks that are like an evaluated one are those left out by name."""
    training, evaluated = tasks_of("arc1-aug-1")
    trained = [p for t in training for part in ("train", "test") for p in pairs_of(t, part)]
    trained += [p for t in evaluated for p in pairs_of(t, "train")]
    found = overlap(trained, [p for t in evaluated for p in pairs_of(t, "test")])
    leaks = {o.trained for o in found if o.trained.task != o.evaluated.task}
    assert leaks == set(arc_set.LEFT_OUT["arc1", "all"])
    # Tasks whose own statement shows a pair like their test pair: easy, and not leaked.
    easy = {o.evaluated.task for o in found if o.trained.task == o.evaluated.task}
    assert easy == {
        *("00576224", "3979b1a8", "66e6c45b", "94414823"),
        *("992798f6", "ca8de6ea", "f3e62deb"),
    }


@pytest.mark.parametrize("name", NAMES)
def test_no_evaluated_row_is_a_training_row(name):
    """Under no identifier is a question with its answer, as evaluated, a row that is trained on."""
    puzzle_set = arc_set.build(arc_set.parse_set(name))
    rows = [
        {
            (number, grid_at(question, puzzle_set.side), grid_at(answer, puzzle_set.side))
            for number, question, answer in zip(
                split.identifiers_N(), split.inputs_NS, split.labels_NS, strict=True
            )
        }
        for split in (puzzle_set.train, puzzle_set.test)
    ]
    assert rows[1]
    assert not rows[0] & rows[1]


def grid_at(canvas, side):
    """The cells of a canvas's grid, wherever it stands."""
    cells = canvas.reshape(side, side)
    inside = cells >= 2
    return cells[inside.any(1)][:, inside.any(0)].tobytes()


def test_a_set_that_would_leak_is_refused():
    """A training task that holds an evaluated pair in disguise is named with it."""
    _, evaluated = tasks_of("arc1-train-same-size-8x8")
    shown = tuple(arc.augment(g, 3, (0, 2, 1, 4, 3, 5, 6, 7, 8, 9)) for g in evaluated[0].test[0])
    thief = arc.Task(name="thief", train=(shown,), test=(shown,))
    described = arc_set.parse_set("arc1-train-same-size-8x8")
    with pytest.raises(ValueError, match=f"train pair 0 of thief is like .* {evaluated[0].name}"):
        arc_set.assemble(described, [thief], evaluated)


def test_a_task_is_not_both_trained_on_and_evaluated():
    """An evaluated task among the training tasks would be trained on with its answer."""
    _, evaluated = tasks_of("arc1-train-same-size-8x8")
    described = arc_set.parse_set("arc1-train-same-size-8x8")
    with pytest.raises(ValueError, match=r"test pair 0 of (\w+) is like test pair 0 of \1"):
        arc_set.assemble(described, evaluated[:1], evaluated)


def meta_of(name, identifiers, evaluated, family="arc1"):
    return Meta(
        name=name,
        kind="arc",
        side=30,
        vocabulary=12,
        identifiers=("<blank>", *identifiers),
        test_puzzles=dict.fromkeys(evaluated),
        settings={"family": family} if family else {},
    )


def test_a_set_may_be_evaluated_by_who_was_trained_on_it():
    """The demonstrations of evaluated tasks are trained on: that is no leak."""
    meta = meta_of("arc1-aug-1", ["a", "b", "b|||t1|||0123456789"], ["b"])
    check_evaluation(meta, meta)


def test_tasks_whose_answers_were_trained_on_are_refused():
    """A task is evaluated nowhere if its test pairs were training pairs: it is named."""
    trained = meta_of("arc1-aug-1", ["a", "b"], ["b"])
    evaluated = meta_of("arc1-train-same-size-8x8", ["a"], ["a"])
    with pytest.raises(ValueError, match=r"answers of 1 evaluated tasks \(a "):
        check_evaluation(trained, evaluated)


@pytest.mark.parametrize("family", ["arc2", None])
def test_a_model_of_arc2_is_not_evaluated_on_arc1(family):
    """ARC-2's training tasks hold ARC-1's evaluation tasks, in folders of the originals too."""
    training, _ = arc_set.load_tasks("arc2")
    _, evaluation = arc_set.load_tasks("arc1")
    trained = meta_of("arc2-aug-1", [t.name for t in training], [], family)
    evaluated = meta_of("arc1-aug-1", [t.name for t in evaluation], [t.name for t in evaluation])
    with pytest.raises(ValueError, match="answers of 376 evaluated tasks"):
        check_evaluation(trained, evaluated)


def test_a_model_of_arc1_is_not_evaluated_on_arc2():
    """No names are shared in this direction, tasks are: the families decide."""
    trained, evaluated = (
        meta_of("arc1-aug-1", ["a"], []),
        meta_of("arc2-aug-1", ["z"], ["z"], "arc2"),
    )
    with pytest.raises(ValueError, match="ARC-1 and ARC-2 share tasks"):
        check_evaluation(trained, evaluated)


def test_identifiers_of_another_set_are_refused():
    """Row 1 of the identity table must be the same puzzle in both."""
    trained = meta_of("arc1-aug-1", ["a", "b"], ["a", "b"])
    evaluated = meta_of("arc1-aug-2", ["b", "a"], ["a", "b"])
    with pytest.raises(ValueError, match="not the same names in the same order"):
        check_evaluation(trained, evaluated)
