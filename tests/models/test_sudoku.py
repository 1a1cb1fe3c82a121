"""Generated sets of Sudoku: what is in them, how they are split, and that they repeat."""

import hashlib
import os
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from literal_sudoku import BOXES, is_solution

from models.sudoku_set import Sudoku, build
from models.sudoku_solver import solve
from models.sudoku_symmetry import canonical

ROOT = Path(__file__).resolve().parents[2]
SIDES = tuple(BOXES)
CONFIGS = {
    4: Sudoku(side=4, givens=(4, 9), train=300, test=60),
    6: Sudoku(side=6, givens=(8, 16), train=200, test=40, augmentations=3),
    9: Sudoku(side=9, givens=(23, 34), train=60, test=30, augmentations=4),
}
# A change of any of these is a change of the data: results before and after do not compare.
DIGESTS = {
    4: "0fd8ab70efd87a71",
    6: "018bd761d117d3cc",
    9: "4fbc77b572f3d216",
}


@pytest.fixture(scope="module")
def sets():
    return {side: build(config) for side, config in CONFIGS.items()}


def digits(tokens):
    return tokens - np.uint8(1)


def digest(made):
    """A hash over every array of both splits."""
    arrays = [getattr(part, f.name) for part in (made.train, made.test) for f in fields(part)]
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()[:16]


def keys(tokens, side):
    """The class of each solution; at 4 x 4 the solution itself."""
    grids = digits(tokens) if side == 4 else canonical(digits(tokens), side)
    return {grid.tobytes() for grid in grids}


@pytest.mark.parametrize("side", SIDES)
def test_labels_are_the_only_solution(sets, side):
    """Each puzzle of both splits, augmented ones too, has one solution: its label."""
    for split in (sets[side].train, sets[side].test):
        found = solve(digits(split.inputs_NS), side)
        assert (found.solutions_N == 1).all()
        assert (found.answers_NS == digits(split.labels_NS)).all()
        assert all(is_solution(grid, side) for grid in digits(split.labels_NS[:20]).tolist())


@pytest.mark.parametrize("side", SIDES)
def test_puzzles_are_as_many_and_as_hard_as_asked(sets, side):
    """Numbers of puzzles, of forms and of givens are those of the configuration."""
    config, made = CONFIGS[side], sets[side]
    assert len(made.train.group_indices_G1) == config.train + 1
    assert made.train.examples == config.train * config.augmentations
    assert made.test.examples == len(made.test.group_indices_G1) - 1 == config.test
    for split in (made.train, made.test):
        givens = (split.inputs_NS > 1).sum(1)
        assert config.givens[0] <= givens.min()
        assert givens.max() <= config.givens[1]
        assert len(np.unique(givens)) > 3


@pytest.mark.parametrize("side", SIDES)
def test_no_test_puzzle_is_equivalent_to_a_training_puzzle(sets, side):
    """Solutions of test and of training, augmented ones too, are never of one class."""
    train, test = keys(sets[side].train.labels_NS, side), keys(sets[side].test.labels_NS, side)
    assert train
    assert test
    assert not train & test


@pytest.mark.parametrize("side", SIDES)
def test_originals_are_all_different(sets, side):
    """No puzzle is there twice, whatever its split."""
    made, forms = sets[side], CONFIGS[side].augmentations
    both = np.concatenate([made.train.inputs_NS[::forms], made.test.inputs_NS])
    assert len(np.unique(both, axis=0)) == len(both)


@pytest.mark.parametrize("side", SIDES)
def test_a_set_has_the_layout_of_the_references(sets, side):
    """Tokens begin at 1, one identifier for all, one example a puzzle, one group an original."""
    made, forms = sets[side], CONFIGS[side].augmentations
    assert (made.kind, made.side, made.vocabulary) == ("sudoku", side, side + 2)
    assert made.identifiers == ("<blank>",)
    assert made.test_puzzles == {}
    assert made.settings["seed"] == 0
    for split, each in ((made.train, forms), (made.test, 1)):
        assert split.inputs_NS.dtype == split.labels_NS.dtype == np.uint8
        assert split.inputs_NS.shape == split.labels_NS.shape == (split.examples, side * side)
        assert split.inputs_NS.min() == 1
        assert split.labels_NS.min() == 2
        assert split.inputs_NS.max() == split.labels_NS.max() == side + 1
        assert not split.identifiers_N().any()
        assert (split.puzzle_indices_P1 == np.arange(split.examples + 1)).all()
        assert (np.diff(split.group_indices_G1) == each).all()


