"""Mazes: what is generated, what is labelled, and what the verifier takes for a path."""

from collections import deque
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from models import maze
from models.puzzles import read_split, write

SMALL = maze.Maze(side=7, train=60, test=40, augmentations=8, seed=3)


@pytest.fixture(scope="module")
def small():
    return maze.build(SMALL)


def tokens(picture):
    """A maze from a picture in the charset of the originals, [1, S], and its side."""
    rows = picture.split()
    cells = ["#.SGo".index(mark) + 1 for row in rows for mark in row]
    return np.array([cells], np.uint8), len(rows)


def steps_from(cell, side):
    """The cells that share an edge with a cell, by coordinates."""
    row, column = divmod(cell, side)
    around = ((row - 1, column), (row, column - 1), (row, column + 1), (row + 1, column))
    return [r * side + c for r, c in around if 0 <= r < side and 0 <= c < side]


def shortest_by_relaxation(cells, side):
    """Moves from S to G, slowly: shorten every cell's way by its neighbours' until none changes."""
    far = len(cells) + 1
    moves = [0 if cell == maze.GOAL else far for cell in cells]
    for _ in cells:
        for cell in range(len(cells)):
            if cells[cell] != maze.WALL:
                moves[cell] = min([moves[cell], *(moves[n] + 1 for n in steps_from(cell, side))])
    found = moves[list(cells).index(maze.START)]
    return None if found > len(cells) else found


@st.composite
def any_maze(draw):
    """A maze of random cells, solvable or not, and its side."""
    side = draw(st.integers(3, 6))
    cells = draw(st.lists(st.sampled_from([1, 2, 2]), min_size=side**2, max_size=side**2))
    start, goal = draw(st.permutations(range(side**2)))[:2]
    cells[start], cells[goal] = maze.START, maze.GOAL
    return np.array([cells], np.uint8), side


def every_simple_path(cells, side):
    """Every set of cells that a walk from S to G without a repeated cell goes through."""
    found, waiting = [], deque([[list(cells).index(maze.START)]])
    while waiting:
        walk = waiting.popleft()
        if cells[walk[-1]] == maze.GOAL:
            found.append(walk)
            continue
        for near in steps_from(walk[-1], side):
            if cells[near] != maze.WALL and near not in walk:
                waiting.append([*walk, near])
    return found


def marked(question, walk):
    answer = question.copy()
    answer[0, walk[1:-1]] = maze.PATH
    return answer


@given(made=any_maze())
def test_a_label_marks_a_shortest_path(made):
    """As many cells as an independent slow search counts, each beside the next; nothing else."""
    question, side = made
    moves = shortest_by_relaxation(question[0], side)
    if moves is None:
        with pytest.raises(ValueError, match="maze 0: no path leads from S to G"):
            maze.solve(question, side)
        return
    label = maze.solve(question, side)[0]
    changed = np.flatnonzero(label != question[0])
    assert len(changed) == moves - 1
    assert (question[0, changed] == maze.FREE).all()
    assert (label[changed] == maze.PATH).all()
    assert shortest_by_relaxation(np.where(label == maze.FREE, maze.WALL, label), side) == moves


@given(made=any_maze(), data=st.data())
def test_the_verifier_takes_every_path_and_knows_the_shortest(made, data):
    """Any walk without a shortcut of its own is valid; it is optimal if none has fewer moves."""
    question, side = made
    moves = shortest_by_relaxation(question[0], side)
    assume(moves is not None)
    assume((question == maze.FREE).sum() < 14)
    walk = data.draw(st.sampled_from(every_simple_path(question[0], side)))
    touching = sum(b in steps_from(a, side) for k, a in enumerate(walk) for b in walk[k + 1 :])
    direct = touching == len(walk) - 1  # neighbours in the walk alone share an edge
    valid, optimal = maze.verify(marked(question, walk), question, side)
    assert bool(valid[0]) == direct
    assert bool(optimal[0]) == (direct and len(walk) - 1 == moves)


OPEN = """
S...
.##.
.#..
...G
"""


