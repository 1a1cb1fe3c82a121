"""Checkpoints that are whole or do not count: the manifest is written last."""

import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from orchestrator.track.lines import plain
from orchestrator.track.warning import describe, warn_once

MANIFEST = "manifest.json"
CHUNK = 1 << 20


def step_folder(checkpoints: Path, step: int) -> Path:
    """`checkpoints/step_N/`, made if it is not there."""
    folder = checkpoints / f"step_{int(step)}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_manifest(folder: Path, path: Path, about: Mapping[str, Any]) -> dict[str, Any]:
    """Sync and hash what lies at `path` (a file or a folder), then put the manifest in `folder`.

    `about` gives step, attempt and meta. Files are named relative to `folder` if inside it.

    Raises:
        OSError: nothing is there, or it cannot be read or written.
    """
    where = path.absolute()
    files = [_sealed(file, folder) for file in _files(where)]
    if not files:
        raise FileNotFoundError(f"no file in {path}")
    manifest = {
        "step": about["step"],
        "time": time.time(),
        "attempt": about["attempt"],
        "path": _name(where, folder),
        "files": files,
        "meta": plain(about["meta"]),
    }
    replace_json(folder / MANIFEST, manifest)
    return manifest


def newest_valid(checkpoints: Path) -> Path | None:
    """Path of the newest checkpoint whose every file has its recorded size and hash."""
    found = []
    for file in checkpoints.glob(f"*/{MANIFEST}"):
        try:
            manifest = json.loads(file.read_bytes())
            # By attempt first: the clock may have been set back since the last one.
            age = int(manifest["attempt"]), float(manifest["time"]), int(manifest["step"])
            found.append((age, file, manifest))
        except (OSError, ValueError, KeyError, TypeError) as error:
            warn_once(str(file), f"checkpoint skipped, {file}: {describe(error)}")
    for _, file, manifest in sorted(found, key=lambda entry: entry[0], reverse=True):
        reason = _fault(file.parent, manifest)
        if reason is None:
            return Path(os.path.normpath(file.parent / manifest["path"]))
        warn_once(str(file), f"checkpoint skipped, {file}: {reason}")
    return None


def replace_json(path: Path, value: Any) -> None:
    """Write `path` whole or not at all.

    Raises:
        OSError: the folder cannot be written; the old file is unchanged.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write((json.dumps(value, indent=2) + "\n").encode())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync(path.parent)


def sync(path: Path) -> None:
    """Bring a file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        inside = (file for file in sorted(path.rglob("*")) if file.is_file())
        yield from (file for file in inside if file.name != MANIFEST and not _ours(file))
    else:
        yield path


def _ours(file: Path) -> bool:
    return file.name.startswith(f".{MANIFEST}.")


def _sealed(file: Path, folder: Path) -> dict[str, Any]:
    sync(file)
    if file.parent != folder:
        sync(file.parent)
    size, digest = _digest(file)
    return {"path": _name(file, folder), "bytes": size, "sha256": digest}


def _digest(file: Path) -> tuple[int, str]:
    import hashlib  # noqa: PLC0415 - only a program that checkpoints pays for it

    digest = hashlib.sha256()
    size = 0
    with file.open("rb") as stream:
        while block := stream.read(CHUNK):
            digest.update(block)
            size += len(block)
    return size, digest.hexdigest()


def _name(path: Path, folder: Path) -> str:
    try:
        return path.relative_to(folder).as_posix()
    except ValueError:
        return path.as_posix()


def _fault(folder: Path, manifest: Mapping[str, Any]) -> str | None:
    """Why the checkpoint cannot be used, or None."""
    try:
        for entry in manifest["files"]:
            file = folder / entry["path"]
            if file.stat().st_size != entry["bytes"]:
                return f"{file.name} has {file.stat().st_size} bytes, not {entry['bytes']}"
            if _digest(file)[1] != entry["sha256"]:
                return f"{file.name} differs from its hash"
    except (OSError, KeyError, TypeError) as error:
        return describe(error)
    return None
