"""Checkpoints: a manifest written last, and the newest one that is whole."""

import hashlib
import json
import os
import signal
from pathlib import Path

import pytest

from orchestrator import track
from orchestrator.track.checkpoints import newest_valid


def saved(run, step, text="weights"):
    """A checkpoint of two files, sealed."""
    folder = run.checkpoint_dir(step)
    (folder / "shards").mkdir(exist_ok=True)
    (folder / "model.pt").write_text(text)
    (folder / "shards" / "0.pt").write_text(text * 2)
    assert run.checkpoint(folder, step, {"rng": [1, 2]}) == folder / "manifest.json"
    return folder


def test_manifest_names_every_file_with_size_and_hash(home):
    """The manifest lists what lies in the folder, relative to it, and what the caller added."""
    folder = saved(track.init(), 10361)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert folder == home.run / "checkpoints" / "step_10361"
    assert (manifest["step"], manifest["attempt"], manifest["path"]) == (10361, 1, ".")
    assert manifest["meta"] == {"rng": [1, 2]}
    assert manifest["time"] > 1.6e9
    assert [(entry["path"], entry["bytes"], entry["sha256"]) for entry in manifest["files"]] == [
        ("model.pt", 7, hashlib.sha256(b"weights").hexdigest()),
        ("shards/0.pt", 14, hashlib.sha256(b"weights" * 2).hexdigest()),
    ]


def test_checkpoint_event_gives_path_size_and_count(home):
    """The event names the folder relative to the run, so that a moved workspace still reads."""
    saved(track.init(), 5)
    (event,) = home.events("checkpoint")
    assert event["step"] == 5
    assert event["data"] == {"path": "checkpoints/step_5", "bytes": 21, "files": 2}


def test_file_elsewhere_is_named_by_its_absolute_path(home, tmp_path):
    """A checkpoint that the program keeps in its own folder gets a manifest in the run's."""
    file = tmp_path / "out" / "last.ckpt"
    file.parent.mkdir()
    file.write_text("w")
    run = track.init()
    manifest = json.loads(run.checkpoint(file, 3).read_text())
    assert manifest["path"] == str(file)
    assert manifest["files"][0]["path"] == str(file)
    assert track.resume_path() == file


def test_file_inside_the_folder_is_named_relative_to_it(home):
    """`path` is what the program passed, so `resume_path` gives back what can be loaded."""
    run = track.init()
    file = run.checkpoint_dir(4) / "model.pt"
    file.write_text("w")
    manifest = json.loads(run.checkpoint(file, 4).read_text())
    assert manifest["path"] == "model.pt"
    assert track.resume_path() == file


def test_newest_checkpoint_is_resumed(home):
    """Without damage the last one sealed is given, whatever its step."""
    run = track.init()
    saved(run, 20)
    last = saved(run, 10)
    assert track.resume_path() == last


def test_a_clock_that_is_set_back_between_attempts_hides_no_checkpoint(home):
    """What a later attempt sealed is newer, whatever the clock says."""
    run = track.init()
    for step, attempt, time in ((1, 1, 2000.0), (2, 2, 1000.0)):
        manifest = saved(run, step) / "manifest.json"
        told = json.loads(manifest.read_text()) | {"attempt": attempt, "time": time}
        manifest.write_text(json.dumps(told))
    assert track.resume_path() == home.run / "checkpoints" / "step_2"


@pytest.mark.parametrize("damage", ["torn", "changed", "missing", "manifest", "no manifest"])
def test_damaged_checkpoint_is_passed_over(home, damage, capsys):
    """A checkpoint whose files differ from its manifest is skipped for the one before it."""
    run = track.init()
    good = saved(run, 1)
    bad = saved(run, 2)
    if damage == "torn":
        os.truncate(bad / "model.pt", 3)
    elif damage == "changed":
        (bad / "model.pt").write_text("weighty")
    elif damage == "missing":
        (bad / "shards" / "0.pt").unlink()
    elif damage == "manifest":
        os.truncate(bad / "manifest.json", 40)
    else:
        (bad / "manifest.json").unlink()
    assert track.resume_path() == good
    assert ("checkpoint skipped" in capsys.readouterr().err) == (damage != "no manifest")


def test_overwriting_a_step_without_sealing_it_again_makes_it_invalid(home):
    """A crash between saving and sealing leaves no manifest that vouches for other bytes."""
    run = track.init()
    folder = saved(run, 1)
    (folder / "model.pt").write_text("half of the next")
    assert track.resume_path() is None
    saved(run, 1, "other")
    assert track.resume_path() == folder


def test_without_a_checkpoint_there_is_nothing_to_resume(home):
    """None, not an error, before `init` and after."""
    assert track.resume_path() is None
    track.init()
    assert track.resume_path() is None


def test_checkpoint_that_is_not_there_is_warned_of(home, capsys):
    """Sealing a path that does not exist, or an empty folder, returns None and writes nothing."""
    run = track.init()
    assert run.checkpoint(home.run / "nowhere.pt", 1) is None
    assert run.checkpoint(run.checkpoint_dir(2), 2) is None
    assert home.events("checkpoint") == []
    assert not list(home.run.rglob("manifest.json"))
    assert "checkpoint failed" in capsys.readouterr().err


def test_sigkill_while_saving_leaves_only_whole_checkpoints(home, program, until):
    """Killed at any moment, the newest valid checkpoint loads and is complete."""
    process = program(
        "from orchestrator import track\n"
        "run = track.init()\n"
        "for step in range(10**6):\n"
        "    folder = run.checkpoint_dir(step % 7)\n"
        "    (folder / 'model.pt').write_bytes(bytes([step % 251]) * 50_000)\n"
        "    run.checkpoint(folder, step % 7)\n"
        "    print(step, flush=True)\n",
        home.variables,
    )
    until(lambda: int(process.stdout.readline()) >= 20)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    folder = newest_valid(home.run / "checkpoints")
    assert folder is not None
    content = Path(folder / "model.pt").read_bytes()
    assert len(content) == 50_000
    assert len(set(content)) == 1