@pytest.mark.parametrize(
    ("answer", "valid", "optimal"),
    [
        ("Sooo .##o .#.o ...G", True, True),  # the label's way round
        ("S... o##. o#.. oooG", True, True),  # another shortest path
        ("S... .##. .#.. ...G", False, False),  # the question itself
        ("Sooo .##o .#oo ..oG", False, False),  # two ways at the end: branching
        ("Sooo o##o .#.o ...G", False, False),  # a second beginning
        ("Sooo .##. .#.o ...G", False, False),  # a gap
        ("Sooo .##o .#.o o..G", False, False),  # a cell apart
        ("Soo. .#o. .#oo ...G", False, False),  # through a wall
        ("Sooo .#.o .#.o ...G", False, False),  # a wall taken away
        ("Sooo .##o ##.o ...G", False, False),  # a wall added
        ("Sooo .##o .#.o ..GG", False, False),  # a second goal
        ("oooo .##o .#.o ...G", False, False),  # the start painted over
        ("S... o##. o#.. ooGo", False, False),  # the goal moved
        ("Sooo .##o .#.o .o.G", False, False),  # a loose end
    ],
)
def test_what_the_verifier_rejects(answer, valid, optimal):
    """Gaps, forks, walls crossed or changed and cells left over are no path."""
    question, side = tokens(OPEN)
    found = maze.verify(tokens(answer)[0], question, side)
    assert [bool(share[0]) for share in found] == [valid, optimal]


def test_a_longer_path_is_valid_and_not_optimal():
    """A detour reaches G, but not in the fewest moves."""
    question, side = tokens("S.... ###.. G.... ..... .....")
    detour, _ = tokens("Soooo ###.o G...o o...o ooooo")
    direct, _ = tokens("Sooo. ###o. Gooo. ..... .....")
    assert [bool(share[0]) for share in maze.verify(detour, question, side)] == [True, False]
    assert [bool(share[0]) for share in maze.verify(direct, question, side)] == [True, True]


def test_a_ring_beside_the_path_is_left_over():
    """Cells that touch two others each, but are not on the way from S to G, make it invalid."""
    question, side = tokens("S.G.. ..... ..... ..... .....")
    answer, _ = tokens("SoG.. ..... ooo.. o.o.. ooo..")
    assert not maze.verify(answer, question, side)[0].any()


@given(seed=st.integers(0, 2**32 - 1))
def test_noise_is_judged_and_never_valid_by_chance(seed):
    """Any tokens at all, 0 and unknown ones too, are judged without an error."""
    question, side = tokens(OPEN)
    noise = np.random.default_rng(seed).integers(0, 200, question.shape)
    assert not maze.verify(noise, question, side)[0].any()


def test_generated_mazes_keep_the_rules(small):
    """Share of walls, one S, one G, a path of at least `side` moves, labels in step with inputs."""
    for split in (small.train, small.test):
        walls = (split.inputs_NS == maze.WALL).sum(axis=1)
        assert walls.min() >= round(0.3 * 49)
        assert walls.max() <= round(0.5 * 49)
        assert ((split.inputs_NS == maze.START).sum(axis=1) == 1).all()
        assert ((split.inputs_NS == maze.GOAL).sum(axis=1) == 1).all()
        assert np.array_equal(split.labels_NS, maze.solve(split.inputs_NS, 7))
        path = (split.labels_NS == maze.PATH).sum(axis=1)
        assert path.min() == 7 - 1
        assert maze.verify(split.labels_NS, split.inputs_NS, 7)[1].all()
    assert len(np.unique((small.train.inputs_NS == maze.WALL).sum(axis=1))) > 5


def test_hard_mazes_have_long_paths():
    """Maze-Hard's rule at any size: more than 0.122 moves a cell; at 30x30 110 or more."""
    hard = maze.Maze(side=11, train=20, test=5, hard=True)
    made = maze.build(hard).train
    assert (made.labels_NS == maze.PATH).sum(axis=1).min() >= hard.shortest - 1
    assert hard.shortest == 15
    assert maze.Maze(side=30, train=1, test=1, hard=True).shortest == 110


def test_no_maze_is_another_ones_view(small):
    """Turned or mirrored, no test maze is a training maze, and none stands twice."""
    keys = maze.canonical(small.train.inputs_NS[::8], 7) + maze.canonical(small.test.inputs_NS, 7)
    assert len(set(keys)) == 100


@given(made=any_maze(), data=st.data())
def test_views_share_one_key(made, data):
    """All eight views of a maze have its canonical key, and its shortest path has their length."""
    question, side = made
    eight = maze.views(question, side)[0]
    assert np.array_equal(eight[0], question[0])
    assert len(set(maze.canonical(eight, side))) == 1
    lengths = {shortest_by_relaxation(view, side) for view in eight}
    assert len(lengths) == 1


def test_the_views_are_the_symmetries_of_the_square():
    """Eight different views of a square without symmetry, and the neighbours stay neighbours."""
    eight = maze.views(np.arange(9, dtype=np.uint8)[None], 3)[0]
    assert len({view.tobytes() for view in eight}) == 8
    for view in eight:
        beside = {frozenset((a, b)) for a in range(9) for b in steps_from(a, 3)}
        shown = {frozenset((int(view[a]), int(view[b]))) for a, b in map(tuple, beside)}
        assert shown == beside


