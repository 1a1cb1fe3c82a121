"""The cache of what can be made again: where it is, and how a folder of it is written.

Each folder is named by what it holds and a hash over all that its content depends on, so other
settings are another folder. It can be deleted at any time.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_folder(name: str, key: object) -> Path:
    """The folder, there or not, of `name` with this key of JSON values.

    The cache is $EXP_PUZZLE_CACHE, or else exp-puzzles in $XDG_CACHE_HOME or ~/.cache.
    """
    written = json.dumps(key, sort_keys=True)
    return _root() / f"{name}-{hashlib.sha256(written.encode()).hexdigest()[:8]}"


def _root() -> Path:
    if chosen := os.environ.get("EXP_PUZZLE_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "exp-puzzles"


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, NAME.lock beside it; the kernel frees it with the process.

    Raises:
        ValueError: something in the block cannot be written, on a full disk for example.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folder.with_name(f"{folder.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise ValueError(
            f"{folder}: cannot be written ({error}); make room, or set EXP_PUZZLE_CACHE to a folder"
            " that has some"
        ) from error


def sync(folder: Path) -> None:
    """Make the names in a folder outlast a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, value: object) -> None:
    """Write a value, on the disk when this returns."""
    with path.open("w") as file:
        json.dump(value, file)
        file.flush()
        os.fsync(file.fileno())


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
