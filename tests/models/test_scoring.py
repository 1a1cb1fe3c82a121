"""Scores of made predictions, against a slow literal reference and by hand."""

from dataclasses import replace

import numpy as np
import pytest

from models import arc, arc_set
from models.scoring import score, solutions_of, votes_of
from models.stream import take
from models.voting import Pool, rank

SIDE = 5


def task(name, seed, questions):
    """A task whose answers are unlike their questions; no two of its views are the same."""
    draw = np.random.default_rng(seed)
    pairs = [draw.integers(0, 5, (2, 4, 3)).astype(np.uint8) for _ in range(1 + questions)]
    pairs = tuple((q, a) for q, a in pairs)
    return arc.Task(name=name, train=pairs[:1], test=pairs[1:])


@pytest.fixture(scope="module")
def puzzle_set():
    described = replace(
        arc_set.parse_set("arc1-train-same-size-8x8", augmentations=12, recolour=True), side=SIDE
    )
    tasks = [task("a", 1, 1), task("b", 2, 2), task("c", 3, 1), task("d", 4, 3)]
    return arc_set.assemble(described, (), tasks)


@pytest.fixture
def split(puzzle_set):
    return puzzle_set.test


def certain(split):
    return np.full(split.examples, 0.5)


def rows_of(puzzle_set, split):
    """(task, question, symmetry, colours) of each row, by counting."""
    last, number = None, 0
    for identifier in split.identifiers_N():
        number = number + 1 if identifier == last else 0
        last = identifier
        name, symmetry, colours = arc.parse_identifier(puzzle_set.identifiers[identifier])
        yield name, number, symmetry, colours


def test_the_labels_themselves_score_one(puzzle_set, split):
    """Perfect predictions are right in every number, and above every baseline."""
    found = score(split.labels_NS, certain(split), split, puzzle_set)
    for name, value in found.items():
        if not name.startswith(("baseline/", "above_baseline/")):
            assert value == 1, name
    assert found["above_baseline/pass@1"] == 1
    assert {"pass@1", "pass@2", "pass@5", "pass@10"} <= set(found)
    assert "pass@100" not in found


def test_copying_scores_as_the_baseline_does(puzzle_set, split):
    """The questions as predictions have the numbers of the baseline that copies."""
    found = score(split.inputs_NS, certain(split), split, puzzle_set)
    for metric in ("pass@1", "cell_accuracy", "shape_accuracy"):
        assert found[metric] == found[f"baseline/copy_input/{metric}"]
    assert 0 < found["cell_accuracy"] < 0.5


def test_a_baseline_that_solves_is_found(puzzle_set):
    """Where answers are their questions, copying solves, and a perfect model is not above it."""
    (one,) = [task("e", 5, 2)]
    copied = replace(one, test=tuple((q, q) for q, _ in one.test))
    described = replace(arc_set.parse_set("arc1-train-same-size-8x8"), side=SIDE)
    made = arc_set.assemble(described, (), [copied, task("f", 6, 1)])
    found = score(made.test.labels_NS, certain(made.test), made.test, made)
    assert found["baseline/copy_input/pass@1"] == 0.5
    assert found["above_baseline/pass@1"] == 0.5
    assert found["baseline/background/pass@1"] == found["baseline/commonest_colour/pass@1"] == 0


def noisy(split, seed, share):
    """Labels with a share of all tokens drawn anew."""
    draw = np.random.default_rng(seed)
    wrong = draw.random(split.labels_NS.shape) < share
    return np.where(wrong, draw.integers(0, 12, wrong.shape), split.labels_NS)


@pytest.mark.parametrize("seed", range(3))
def test_scores_are_those_of_a_literal_reference(puzzle_set, split, seed):
    """Every number over rows, computed again cell by cell on the grids turned back."""
    tokens = noisy(split, seed, 0.1)
    exact, shapes, cells, confusion = [], [], [], np.zeros((10, 12), int)
    for place, (name, number, symmetry, colours) in enumerate(rows_of(puzzle_set, split)):
        wanted = np.array(puzzle_set.test_puzzles[name]["test"][number]["output"], np.uint8)
        grid = arc.decode(tokens[place : place + 1], SIDE)[0]
        shown = arc.augment(wanted, symmetry, colours)
        exact.append(
            grid is not None and np.array_equal(arc.restore(grid, symmetry, colours), wanted)
        )
        shapes.append(grid is not None and grid.shape == shown.shape)
        canvas = tokens[place].reshape(SIDE, SIDE)
        for (row, column), colour in np.ndenumerate(shown):
            token = canvas[row, column]
            cells.append(token == colour + 2)
            back = token if token < 2 else 2 + list(colours).index(token - 2)
            confusion[list(colours).index(colour), back] += 1
    found = score(tokens, certain(split), split, puzzle_set)
    assert found["exact_unvoted"] == np.mean(exact)
    assert found["shape_accuracy"] == np.mean(shapes)
    assert found["cell_accuracy"] == np.mean(cells)
    for colour in range(5):
        right, said = confusion[colour, colour + 2], confusion[:, colour + 2].sum()
        precision, recall = right / said, right / confusion[colour].sum()
        assert found[f"colour/{colour}/precision"] == pytest.approx(precision)
        assert found[f"colour/{colour}/recall"] == pytest.approx(recall)
        expected = 2 * precision * recall / (precision + recall)
        assert found[f"colour/{colour}/f1"] == pytest.approx(expected)
    assert 0 < found["exact_unvoted"] < found["pass@1/fractional"]


