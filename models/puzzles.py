"""Puzzles as arrays: in memory, in the folder layout of HRM, TRM and URM, and in a cache.

Shapes: N examples, P puzzles (one augmentation of one original each), G groups (originals),
S cells of a square canvas. Token 0 is padding, and as a label it means "not scored".

A folder is what the originals' `build_*_dataset.py` write, {train,test}/dataset.json and five
arrays each, with keys of ours beside theirs; a folder of theirs is read as well. It appears
under its name all at once, so there is none that is half written.
"""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from math import isqrt
from pathlib import Path
from typing import Any, Final, Literal
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from models.cache_folder import cache_folder, sha256, sync, write_json, writing

Kind = Literal["arc", "sudoku", "maze"]
Part = Literal["train", "test"]

FORMAT: Final = 1  # of the folder: goes up with every change of what the same settings write
IGNORE: Final = -100  # a label that is not scored, where labels are numbers of classes
BLANK: Final = "<blank>"

# dataset.json of the originals does not say what it holds; their vocabularies differ.
_KIND_OF_VOCABULARY: dict[int, Kind] = {12: "arc", 11: "sudoku", 6: "maze"}
_ZEROS = ("pad_id", "ignore_label_id", "blank_identifier_id")
_ARRAYS = {
    "inputs": "inputs_NS",
    "labels": "labels_NS",
    "puzzle_identifiers": "puzzle_identifiers_P",
    "puzzle_indices": "puzzle_indices_P1",
    "group_indices": "group_indices_G1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Examples of one split; those of puzzle p are puzzle_indices[p] to puzzle_indices[p + 1].

    Likewise the puzzles of group g are group_indices[g] to group_indices[g + 1].
    """

    inputs_NS: NDArray[np.uint8]
    labels_NS: NDArray[np.uint8]
    puzzle_identifiers_P: NDArray[np.int32]
    puzzle_indices_P1: NDArray[np.int32]
    group_indices_G1: NDArray[np.int32]

    @property
    def examples(self) -> int:
        """Number of examples N."""
        return len(self.inputs_NS)

    @property
    def puzzles(self) -> int:
        """Number of puzzles P."""
        return len(self.puzzle_identifiers_P)

    @property
    def groups(self) -> int:
        """Number of groups G."""
        return len(self.group_indices_G1) - 1

    def identifiers_N(self) -> NDArray[np.int32]:
        """The identifier of each example."""
        return np.repeat(self.puzzle_identifiers_P, np.diff(self.puzzle_indices_P1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    """All of a set but its arrays.

    `identifiers` names every identifier; the first is "<blank>". `test_puzzles` holds the raw
    tasks of an ARC evaluation, and is empty otherwise. `settings` is what the generator was asked
    for (read from a folder, its tuples are lists); empty for a folder of the originals.
    """

    name: str
    kind: Kind
    side: int
    vocabulary: int
    identifiers: tuple[str, ...]
    test_puzzles: dict[str, Any]
    settings: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PuzzleSet(Meta):
    """A generated set: two splits and what they were made from."""

    train: Split
    test: Split


def write(folder: Path, puzzle_set: PuzzleSet) -> None:
    """Write a set as a folder, which appears complete or not at all.

    Raises:
        ValueError: the set is not sound (`check_split` says how).
        FileExistsError: there is such a folder, and it is not empty.
    """
    for part in ("train", "test"):
        check_split(getattr(puzzle_set, part), puzzle_set, f"{puzzle_set.name}, {part} split")
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f".{folder.name}-{uuid4().hex}")
    try:
        for part in ("train", "test"):
            _write_split(partial / part, getattr(puzzle_set, part), puzzle_set)
        write_json(partial / "identifiers.json", puzzle_set.identifiers)
        if puzzle_set.test_puzzles:
            write_json(partial / "test_puzzles.json", puzzle_set.test_puzzles)
        _appear(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _appear(partial: Path, folder: Path) -> None:
    try:
        partial.rename(folder)
    except OSError as error:
        if folder.exists():
            raise FileExistsError(f"{folder} exists: delete it to write it anew") from error
        raise
    sync(folder.parent)


def _write_split(folder: Path, split: Split, meta: Meta) -> None:
    folder.mkdir(parents=True)
    hashes = {}
    for array, field in _ARRAYS.items():
        path = folder / f"all__{array}.npy"
        with path.open("wb") as file:
            np.save(file, getattr(split, field), allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
        hashes[array] = sha256(path)
    theirs = dict.fromkeys(_ZEROS, 0) | {
        "vocab_size": meta.vocabulary,
        "seq_len": meta.side**2,
        "num_puzzle_identifiers": len(meta.identifiers),
        "total_groups": split.groups,
        "mean_puzzle_examples": split.examples / split.puzzles,
        "total_puzzles": split.puzzles,
        "sets": ["all"],
    }
    ours = {
        "format": FORMAT,
        "name": meta.name,
        "kind": meta.kind,
        "side": meta.side,
        "settings": meta.settings,
        "sha256": hashes,
    }
    write_json(folder / "dataset.json", theirs | ours)


def read_meta(folder: Path) -> Meta:
    """What a folder holds, without its arrays.

    Raises:
        ValueError: no such folder, another format, or no square canvas.
    """
    found = _dataset(folder, "train")
    vocabulary, side = found["vocab_size"], isqrt(found["seq_len"])
    if side**2 != found["seq_len"]:
        raise ValueError(f"{folder}: {found['seq_len']} cells are no square canvas")
    kind = found.get("kind", _KIND_OF_VOCABULARY.get(vocabulary))
    if kind is None:
        known = ", ".join(f"{v} ({k})" for v, k in _KIND_OF_VOCABULARY.items())
        raise ValueError(f"{folder}: no kind of puzzle has a vocabulary of {vocabulary}: {known}")
    puzzles = folder / "test_puzzles.json"
    return Meta(
        name=found.get("name", folder.name),
        kind=kind,
        side=side,
        vocabulary=vocabulary,
        identifiers=tuple(_read_json(folder / "identifiers.json")),
        test_puzzles=_read_json(puzzles) if puzzles.exists() else {},
        settings=found.get("settings", {}),
    )


def read_split(folder: Path, part: Part) -> Split:
    """One split of a folder, its arrays mapped from the files where the types are ours.

    Raises:
        ValueError: another format, files that are cut short or changed, or (in a folder that is
            not ours) a split that is not sound.
    """
    hashes = _dataset(folder, part).get("sha256")
    arrays = {}
    for array, field in _ARRAYS.items():
        path = folder / part / f"all__{array}.npy"
        if hashes is not None and path.exists() and sha256(path) != hashes[array]:
            raise ValueError(
                f"{path}: not what was written (its SHA-256 differs from dataset.json); "
                f"delete {folder}: it is built again"
            )
        dtype = np.dtype(np.uint8 if field.endswith("_NS") else np.int32)
        arrays[field] = _read_array(path, dtype)
    split = Split(**arrays)
    if hashes is None:
        check_split(split, read_meta(folder), f"{folder}, {part} split")
    return split


def _read_array(path: Path, dtype: np.dtype[Any]) -> NDArray[Any]:
    try:
        found: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"{path}: missing or cut short; build its folder again") from error
    if found.ndim == 0:
        raise ValueError(f"{path}: one number, not an array of them; build its folder again")
    if found.dtype == dtype:
        return found if found.ndim == 2 else np.array(found)  # indices are small, and read often
    bounds = np.iinfo(dtype)
    if found.dtype.kind not in "iu" or found.min() < bounds.min or found.max() > bounds.max:
        raise ValueError(f"{path}: {found.dtype} does not fit into {dtype}")
    return found.astype(dtype)


def _dataset(folder: Path, part: Part) -> dict[str, Any]:
    found: dict[str, Any] = _read_json(folder / part / "dataset.json")
    if type(found) is not dict:
        raise ValueError(f"{folder}/{part}/dataset.json: no object; build the folder again")
    if found.get("format", FORMAT) != FORMAT:
        raise ValueError(
            f"{folder}: format {found['format']}, this code reads {FORMAT}; "
            f"delete the folder: it is built again"
        )
    for key in ("vocab_size", "seq_len", *_ZEROS):
        if type(found.get(key)) is not int or (key in _ZEROS and found[key] != 0):
            raise ValueError(f"{folder}: {key} is {found.get(key)!r} in {part}/dataset.json")
    return found


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError as error:
        raise ValueError(f"{path}: missing; a folder of puzzles has it: build it again") from error
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise ValueError(f"{path}: no JSON ({error}); build its folder again") from error


def check_split(split: Split, meta: Meta, where: str) -> None:
    """Refuse a split that training or evaluation would stumble over.

    Raises:
        ValueError: empty; arrays of other shapes; indices out of order; a token or an identifier
            out of range; an example without one scored label. Names `where` and the row.
    """
    shape = (split.examples, meta.side**2)
    if split.examples == 0:
        raise ValueError(f"{where}: empty; ask for at least one example")
    for name, array in (("inputs", split.inputs_NS), ("labels", split.labels_NS)):
        if array.shape != shape:
            raise ValueError(f"{where}: {name} are {array.shape}, {shape} is [examples, cells]")
        _refuse(array.max(axis=1) >= meta.vocabulary, where, f"{name}: a token out of range")
    _refuse(split.labels_NS.max(axis=1) == 0, where, "no scored label (all labels are 0)")
    for name, indices, last in (
        ("puzzle_indices", split.puzzle_indices_P1, split.examples),
        ("group_indices", split.group_indices_G1, split.puzzles),
    ):
        if (
            len(indices) == 0
            or indices[0] != 0
            or indices[-1] != last
            or (np.diff(indices) < 1).any()
        ):
            raise ValueError(f"{where}: {name} must rise from 0 to {last}")
    if len(split.puzzle_indices_P1) != split.puzzles + 1:
        raise ValueError(f"{where}: {split.puzzles} identifiers, and indices of other puzzles")
    ids = split.puzzle_identifiers_P
    outside = np.logical_or(ids < 0, ids >= len(meta.identifiers))
    _refuse(outside, where, f"an identifier outside of {len(meta.identifiers)} names", "puzzle")


def answers_in_common(trained: Split, evaluated: Split) -> int:
    """How many examples of `evaluated` have an answer that `trained` has too, cell by cell."""
    seen = {labels_S.tobytes() for labels_S in trained.labels_NS}
    return sum(labels_S.tobytes() in seen for labels_S in evaluated.labels_NS)


def _refuse(bad: NDArray[Any], where: str, what: str, row: str = "example") -> None:
    if bad.any():
        raise ValueError(
            f"{where}, {row} {int(bad.argmax())} (and {int(bad.sum()) - 1} more): {what}"
        )


def cached(name: str, settings: dict[str, Any], build: Callable[[], PuzzleSet]) -> Path:
    """The folder of a set in the cache; `build` is called if it is not there yet.

    The folder is named by `name` and a hash over the format, the name and the settings (JSON).
    The cache is $EXP_PUZZLE_CACHE, or else exp-puzzles in $XDG_CACHE_HOME or ~/.cache. Of
    several processes that ask at once one builds, and the others wait for it.

    Raises:
        ValueError: the cache cannot be written, or `build` says so.
    """
    folder = cache_folder(name, [FORMAT, name, settings])
    if not folder.is_dir():
        with writing(folder):
            _build(folder, build)
    return folder


def _build(folder: Path, build: Callable[[], PuzzleSet]) -> None:
    if not folder.is_dir():
        for left_by_a_killed_build in folder.parent.glob(f".{folder.name}-*"):
            shutil.rmtree(left_by_a_killed_build)
        write(folder, build())
