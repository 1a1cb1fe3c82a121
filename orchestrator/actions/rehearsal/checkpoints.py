"""Checkpoints of a stage: proved by their hashes, taken back to an earlier step, lent to another.

A manifest is written last by the training program; here it is only believed as far as its hashes.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from orchestrator.domain.facts import Checkpoint
from orchestrator.errors import InvalidFileError
from orchestrator.fsio import read_json, to_json, write_atomic
from orchestrator.workspace import RunFolder

_CHUNK = 1 << 20
_MANIFEST = "manifest.json"


def manifests(folder: RunFolder) -> Iterator[tuple[Path, Any]]:
    """Path and content of every manifest, in the order of the steps; a torn one has None."""
    found = []
    for path in folder.checkpoints.glob(f"*/{_MANIFEST}"):
        with suppress(FileNotFoundError):
            try:
                manifest = read_json(path)
                found.append((int(manifest["step"]), path, manifest))
            except (InvalidFileError, KeyError, TypeError, ValueError):
                found.append((-1, path, None))
    for _, path, manifest in sorted(found, key=lambda entry: entry[:2]):
        yield path, manifest


def problem_of(folder: RunFolder, checkpoint: Checkpoint) -> str | None:
    """What is wrong with a checkpoint: a file without its recorded size or hash; None if nothing.

    Every byte of it is read.
    """
    for path, manifest in manifests(folder):
        if manifest is None or int(manifest["step"]) != checkpoint.step:
            continue
        if int(manifest["attempt"]) == checkpoint.attempt:
            return _problem(path.parent, manifest)
    return "its manifest is gone"


def _problem(folder: Path, manifest: Any) -> str | None:
    for entry in manifest["files"]:
        file = folder / entry["path"]
        try:
            size, digest = _digest(file)
        except OSError as error:
            return f"{file.name}: {error.strerror}"
        if size != entry["bytes"]:
            return f"{file.name} has {size:,} bytes, its manifest says {entry['bytes']:,}"
        if digest != entry["sha256"]:
            return f"{file.name} is not what was sealed: its hash differs from the manifest's"
    return None


def _digest(file: Path) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    with file.open("rb") as stream:
        while block := stream.read(_CHUNK):
            digest.update(block)
            size += len(block)
    return size, digest.hexdigest()


def forget_after(folder: RunFolder, step: int) -> None:
    """Take away what was saved after `step`: a resume begins there, however quick the program was.

    Without its manifest a checkpoint does not count, and its files would only be in the way.
    """
    for path, manifest in list(manifests(folder)):
        if manifest is not None and int(manifest["step"]) > step:
            shutil.rmtree(path.parent)


def lend(source: RunFolder, target: RunFolder) -> int | None:
    """Put the newest checkpoint of one stage into another; its step, None if there is none.

    The files are linked where that goes: a checkpoint may be as large as the disk has room.
    """
    newest = [(path, manifest) for path, manifest in manifests(source) if manifest is not None][-1:]
    for path, manifest in newest:
        folder = path.parent
        for entry in manifest["files"]:
            _link(folder / entry["path"], _moved(folder / entry["path"], source, target))
        moved = _moved(folder, source, target)
        moved.mkdir(parents=True, exist_ok=True)
        write_atomic(moved / _MANIFEST, to_json(_renamed(manifest, source, target)))
        return int(manifest["step"])
    return None


def _moved(path: Path, source: RunFolder, target: RunFolder) -> Path:
    """The place in the other stage; a file outside the stage stays where it is."""
    plain = Path(os.path.normpath(path))
    if not plain.is_relative_to(source.path):
        return plain
    return target.path / plain.relative_to(source.path)


def _renamed(manifest: Any, source: RunFolder, target: RunFolder) -> Any:
    """The manifest with absolute paths into the one stage replaced by those into the other."""

    def name(text: str) -> str:
        return str(_moved(Path(text), source, target)) if Path(text).is_absolute() else text

    files = [{**entry, "path": name(entry["path"])} for entry in manifest["files"]]
    return {**manifest, "path": name(manifest["path"]), "files": files}


def _link(file: Path, place: Path) -> None:
    if place == file or place.exists():
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(file, place)
    except OSError:  # another file system, or one without links
        shutil.copy2(file, place)