def test_a_colour_of_which_nothing_is_known_has_no_number(puzzle_set, split):
    """Colours that are in no answer and no prediction are left out, not 0."""
    found = score(split.labels_NS, certain(split), split, puzzle_set)
    assert "colour/4/f1" in found
    assert not [name for name in found if name.startswith("colour/9/")]


def test_the_majority_of_views_decides(puzzle_set, split):
    """A question answered in most views is solved; one answered in none is not."""
    tokens = split.labels_NS.copy()
    for place, (name, number, *_) in enumerate(rows_of(puzzle_set, split)):
        if (name, number) == ("d", 2) or (name == "a" and place % 3 == 0):
            tokens[place] = split.inputs_NS[place]
    found = score(tokens, certain(split), split, puzzle_set)
    assert found["pass@1"] == 3 / 4
    assert found["pass@1/fractional"] == pytest.approx((3 + 2 / 3) / 4)
    assert found["exact_unvoted"] < 1


def test_confidence_orders_candidates_of_equal_votes(puzzle_set, split):
    """With two candidates of six votes each, the more confident one is the answer."""
    tokens, confidence = split.labels_NS.copy(), certain(split)
    tokens[::2] = split.inputs_NS[::2]
    rows = [(name, number) for name, number, *_ in rows_of(puzzle_set, split)]
    only = [place for place, row in enumerate(rows) if row == ("a", 0)]
    assert len({place % 2 for place in only}) == 2
    confidence[1::2] = 0.9
    assert solved(puzzle_set, split, tokens, confidence)
    confidence[1::2] = 0.1
    assert not solved(puzzle_set, split, tokens, confidence)
    confidence[1::2] = np.nan
    assert not solved(puzzle_set, split, tokens, confidence)


def solved(puzzle_set, split, tokens, confidence):
    ranked = rank(votes_of(tokens, confidence, split, puzzle_set))
    (answer,) = solutions_of(split, puzzle_set)["a"]
    return np.array_equal(ranked["a", 0][0].grid, answer)


def test_only_tasks_of_the_split_count(puzzle_set, split):
    """On some of the groups the score is over their tasks alone."""
    some = take(split, np.array([1, 3]))
    assert list(solutions_of(some, puzzle_set)) == ["b", "d"]
    tokens = some.labels_NS.copy()
    tokens[: np.diff(split.puzzle_indices_P1[split.group_indices_G1[1:3]])[0]] = 0
    assert score(tokens, certain(some), some, puzzle_set)["pass@1"] == 0.5


def test_a_checkpoint_is_scored_alone_unless_it_is_pooled(puzzle_set, split):
    """After a perfect evaluation a bad one is bad; what a pool makes of it has names of its own."""
    nothing = np.zeros_like(split.labels_NS)
    pool = Pool()
    for given in (None, pool):
        assert score(split.labels_NS, certain(split), split, puzzle_set, given)["pass@1"] == 1
    alone = score(nothing, certain(split), split, puzzle_set)
    pooled = score(nothing, certain(split), split, puzzle_set, pool)
    assert alone["pass@1"] == 0
    assert {name: pooled[name] for name in alone} == alone
    added = {name: value for name, value in pooled.items() if name not in alone}
    assert set(added) == {f"pooled/{name}" for name in alone if name.startswith("pass@")}
    assert added["pooled/pass@1"] == added["pooled/pass@1/low"] == 1


def test_predictions_of_another_split_are_refused(puzzle_set, split):
    """A row too few, in tokens or in confidence, is an error that says both shapes."""
    with pytest.raises(ValueError, match="predict every row once"):
        score(split.labels_NS[:-1], certain(split), split, puzzle_set)
    with pytest.raises(ValueError, match="predict every row once"):
        score(split.labels_NS, certain(split)[:-1], split, puzzle_set)


def test_a_task_without_solutions_is_refused(puzzle_set, split):
    """A split of a task that test_puzzles does not hold cannot be scored."""
    with pytest.raises(ValueError, match=r"task a is in the split and not in test_puzzles"):
        score(split.labels_NS, certain(split), split, replace(puzzle_set, test_puzzles={}))
