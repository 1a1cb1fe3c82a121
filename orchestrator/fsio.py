"""Files that are whole or absent: atomic writes, write-once records, locks."""

import fcntl
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from orchestrator.errors import ConflictError, EnvironmentFailure, InvalidFileError

_LOCK_POLL = 0.01  # seconds


def write_atomic(path: Path, data: bytes) -> None:
    """Replace `path` by `data`; a reader sees the old bytes or the new ones, never a part.

    The mode of an existing file is kept, and a symbolic link is written through, not replaced.

    Raises:
        EnvironmentFailure: the disk is full or the folder cannot be written; `path` is unchanged.
    """
    target = path.resolve()
    with _failing_as_environment(path), _temporary_beside(target, data) as temporary:
        if target.exists():
            temporary.chmod(target.stat().st_mode & 0o7777)
        temporary.replace(target)
        sync_folder(target.parent)


def replace_if_same(path: Path, expected: bytes, data: bytes) -> bool:
    """Replace `path` by `data` if it still holds `expected`; say whether it was replaced.

    The file is read when the new bytes are on the disk already, just before the rename, so that
    another program's save is missed only if it falls into that moment.

    Raises:
        EnvironmentFailure: as `write_atomic`; `path` is unchanged.
    """
    target = path.resolve()
    with _failing_as_environment(path), _temporary_beside(target, data) as temporary:
        try:
            temporary.chmod(target.stat().st_mode & 0o7777)
            if target.read_bytes() != expected:
                return False
        except FileNotFoundError:
            return False
        temporary.replace(target)
        sync_folder(target.parent)
        return True


def write_once(path: Path, data: bytes) -> bool:
    """Create `path` with `data` unless it exists; say whether this call created it.

    Of several writers at once exactly one gets True: `os.link` fails if the name is taken.
    """
    with _failing_as_environment(path), _temporary_beside(path, data) as temporary:
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        sync_folder(path.parent)
        return True


@contextmanager
def _temporary_beside(path: Path, data: bytes) -> Iterator[Path]:
    """A file with `data` in the folder of `path`; what killed writers of `path` left there goes."""
    sweep(path)
    descriptor, name = _locked_temporary(path)
    temporary = Path(name)
    with os.fdopen(descriptor, "wb") as file:  # open, and so locked, until it is in its place
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            umask = os.umask(0)
            os.umask(umask)
            temporary.chmod(0o666 & ~umask)
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)


def _locked_temporary(path: Path) -> tuple[int, str]:
    while True:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        with suppress(OSError):  # a file system without locks: nobody sweeps there
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return descriptor, name
        os.close(descriptor)  # swept between its birth and its lock


def sweep(path: Path) -> None:
    """Remove temporary files of `path` that nobody holds: their writers were killed."""
    for name in os.listdir(path.parent):  # noqa: PTH208 - names, of perhaps thousands of files
        if name.startswith(f".{path.name}.") and name.endswith(".tmp"):
            stale = path.with_name(name)
            with suppress(OSError), stale.open("r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                stale.unlink()


@contextmanager
def _failing_as_environment(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EnvironmentFailure(
            f"cannot write {path}: {error.strerror}",
            hint=f"df -h {path.parent}; ls -ld {path.parent}",
        ) from error


def sync_folder(folder: Path) -> None:
    """Make renames and links in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def to_json(value: Any) -> bytes:
    """Encode plain data as indented JSON with a final newline; equal data give equal bytes."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        InvalidFileError: the file is torn or no JSON.
        FileNotFoundError: there is none.
    """
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise InvalidFileError(f"{path} is no valid JSON: {error}") from error


@contextmanager
def locked(path: Path, *, busy: str, wait: bool = False, patience: float = 0.0) -> Iterator[None]:
    """Hold an exclusive lock on `path`; the kernel frees it when the process dies.

    With `wait` it waits for it as long as it takes, else `patience` seconds.

    Raises:
        ConflictError: with the text `busy`, if somebody else holds it still.
    """
    descriptor = try_lock(path, wait=wait, patience=patience)
    if descriptor is None:
        raise ConflictError(busy)
    try:
        yield
    finally:
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether somebody holds the lock of a file, in whatever container; False if there is none."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        pass
    return False


def try_lock(path: Path, *, wait: bool = False, patience: float = 0.0) -> int | None:
    """Take an exclusive lock and return its descriptor (close it to release), or None if held.

    With `wait` it waits as long as it takes, else `patience` seconds.
    """
    with _failing_as_environment(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                return None
            time.sleep(_LOCK_POLL)
        else:
            return descriptor