def test_training_shows_the_views_of_each_maze(small):
    """A group is a maze, its puzzles the views, the unchanged first; a test maze has one view."""
    train, test = small.train, small.test
    assert (train.examples, train.puzzles, train.groups) == (480, 480, 60)
    assert (test.examples, test.puzzles, test.groups) == (40, 40, 40)
    for start, end in pairwise(train.group_indices_G1.tolist()):
        assert np.array_equal(
            train.inputs_NS[start:end], maze.views(train.inputs_NS[[start]], 7)[0]
        )
    assert not train.puzzle_identifiers_P.any()


def test_the_same_settings_give_the_same_mazes(small):
    """Generation is a function of the settings; another seed gives other mazes."""
    again = maze.build(SMALL)
    assert np.array_equal(again.train.inputs_NS, small.train.inputs_NS)
    assert np.array_equal(again.test.labels_NS, small.test.labels_NS)
    other = maze.build(maze.Maze(side=7, train=60, test=40, augmentations=8, seed=4))
    assert set(maze.canonical(other.test.inputs_NS, 7)).isdisjoint(
        maze.canonical(small.test.inputs_NS, 7)
    )


def test_mazes_are_written_and_scored_from_the_folder(small, tmp_path):
    """A set of mazes is a sound folder; scores of the labels themselves are perfect."""
    write(tmp_path / "mazes", small)
    split = read_split(tmp_path / "mazes", "test")
    found = maze.score(split.labels_NS.astype(np.int64), split, 7)
    perfect = ["exact", "valid", "optimal", "cell_accuracy"]
    assert found == dict.fromkeys([*perfect, "path/precision", "path/recall", "path/f1"], 1.0)


def test_another_shortest_path_is_optimal_and_not_exact():
    """Equality with the label and being right are two scores."""
    question, side = tokens(OPEN)
    split = maze._split(question, side, 1)
    other, _ = tokens("S... o##. o#.. oooG")
    assert (split.labels_NS != other).sum() == 10
    found = maze.score(other, split, side)
    assert (found["exact"], found["valid"], found["optimal"]) == (0, 1, 1)
    assert found["cell_accuracy"] == 6 / 16
    assert (found["path/precision"], found["path/recall"], found["path/f1"]) == (0, 0, 0)


def test_precision_and_recall_of_half_a_path():
    """Three of five path cells and one beside them: 3/4, 3/5, and their harmonic mean."""
    question, side = tokens(OPEN)
    split = maze._split(question, side, 1)
    half, _ = tokens("Sooo .##. .#.. .o.G")
    found = maze.score(half, split, side)
    assert (found["path/precision"], found["path/recall"]) == (3 / 4, 3 / 5)
    assert found["path/f1"] == pytest.approx(2 / 3)
    assert found["valid"] == 0


def test_copying_the_input_is_right_in_most_cells_and_solves_nothing(small):
    """The baseline: high cell accuracy, no path; a precision of nothing is not there."""
    found = maze.baseline(small.test, 7)
    assert 0.7 < found["cell_accuracy"] < 0.9
    assert (found["exact"], found["valid"], found["optimal"], found["path/recall"]) == (0, 0, 0, 0)
    assert "path/precision" not in found


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"side": 2}, "side=2"),
        ({"walls": (0.5, 0.3)}, r"walls=\(0.5, 0.3\)"),
        ({"walls": (0.3, 0.99)}, "leave room"),
        ({"walls": (-0.1, 0.3)}, "leave room"),
        ({"train": 0}, "train=0, test=40"),
        ({"test": -1}, "test=-1"),
        ({"augmentations": 9}, "augmentations=9"),
        ({"augmentations": 0}, "augmentations=0"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_settings_out_of_range_are_refused(changes, message):
    """The error names the field and what it may be."""
    fields = {"side": 7, "train": 60, "test": 40}
    with pytest.raises(ValueError, match=message):
        maze.Maze(**(fields | changes))


@pytest.mark.parametrize("changes", [{"train": 5000}, {"walls": (0.75, 0.75)}])
def test_more_mazes_than_there_are_is_an_error(changes):
    """Neither a set that cannot be filled nor a rule that cannot be met is searched for ever."""
    fields = {"side": 3, "train": 10, "test": 10}
    with pytest.raises(ValueError, match="different mazes with a path of 3 moves or more, not"):
        maze.build(maze.Maze(**(fields | changes)))
