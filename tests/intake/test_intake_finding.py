import json
import os

import pytest

from orchestrator.domain.run import Track
from orchestrator.store.finding import Finder

ROWS = "step,loss\n1,0.5\n"


def found(place):
    """path → attempt of every file that is read."""
    return {file.name: file.attempt for file in Finder(place.run).files()}


def test_files_of_measurements_in_the_run_folder_are_read(place):
    """Ours, then TensorBoard, CSV and JSON lines; nothing hidden, no checkpoints, no other logs."""
    ours = [f"attempt-1/{name}" for name in ("events-h-0-1.jsonl", "out.log", "telemetry.jsonl")]
    theirs = ["m.csv", "a/b/c/history.jsonl", "tb/events.out.tfevents.1.host.2.0", "a/d.ndjson"]
    theirs += ["attempt-1/tb/x.jsonl", "attempt-1/m.csv", "t.tsv"]
    not_read = ["notes.txt", "my.log", ".hidden/m.csv", "checkpoints/step_1/m.csv", "run.yaml"]
    not_read += ["attempt-1/shim.log", "forensics/m.csv", ".m.csv.tmp"]
    for path in [*ours, *theirs, *not_read]:
        place.write(path, ROWS, at=2000)
    assert set(found(place)) == {*ours, *theirs}


def test_a_file_belongs_to_the_attempt_that_wrote_it_last(place):
    """What the first attempt left is its own; what the second one writes on is the second's."""
    place.attempt(2, begun=3000.0)
    place.write("old.csv", ROWS, at=2000)
    place.write("new.csv", ROWS, at=3001)
    place.write("before.csv", ROWS, at=10)
    place.write("attempt-1/own.csv", ROWS, at=4000)
    assert found(place) == {"old.csv": 1, "new.csv": 2, "before.csv": 1, "attempt-1/own.csv": 1}


def test_declared_files_are_found_below_the_workspace(place):
    """Patterns of the spec, from the root, `**` for any depth; other kinds of files are none."""
    place.record(track=Track(files=("runs/**/events.out.tfevents.*", "l/*/metrics.csv", "o/*")))
    for path in ("/runs/events.out.tfevents.1", "/runs/a/b/events.out.tfevents.2"):
        place.write(path, b"", at=2000)
    for path in ("/l/v0/metrics.csv", "/l/v0/other.csv", "/o/a.log", "/o/b.txt", "/runs/.git/x"):
        place.write(path, ROWS, at=2000)
    place.write("/runs/.hidden/events.out.tfevents.3", b"", at=2000)
    up = "../../.."
    assert found(place) == {
        f"{up}/runs/events.out.tfevents.1": 1,
        f"{up}/runs/a/b/events.out.tfevents.2": 1,
        f"{up}/l/v0/metrics.csv": 1,
        f"{up}/o/a.log": 1,
    }


def test_files_of_other_runs_are_not_taken(place):
    """What is older than the attempt, or was changed after its end, is another run's."""
    place.record(track=Track(files=("*.csv",)))
    place.write("/old.csv", ROWS, at=999)
    place.write("/mine.csv", ROWS, at=1500)
    place.write("/next.csv", ROWS, at=2500)
    assert set(found(place)) == {"../../../mine.csv", "../../../next.csv"}
    exit_record = {"code": 0, "signal": None, "started": 1000.0, "ended": 2000.0}
    place.write("attempt-1/exit.json", json.dumps(exit_record | {"recorded_by": "shim"}))
    assert set(found(place)) == {"../../../mine.csv"}


def test_links_lead_nowhere(place, tmp_path):
    """Neither a linked folder nor a linked file is followed out of the workspace."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "m.csv").write_text(ROWS)
    place.record(track=Track(files=("**/*.csv",)))
    (place.root / "linked").symlink_to(outside)
    (place.root / "m.csv").symlink_to(outside / "m.csv")
    (place.run.path / "linked").symlink_to(outside)
    (place.run.path / "n.csv").symlink_to(outside / "m.csv")
    assert found(place) == {}


def test_a_file_that_appears_at_any_moment_is_seen_at_the_next_look(place):
    """Folders are listed again when they changed, also within one tick of the clock."""
    place.record(track=Track(files=("runs/**/*.csv",)))
    finder = Finder(place.run)
    for number in range(50):
        side = "/runs/x" if number % 2 else "a/b"
        place.write(f"{side}/{number}.csv", ROWS)
        assert len(finder.files()) == number + 1


def test_an_idle_folder_is_not_listed_again(place, monkeypatch):
    """A run with idle files costs a stat a file and a folder, and nothing more."""
    for number in range(20):
        place.write(f"tb/{number}.csv", ROWS, at=2000)
    finder = Finder(place.run)
    monkeypatch.setattr("orchestrator.listing._SETTLED", 0.0)  # these folders are a moment old
    assert len(finder.files()) == 20
    monkeypatch.setattr(os, "scandir", lambda _path: pytest.fail("a folder was listed again"))
    assert len(finder.files()) == 20
