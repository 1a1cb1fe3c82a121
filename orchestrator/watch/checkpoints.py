"""Checkpoints of a run, as their manifests tell them."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from orchestrator.domain.facts import Checkpoint
from orchestrator.errors import InvalidFileError
from orchestrator.fsio import read_json
from orchestrator.workspace import RunFolder


class CheckpointShelf:
    """Reads each manifest once, and again when a program has saved the same step anew."""

    def __init__(self) -> None:
        self._manifests: dict[Path, tuple[tuple[int, int], Any]] = {}

    def of(self, folder: RunFolder) -> tuple[Checkpoint, ...]:
        """Checkpoints with a readable manifest, by step; a torn or a foreign one is none."""
        if not folder.checkpoints.is_dir():
            return ()
        found = []
        for path in folder.checkpoints.glob("step_*/manifest.json"):
            with suppress(InvalidFileError, OSError, KeyError, TypeError, ValueError):
                found.append(_checkpoint(folder, path, self._manifest(path)))
        return tuple(sorted(found, key=lambda checkpoint: checkpoint.step))

    def _manifest(self, path: Path) -> Any:
        stat = path.stat()
        stamp = (stat.st_ino, stat.st_mtime_ns)
        if path not in self._manifests or self._manifests[path][0] != stamp:
            self._manifests[path] = (stamp, read_json(path))
        return self._manifests[path][1]


def _checkpoint(folder: RunFolder, path: Path, manifest: Any) -> Checkpoint:
    """Raises KeyError, TypeError or ValueError if it is no manifest of ours."""
    target = path.parent / manifest["path"]
    inside = target.is_relative_to(folder.path)
    files = manifest["files"]
    return Checkpoint(
        step=int(manifest["step"]),
        path=str(target.relative_to(folder.path) if inside else target),
        bytes=sum(file["bytes"] for file in files),
        files=len(files),
        time=float(manifest["time"]),
        valid=bool(files)
        and all(_has_size(path.parent / file["path"], file["bytes"]) for file in files),
        attempt=int(manifest["attempt"]),
    )


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False
