"""Checkpoints of a run, as their manifests tell them."""

from pathlib import Path
from typing import Any

from orchestrator.domain.facts import Checkpoint
from orchestrator.errors import InvalidFileError
from orchestrator.fsio import read_json
from orchestrator.workspace import RunFolder


class CheckpointShelf:
    """Reads each manifest once: a manifest is written last and never changes."""

    def __init__(self) -> None:
        self._manifests: dict[Path, dict[str, Any]] = {}

    def of(self, folder: RunFolder) -> tuple[Checkpoint, ...]:
        """Checkpoints with a readable manifest, by step; a torn one is none."""
        found: list[Checkpoint] = []
        if not folder.checkpoints.is_dir():
            return ()
        for path in folder.checkpoints.glob("step_*/manifest.json"):
            manifest = self._manifest(path)
            if manifest is not None:
                found.append(_checkpoint(folder, path, manifest))
        return tuple(sorted(found, key=lambda checkpoint: checkpoint.step))

    def _manifest(self, path: Path) -> dict[str, Any] | None:
        if path not in self._manifests:
            try:
                self._manifests[path] = read_json(path)
            except (InvalidFileError, FileNotFoundError):
                return None
        return self._manifests[path]


def _checkpoint(folder: RunFolder, path: Path, manifest: dict[str, Any]) -> Checkpoint:
    target = path.parent / manifest["path"]
    inside = target.is_relative_to(folder.path)
    files = manifest["files"]
    return Checkpoint(
        step=manifest["step"],
        path=str(target.relative_to(folder.path) if inside else target),
        bytes=sum(file["bytes"] for file in files),
        files=len(files),
        time=manifest["time"],
        valid=bool(files)
        and all(_has_size(path.parent / file["path"], file["bytes"]) for file in files),
        attempt=manifest["attempt"],
    )


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except FileNotFoundError:
        return False
