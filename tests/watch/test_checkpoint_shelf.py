"""Checkpoints as the watcher sees them, whatever a program leaves in their folder."""

import json

import pytest

from orchestrator.track.checkpoints import step_folder, write_manifest
from orchestrator.watch.checkpoints import CheckpointShelf
from orchestrator.workspace import RunFolder


@pytest.fixture
def run(tmp_path):
    """A run without checkpoints."""
    return RunFolder(tmp_path)


def save(run, step, data):
    """Save a checkpoint as `run.checkpoint` does."""
    folder = step_folder(run.checkpoints, step)
    (folder / "weights").write_bytes(data)
    write_manifest(folder, folder, {"step": step, "attempt": 1, "meta": {}})


@pytest.mark.parametrize(
    "foreign",
    [
        b'{"step": 5, "files": ["a.bin"]}',
        b'["step", 5]',
        b'{"step": "five", "path": ".", "files": [], "time": 1, "attempt": 1}',
        b'{"step": 5, "path": 5, "files": {}, "time": 1, "attempt": 1}',
        b'{"step": 5, "path": ".", "files": [{"path": "a", "bytes": "9"}], "time": 1}',
        b"torn {",
        b"\xff\xfe",
    ],
)
def test_a_manifest_of_another_program_hides_nothing(run, foreign):
    """It is none of ours and does not count; the checkpoint beside it does."""
    save(run, 3, b"w" * 100)
    (step_folder(run.checkpoints, 5) / "manifest.json").write_bytes(foreign)
    (step_folder(run.checkpoints, 7) / "manifest.json").mkdir()
    assert [(each.step, each.valid) for each in CheckpointShelf().of(run)] == [(3, True)]


def test_a_step_that_is_saved_again_is_read_again(run):
    """After a resume the same step has other files, of which the new manifest tells."""
    shelf = CheckpointShelf()
    save(run, 3, b"w" * 100)
    (first,) = shelf.of(run)
    save(run, 3, b"w" * 200)
    (again,) = shelf.of(run)
    assert (first.bytes, first.valid, again.bytes, again.valid) == (100, True, 200, True)
    (run.checkpoints / "step_3" / "weights").write_bytes(b"torn")
    assert not shelf.of(run)[0].valid
    assert json.loads((run.checkpoints / "step_3/manifest.json").read_text())["step"] == 3
