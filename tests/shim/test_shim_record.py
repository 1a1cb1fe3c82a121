"""exit.json is never lost and never written twice; the watcher is woken."""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.domain.run import ExitRecord


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MB of its own; skipped where mounting is not allowed."""
    place = tmp_path / "small disk"
    place.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(argv, capture_output=True, check=False).returncode:
        pytest.skip("mounting needs root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place: Path) -> None:
    """Take every byte that is left."""
    with (place / "filler").open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while file.write(b"x" * size):
                    pass
            except OSError:
                continue


def test_full_disk_does_not_lose_the_exit_record(shim, source, until, small_disk):
    """With not one free byte at the end, exit.json is still whole: its bytes were set aside."""
    one = shim()
    moved = small_disk / "runs" / one.run.name
    moved.mkdir(parents=True)
    one.run, one.attempt = moved, moved / "attempt-1"
    ready = small_disk / "go"
    one.start(
        source(
            "import pathlib, sys, time\n"
            "print('up', flush=True)\n"
            f"while not pathlib.Path({str(ready)!r}).exists(): time.sleep(0.02)\n"
            "sys.exit(3)\n"
        )
    )
    until(lambda: "up" in one.log())
    fill(small_disk)
    assert os.statvfs(small_disk).f_bavail == 0
    ready.touch()
    record = one.wait()
    assert ExitRecord(**record).code == 3


def test_file_size_limit_in_the_log_is_the_programs_problem_only(shim, source):
    """A program that runs into a file size limit fails by itself; the record is complete."""
    one = shim().start(
        source(
            "import os, resource\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))\n"
            "while True: os.write(1, b'x' * 1000)\n"
        )
    )
    record = one.wait()
    assert record["code"] != 0
    assert (one.attempt / "out.log").stat().st_size == 10_000
    assert record["phases"][0]["ended"] <= record["ended"]


def test_record_of_somebody_else_stands(shim, source):
    """If exit.json is there when the shim wants to write it, the first writer's word stands."""
    one = shim()
    file = one.attempt / "exit.json"
    one.start(source(f"open({str(file)!r}, 'w').write('first')"))
    one.process.communicate(timeout=60)
    assert file.read_text() == "first"
    assert one.process.returncode != 0


def test_unwritable_folder_starts_nothing(shim, source, tmp_path):
    """Where proc.json cannot be written no command runs: a run nobody can identify is worse."""
    one = shim()
    (one.attempt / "proc.json").mkdir(parents=True)
    mark = tmp_path / "mark"
    one.start(source(f"open({str(mark)!r}, 'w')"))
    _, said = one.process.communicate(timeout=60)
    assert one.process.returncode != 0
    assert b"attempt-1" in said
    assert not mark.exists()


def hook(mark: Path) -> list[str]:
    """An on_exit command that leaves its environment behind, whole or not at all."""
    source = (
        "import json, os\n"
        f"path = {str(mark)!r}\n"
        "json.dump([os.getcwd(), dict(os.environ)], open(path + '.tmp', 'w'))\n"
        "os.rename(path + '.tmp', path)\n"
    )
    return [sys.executable, "-c", source]


def test_hook_runs_when_nobody_watches(shim, source, until, tmp_path, monkeypatch):
    """With the watcher's lock free the hook is started, as no part of the run.

    Neither in its folder, whose modules Python would import, nor with what the spec sets.
    """
    mark = tmp_path / "mark"
    for name in ("OF_THE_SPEC", "OF_THE_ATTEMPT", "OF_THE_SHELL", "LANG"):
        monkeypatch.setenv(name, "here")
    one = shim()
    one.start(
        source("pass"),
        on_exit=hook(mark),
        more={"env": {"OF_THE_SPEC": "1", "LANG": "C"}, "environment": {"LANG": "de"}},
        asked={"env": {"OF_THE_ATTEMPT": "1"}},
    )
    one.wait()
    until(mark.exists)
    folder, variables = json.loads(mark.read_text())
    assert folder == "/"
    assert (variables["OF_THE_SHELL"], variables["LANG"]) == ("here", "de")
    assert not {"OF_THE_SPEC", "OF_THE_ATTEMPT"} & variables.keys()
    assert not {"EXP_RUN_ID", "EXP_RUN_DIR", "EXP_PHASE"} & variables.keys()
    assert (one.attempt / "exit.json").exists()


def test_hook_does_not_run_while_somebody_watches(shim, source, tmp_path):
    """With the lock held the hook is not started: the watcher will see the end by itself."""
    mark = tmp_path / "mark"
    one = shim()
    lock = one.run.parents[1] / "watcher.lock"
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        one.start(source("pass"), on_exit=["sh", "-c", f"echo ran > '{mark}'"])
        one.wait()
        held_at_end = not mark.exists()
    one = shim().start(source("pass"), on_exit=["sh", "-c", f"echo ran > '{mark}.second'"])
    one.wait()
    assert held_at_end
    assert not mark.exists()


def test_hook_that_cannot_start_changes_nothing(shim, source):
    """A broken hook costs neither the record nor the exit code."""
    one = shim().start(source("raise SystemExit(75)"), on_exit=["no-such-program-x"])
    assert one.wait()["code"] == 75
    assert one.process.returncode == 75


def test_lock_is_free_when_the_hook_runs(shim, source, until, tmp_path):
    """The hook can take the watcher's lock at once: the shim does not hold it any more."""
    mark = tmp_path / "mark"
    one = shim()
    lock = one.run.parents[1] / "watcher.lock"
    take = (
        "import fcntl\n"
        f"file = open({str(lock)!r}, 'a')\n"
        "fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
        f"open({str(mark)!r}, 'w')\n"
    )
    one.start(source("pass"), on_exit=[sys.executable, "-c", take])
    one.wait()
    until(mark.exists)


def test_oom_kills_are_counted_only_where_the_kernel_tells(shim, source):
    """The count of the control group is None or a number that did not fall, never invented."""
    record = shim().start(source("pass")).wait()
    assert record["oom_kill"] is None or record["oom_kill"] >= 0
