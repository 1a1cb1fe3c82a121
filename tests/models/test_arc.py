"""ARC tasks and grids: reading, symmetries and their inverses, canvases, identifiers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import arc

SQUARE = [{"input": [[1]], "output": [[2]]}]


def grids(largest=6):
    side = st.integers(1, largest)
    return st.tuples(side, side, st.integers(0, 2**32 - 1)).map(
        lambda s: np.random.default_rng(s[2]).integers(0, 10, s[:2]).astype(np.uint8)
    )


symmetries = st.integers(0, 7)
colourings = st.permutations(list(range(1, 10))).map(lambda p: (0, *p))


def variants(*pairs):
    """Variants from (symmetry, colours) couples."""
    return arc.Variants(
        symmetry_V=np.array([s for s, _ in pairs], np.uint8),
        colours_VC=np.array([c for _, c in pairs], np.uint8),
    )


def task_of(*train, test=None):
    return arc.Task(name="t", train=train, test=(test or train[0],))


def test_the_symmetries_have_the_numbers_of_the_references():
    """0 none, 1 to 3 quarter turns to the left, 4 left-right, 5 up-down, 6 and 7 the diagonals."""
    grid = np.array([[1, 2], [3, 4]], np.uint8)
    assert [arc.SYMMETRIES[k](grid).tolist() for k in range(8)] == [
        [[1, 2], [3, 4]],
        [[2, 4], [1, 3]],
        [[4, 3], [2, 1]],
        [[3, 1], [4, 2]],
        [[2, 1], [4, 3]],
        [[3, 4], [1, 2]],
        [[1, 3], [2, 4]],
        [[4, 2], [3, 1]],
    ]


def test_the_inverse_table_is_the_published_one():
    """Quarter turns undo each other in pairs, all others themselves."""
    assert arc.INVERSE == (0, 3, 2, 1, 4, 5, 6, 7)


@given(grid=grids(), symmetry=symmetries)
def test_the_inverse_table_undoes_each_symmetry(grid, symmetry):
    """Symmetry k followed by INVERSE[k] gives the grid back; TRANSPOSING ones swap its sides."""
    turned = arc.SYMMETRIES[symmetry](grid)
    assert np.array_equal(arc.SYMMETRIES[arc.INVERSE[symmetry]](turned), grid)
    sides = grid.shape[::-1] if symmetry in arc.TRANSPOSING else grid.shape
    assert turned.shape == sides


def test_two_symmetries_make_a_third():
    """The eight are a group: all differ, and composing any two gives one of them."""
    grid = np.arange(9).reshape(3, 3)
    images = [arc.SYMMETRIES[k](grid) for k in range(8)]
    assert len({image.tobytes() for image in images}) == 8
    composed = {arc.SYMMETRIES[a](image).tobytes() for a in range(8) for image in images}
    assert composed == {image.tobytes() for image in images}


@given(grid=grids(), symmetry=symmetries, colours=colourings)
def test_restore_undoes_augment(grid, symmetry, colours):
    """Every augmentation can be undone, colours and symmetry, and keeps the background."""
    shown = arc.augment(grid, symmetry, colours)
    assert np.array_equal(arc.restore(shown, symmetry, colours), grid)
    assert (shown == 0).sum() == (grid == 0).sum()


@given(symmetry=symmetries, colours=colourings)
def test_an_identifier_says_the_augmentation(symmetry, colours):
    """The name of a variant is read back as task, symmetry and colours."""
    (name,) = variants((symmetry, colours)).names("007bbfb7")
    assert arc.parse_identifier(name) == ("007bbfb7", symmetry, colours)


def test_identifiers_have_the_form_of_the_references():
    """Unchanged it is the task's name, else name, t and symmetry, and the ten new colours."""
    plain, swap = tuple(range(10)), (0, 2, 1, 3, 4, 5, 6, 7, 8, 9)
    names = variants((0, plain), (3, plain), (0, swap)).names("a")
    assert names == ("a", "a|||t3|||0123456789", "a|||t0|||0213456789")


