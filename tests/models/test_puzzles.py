"""Folders of puzzles: what is written is what is read, ours and the originals'."""

import json
from dataclasses import fields, replace

import numpy as np
import pytest
from puzzle_sets import set_of, split_of

from models import puzzles

THEIRS = {  # as the originals' PuzzleDatasetMetadata is dumped for Sudoku
    "pad_id": 0,
    "ignore_label_id": 0,
    "blank_identifier_id": 0,
    "vocab_size": 11,
    "seq_len": 81,
    "num_puzzle_identifiers": 1,
    "total_groups": 3,
    "mean_puzzle_examples": 1.0,
    "total_puzzles": 6,
    "sets": ["all"],
}
SPLIT_FIELDS = [field.name for field in fields(puzzles.Split)]


def files_of(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def same(left, right):
    return all(np.array_equal(getattr(left, name), getattr(right, name)) for name in SPLIT_FIELDS)


@pytest.fixture
def folder(tmp_path):
    """A folder of ours."""
    puzzles.write(tmp_path / "small", set_of())
    return tmp_path / "small"


@pytest.fixture
def theirs(tmp_path):
    """A folder as the originals write it: integers of any width, no key of ours."""
    folder = tmp_path / "sudoku-extreme-1k-aug-1"
    grids = np.random.default_rng(0).integers(1, 11, (6, 81))
    arrays = {
        "inputs": grids,
        "labels": grids,
        "puzzle_identifiers": np.zeros(6, np.int32),
        "puzzle_indices": np.arange(7, dtype=np.int32),
        "group_indices": np.arange(0, 7, 2, dtype=np.int64),
    }
    for part in ("train", "test"):
        (folder / part).mkdir(parents=True)
        (folder / part / "dataset.json").write_text(json.dumps(THEIRS))
        for name, array in arrays.items():
            np.save(folder / part / f"all__{name}.npy", array)
    (folder / "identifiers.json").write_text('["<blank>"]')
    return folder


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_what_is_written_is_read(folder):
    """Both splits and everything about them come back, bytes for grids and 32 bits for indices."""
    written = set_of()
    meta = puzzles.read_meta(folder)
    assert meta == puzzles.Meta(
        **{field.name: getattr(written, field.name) for field in fields(puzzles.Meta)}
    )
    for part in ("train", "test"):
        split = puzzles.read_split(folder, part)
        assert same(split, getattr(written, part))
        kinds = [getattr(split, name).dtype for name in SPLIT_FIELDS]
        assert kinds == [np.uint8] * 2 + [np.int32] * 3


def test_a_round_trip_gives_the_same_bytes(folder, tmp_path):
    """What was read, written again, gives the same files."""
    meta = puzzles.read_meta(folder)
    about = {field.name: getattr(meta, field.name) for field in fields(puzzles.Meta)}
    splits = {part: puzzles.read_split(folder, part) for part in ("train", "test")}
    puzzles.write(tmp_path / "again", puzzles.PuzzleSet(**about, **splits))
    assert files_of(tmp_path / "again") == files_of(folder)


def test_the_originals_find_their_keys(folder):
    """dataset.json has every key of theirs, with numbers counted from the arrays."""
    found = json.loads((folder / "train" / "dataset.json").read_text())
    assert {key: found[key] for key in THEIRS} == THEIRS | {
        "vocab_size": 12,
        "seq_len": 4,
        "num_puzzle_identifiers": 4,
        "total_groups": 2,
        "mean_puzzle_examples": 2.0,
        "total_puzzles": 3,
    }
    names = {path.name for path in (folder / "train").glob("*.npy")}
    assert names == {f"all__{name}.npy" for name in puzzles._ARRAYS}


def test_raw_tasks_are_written_for_arc_alone(tmp_path):
    """Sets without raw tasks have no file of them, as with the originals."""
    puzzles.write(tmp_path / "s", set_of(test_puzzles={}))
    assert not (tmp_path / "s" / "test_puzzles.json").exists()
    assert puzzles.read_meta(tmp_path / "s").test_puzzles == {}


def test_a_folder_of_the_originals_is_read(theirs):
    """Without keys of ours the kind follows from the vocabulary; wider integers are narrowed."""
    meta = puzzles.read_meta(theirs)
    assert (meta.name, meta.kind, meta.side) == (theirs.name, "sudoku", 9)
    split = puzzles.read_split(theirs, "test")
    assert (split.examples, split.puzzles, split.groups) == (6, 6, 3)
    assert split.inputs_NS.dtype == np.uint8
    assert np.array_equal(split.inputs_NS, np.load(theirs / "test" / "all__inputs.npy"))
    assert split.identifiers_N().tolist() == [0] * 6


def test_identifiers_of_examples_follow_their_puzzles():
    """Every example has the identifier of the puzzle it belongs to."""
    assert split_of([[2, 1], [3]]).identifiers_N().tolist() == [1, 1, 2, 3, 3, 3]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": puzzles.FORMAT + 1}, "format 2, this code reads 1; delete the folder"),
        ({"seq_len": 5}, "5 cells are no square canvas"),
        ({"pad_id": 1}, "pad_id is 1"),
        ({"vocab_size": None}, "vocab_size is None"),
    ],
)
def test_a_folder_that_cannot_be_understood_is_refused(folder, changes, message):
    """Another format, canvas or padding is an error that says so, not a wrong reading."""
    edit(folder / "train" / "dataset.json", **changes)
    with pytest.raises(ValueError, match=message) as caught:
        puzzles.read_meta(folder)
    assert str(folder) in str(caught.value)