@pytest.mark.parametrize("side", SIDES[1:])
def test_forms_belong_to_their_original(sets, side):
    """The forms of a group are of one class, have as many givens, and the first is as generated."""
    plain = build(replace(CONFIGS[side], augmentations=1)).train
    train, forms = sets[side].train, CONFIGS[side].augmentations
    assert (train.inputs_NS[::forms] == plain.inputs_NS).all()
    assert (train.labels_NS[::forms] == plain.labels_NS).all()
    classes = canonical(digits(train.labels_NS), side).reshape(-1, forms, side * side)
    assert (classes == classes[:, :1]).all()
    givens = (train.inputs_NS > 1).sum(1).reshape(-1, forms)
    assert (givens == givens[:, :1]).all()
    assert not (train.inputs_NS[1::forms] == plain.inputs_NS).all(1).any()


def test_the_hardest_share_takes_more_guesses():
    """Of ten candidates the one with most guesses is kept: all take more than most others do."""
    plain = Sudoku(side=9, givens=(22, 28), train=100, test=50)
    hard = replace(plain, hardest=0.1)
    guesses = [
        solve(digits(made.test.inputs_NS), 9).guesses_N for made in map(build, (plain, hard))
    ]
    assert guesses[1].min() > np.percentile(guesses[0], 80)
    assert hard.name == "sudoku-9x9-givens22-28-hardest0.1-100x1-seed0"


@pytest.mark.parametrize("side", SIDES)
def test_bytes_are_the_same_everywhere(sets, side):
    """A configuration gives these bytes, on any machine and with any version of any library."""
    assert digest(sets[side]) == DIGESTS[side]


def test_workers_and_seeds(sets):
    """One worker and five make the same set; another seed makes another."""
    config = CONFIGS[6]
    assert digest(build(config, workers=1)) == digest(build(config, workers=5)) == digest(sets[6])
    other = build(replace(config, seed=1))
    assert not (other.train.inputs_NS == sets[6].train.inputs_NS).all(1).any()


@pytest.mark.parametrize(("side", "compiled"), [(6, True), (4, False)])
def test_other_processes_make_the_same_set(sets, side, compiled):
    """The bytes are those of another process, and of the same code run by Python alone."""
    program = (
        "import sys; sys.path += ['tests', 'tests/models']\n"
        "from models.sudoku_set import Sudoku, build\n"
        "from test_sudoku import digest\n"
        f"print(digest(build({CONFIGS[side]!r})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"NUMBA_DISABLE_JIT": "0" if compiled else "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == digest(sets[side]), done.stderr


def test_names_tell_what_a_set_is():
    """The name has size, givens, numbers and seed."""
    config = Sudoku(side=6, givens=(8, 16), train=5000, test=1000, augmentations=16)
    assert config.name == "sudoku-6x6-givens8-16-5000x16-seed0"
    assert config.settings["givens"] == [8, 16]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"side": 5}, "side=5"),
        ({"givens": (16, 8)}, "givens=16..8"),
        ({"givens": (-1, 8)}, "givens=-1..8"),
        ({"givens": (8, 36)}, "givens=8..36"),
        ({"train": 0}, "train=0"),
        ({"test": 0}, "test=0"),
        ({"augmentations": 0}, "augmentations=0"),
        ({"side": 4, "givens": (4, 8)}, "use augmentations=1"),
        ({"hardest": 0.0}, "hardest=0.0"),
        ({"hardest": 1.0}, "hardest=1.0"),
        ({"hardest": float("nan")}, "hardest=nan"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": 2**63}, "seed=9223372036854775808"),
    ],
)
def test_what_cannot_be_generated_is_refused(change, says):
    """A wrong value is an error that names field and value, before anything is generated."""
    with pytest.raises(ValueError, match=says):
        replace(CONFIGS[6], **change)


def test_more_puzzles_than_there_are_is_an_error():
    """With 15 of 16 givens there are 4,608 puzzles: asking for more ends with what was found."""
    with pytest.raises(ValueError, match=r"different puzzles gave \d+ of 5000 for train"):
        build(Sudoku(side=4, givens=(15, 15), train=5000, test=10))


def test_fewer_givens_than_possible_is_an_error():
    """No 9 x 9 puzzle has 16 givens; that is noticed at once, and told by its field."""
    with pytest.raises(ValueError, match=r"givens=10\.\.16: none of \d+ candidates"):
        build(Sudoku(side=9, givens=(10, 16), train=10, test=10))