@pytest.mark.parametrize("name", ["a|||t8|||0123456789", "a|||t1|||0113456789", "a|||t1"])
def test_other_identifiers_are_refused(name):
    """A symmetry that there is not, a colour twice, a part missing: refused by name."""
    with pytest.raises(ValueError, match="identifier 'a"):
        arc.parse_identifier(name)


@given(grid=grids(), room=st.integers(0, 3))
def test_decode_undoes_encode(grid, room):
    """A grid on a canvas is found again, with or without room around it."""
    side = max(grid.shape) + room
    canvas = arc.encode(grid, side)
    assert canvas.dtype == np.uint8
    assert np.array_equal(arc.decode(canvas[None], side)[0], grid)


def test_the_canvas_is_the_documented_one():
    """Colours are shifted by two, end marks stand right and under but not in the corner."""
    canvas = arc.encode(np.array([[3, 0]], np.uint8), 4).reshape(4, 4)
    assert canvas.tolist() == [[5, 2, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]


def test_a_full_canvas_has_no_end_marks():
    """A grid as large as the canvas leaves no room for marks."""
    assert arc.encode(np.zeros((3, 3), np.uint8), 3).tolist() == [2] * 9


def test_a_grid_larger_than_the_canvas_is_refused():
    """Nothing is cut off silently."""
    with pytest.raises(ValueError, match="4x2 does not fit in 3x3"):
        arc.encode(np.zeros((4, 2), np.uint8), 3)


@given(
    grid=grids(4),
    shown=st.lists(st.tuples(symmetries, colourings), min_size=1, max_size=5),
    seed=st.integers(0, 99),
)
def test_placing_many_variants_is_placing_each(grid, shown, seed):
    """All variants at once, each at its corner, are what one after the other gives."""
    side = 7
    corners = np.random.default_rng(seed).integers(0, side - max(grid.shape) + 1, (len(shown), 2))
    together = np.zeros((len(shown), side, side), np.uint8)
    arc.place(together, grid, variants(*shown), corners)
    for canvas, (symmetry, colours), (row, column) in zip(together, shown, corners, strict=True):
        one = arc.augment(grid, symmetry, colours)
        alone = np.zeros((side + 1, side + 1), np.uint8)
        height, width = one.shape
        alone[row : row + height, column : column + width] = one + 2
        alone[row + height, column : column + width] = 1
        alone[row : row + height, column + width] = 1
        assert np.array_equal(canvas, alone[:side, :side])


@pytest.mark.parametrize(
    ("canvas", "shape"),
    [
        ([[2, 2, 1], [2, 1, 0], [1, 0, 0]], (1, 2)),
        ([[2, 2, 2], [2, 2, 2], [2, 1, 2]], (2, 3)),
        ([[2, 0, 2], [2, 0, 2], [2, 0, 2]], (3, 1)),
        ([[2, 2, 2], [1, 2, 2], [2, 2, 2]], (1, 3)),
    ],
)
def test_decode_takes_the_largest_rectangle(canvas, shape):
    """A ragged prediction is read as the largest rectangle of colours at the top left."""
    assert arc.decode(np.array(canvas).reshape(1, -1), 3)[0].shape == shape


@given(seed=st.integers(0, 999), side=st.integers(1, 5))
def test_sizes_of_noise_are_those_of_a_literal_search(seed, side):
    """On any canvas the size is that of the largest rectangle of all rectangles."""
    tokens = np.random.default_rng(seed).choice([0, 1, 2, 5, 7, 11], (3, side * side))
    for found, canvas in zip(
        arc.grid_sizes(tokens, side), tokens.reshape(3, side, side), strict=True
    ):
        areas = {
            (h, w): h * w
            for h in range(1, side + 1)
            for w in range(1, side + 1)
            if (canvas[:h, :w] >= 2).all()
        }
        assert found[0] * found[1] == max(areas.values(), default=0)
        assert tuple(found) in areas or found[1] == 0


def test_a_canvas_that_starts_with_no_colour_holds_no_grid():
    """A prediction whose first cell is an end mark or padding shows nothing."""
    assert arc.decode(np.array([[1, 2, 2, 2]]), 2) == [None]


def test_variants_differ_in_what_they_show():
    """No two variants show a task the same way; the first is the task itself; the count is kept."""
    task = task_of((np.array([[1, 2]], np.uint8), np.array([[3]], np.uint8)))
    found = arc.draw_variants(task, 30, recolour=True, seed=3)
    assert len(found) == 30
    assert found.names("t")[0] == "t"
    looks = {
        tuple(arc.augment(g, s, c).tobytes() + bytes([s in arc.TRANSPOSING]) for g in task.train[0])
        for s, c in zip(found.symmetry_V, found.colours_VC, strict=True)
    }
    assert len(looks) == 30


def test_variants_are_a_function_of_task_and_seed():
    """The same seed gives the same variants; another seed, or another name, others."""
    one = task_of((np.array([[1, 2]], np.uint8), np.array([[3]], np.uint8)))
    other = arc.Task(name="u", train=one.train, test=one.test)
    names = [
        arc.draw_variants(task, 9, recolour=True, seed=seed).names("x")
        for task, seed in ((one, 1), (one, 1), (one, 2), (other, 1))
    ]
    assert names[0] == names[1]
    assert len(set(names)) == 3


def test_a_symmetric_task_has_fewer_variants():
    """A task that looks the same from all sides has one view without recolouring."""
    grid, corner = np.full((2, 2), 4, np.uint8), np.array([[1, 0], [0, 0]], np.uint8)
    assert len(arc.draw_variants(task_of((grid, grid)), 8, recolour=False, seed=0)) == 1
    assert len(arc.draw_variants(task_of((corner, corner)), 8, recolour=False, seed=0)) == 4


def test_the_order_of_pairs_is_no_difference():
    """A variant that shows the same pairs in another order counts as the same."""
    left, right = np.array([[1, 0]], np.uint8), np.array([[0, 1]], np.uint8)
    task = task_of((left, left), (right, right), test=(np.zeros((1, 2), np.uint8), left))
    found = arc.draw_variants(task, 8, recolour=False, seed=0)
    assert len(found) == 2  # lying and standing


def test_a_task_is_read_and_written_back():
    """Raw lists become grids of uint8 and lists again."""
    raw = {"train": SQUARE, "test": [{"input": [[1, 2], [3, 4]], "output": [[0]]}]}
    task = arc.parse_task("t", raw)
    assert task.test[0][0].dtype == np.uint8
    assert arc.raw_task(task) == raw


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"train": [], "test": SQUARE}, "task x: no train pairs"),
        ({"train": SQUARE}, "task x: no test pairs"),
        ({"train": [{"input": [[1]]}], "test": SQUARE}, 'train pair 0: no "output"'),
        ({"train": SQUARE, "test": [{"input": [[1, 2], [3]], "output": [[1]]}]}, "test pair 0, in"),
        ({"train": SQUARE, "test": [{"input": [[1]], "output": [[]]}]}, "at least one row"),
        ({"train": SQUARE, "test": [{"input": [1], "output": [[1]]}]}, r"shape \(1,\)"),
        ({"train": SQUARE, "test": [{"input": [[10]], "output": [[1]]}]}, "colours are 0 to 9"),
        ({"train": SQUARE, "test": [{"input": [[-1]], "output": [[1]]}]}, "colours are 0 to 9"),
        ({"train": SQUARE, "test": [{"input": [[0.5]], "output": [[1]]}]}, "whole numbers"),
        ({"train": SQUARE, "test": [{"input": [["a"]], "output": [[1]]}]}, "whole numbers"),
        ({"train": SQUARE, "test": [{"input": [[1] * 31], "output": [[1]]}]}, "1x31; the largest"),
    ],
)
def test_a_malformed_task_is_refused_by_place(raw, message):
    """What is wrong is named with task, pair and grid."""
    with pytest.raises(ValueError, match=message):
        arc.parse_task("x", raw)