def test_an_unknown_vocabulary_of_the_originals_is_refused(theirs):
    """A folder that does not say its kind, and whose vocabulary nobody has, is no guess."""
    edit(theirs / "train" / "dataset.json", vocab_size=50257)
    with pytest.raises(ValueError, match=r"vocabulary of 50257: 12 \(arc\), 11 \(sudoku\), 6"):
        puzzles.read_meta(theirs)


def flip(path):
    found = bytearray(path.read_bytes())
    found[-1] ^= 1
    path.write_bytes(found)


def cut(path):
    path.write_bytes(path.read_bytes()[:-3])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (flip, "not what was written"),
        (cut, "not what was written"),
        (lambda path: path.unlink(), "missing or cut short"),
    ],
)
@pytest.mark.parametrize("array", puzzles._ARRAYS)
def test_changed_and_cut_arrays_are_noticed(folder, array, damage, message):
    """One byte is enough; the error names the file."""
    path = folder / "train" / f"all__{array}.npy"
    damage(path)
    with pytest.raises(ValueError, match=message) as caught:
        puzzles.read_split(folder, "train")
    assert str(path) in str(caught.value)
    assert puzzles.read_split(folder, "test").examples == 6


@pytest.mark.parametrize("keep", [0, 5, 60, 200])
def test_a_cut_array_of_the_originals_is_noticed(theirs, keep):
    """Without a hash the header says how long the file must be."""
    path = theirs / "train" / "all__inputs.npy"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match="missing or cut short"):
        puzzles.read_split(theirs, "train")


@pytest.mark.parametrize("value", [256, -1])
def test_numbers_that_are_no_tokens_are_not_wrapped_around(theirs, value):
    """An integer that does not fit into a byte is an error, not another token."""
    np.save(theirs / "train" / "all__inputs.npy", np.full((6, 81), value))
    with pytest.raises(ValueError, match="int64 does not fit into uint8"):
        puzzles.read_split(theirs, "train")


def test_an_unsound_split_of_the_originals_is_noticed(theirs):
    """A folder without hashes is checked when it is read."""
    labels = np.load(theirs / "train" / "all__labels.npy")
    labels[4] = 0
    np.save(theirs / "train" / "all__labels.npy", labels)
    with pytest.raises(ValueError, match=r"aug-1, train split, example 4 .*no scored label"):
        puzzles.read_split(theirs, "train")


@pytest.mark.parametrize("name", ["train/dataset.json", "identifiers.json"])
@pytest.mark.parametrize("content", [None, '{"format'])
def test_a_folder_without_its_json_is_refused(folder, name, content):
    """Missing and torn JSON are told as such."""
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_text(content)
    with pytest.raises(ValueError, match="missing" if content is None else "no JSON"):
        puzzles.read_meta(folder)


def unscored(split):
    split.labels_NS[1] = 0


def unknown_token(split):
    split.inputs_NS[2, 3] = 12


def unknown_identifier(split):
    split.puzzle_identifiers_P[1] = 4


def empty_puzzle(split):
    split.puzzle_indices_P1[1] = 0


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (unscored, r"small, test split, example 1 \(and 0 more\): no scored label"),
        (unknown_token, "example 2 .*inputs: a token out of range"),
        (unknown_identifier, "puzzle 1 .*an identifier outside of 4 names"),
        (empty_puzzle, "puzzle_indices must rise from 0 to 6"),
    ],
)
def test_an_unsound_split_is_not_written(tmp_path, damage, message):
    """The error names split, row and fault, and nothing appears on disk."""
    broken = set_of()
    damage(broken.test)
    with pytest.raises(ValueError, match=message):
        puzzles.write(tmp_path / "s", broken)
    assert not list(tmp_path.iterdir())


def test_an_empty_split_is_refused(tmp_path):
    """A split without an example is an error at once, not an endless wait for a batch."""
    with pytest.raises(ValueError, match="small, train split: empty"):
        puzzles.write(tmp_path / "s", set_of(train=split_of([])))


@pytest.mark.parametrize("name", ["inputs_NS", "labels_NS"])
def test_inputs_and_labels_of_different_shapes_are_refused(tmp_path, name):
    """Each example has one input and one label of the canvas's size."""
    short = replace(split_of([[2, 1], [3]]), **{name: np.ones((6, 3), np.uint8)})
    with pytest.raises(ValueError, match=r"are \(6, 3\), \(6, 4\) is"):
        puzzles.write(tmp_path / "s", set_of(train=short))


def test_an_existing_folder_is_not_overwritten(folder):
    """Writing twice to one name is refused and changes nothing."""
    before = files_of(folder)
    with pytest.raises(FileExistsError, match="delete it"):
        puzzles.write(folder, set_of(groups=((1,),)))
    assert files_of(folder) == before
    assert list(folder.parent.iterdir()) == [folder]
