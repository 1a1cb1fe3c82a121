"""The programs of the ARC study as real processes on a tiny configuration."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[2]
TRAIN = ROOT / "experiments" / "arc" / "train.py"
EVALUATE = ROOT / "experiments" / "arc" / "evaluate.py"
DEADLINE = 120.0

TINY = {
    "subset": "arc1-train-same-size-3x3",
    "augmentations": 2,
    "width": 8,
    "heads": 2,
    "inner": 1,
    "batch": 4,
    "segments": 3,
    "eval_segments": 2,
    "exploration": 0.5,
    "steps": 120,
    "checkpoint_every": 20,
    "log_every": 1,
    "warmup": 5,
    "lr": 4e-3,
    "ema": 0.9,
    "threads": 1,
}


def environment(run, attempt):
    """What `exp` gives to a program, and nothing of a run around the tests."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("EXP_")}
    return clean | {
        "EXP_RUN_ID": run.name,
        "EXP_RUN_DIR": str(run),
        "EXP_ATTEMPT": str(attempt),
        "EXP_ATTEMPT_DIR": str(run / f"attempt-{attempt}"),
        "EXP_CONFIG": str(run / "config.json"),
        "PYTHONWARNINGS": "error",
    }


def make_run(folder, **changes):
    """A run folder as `exp` makes it, with the tiny configuration."""
    run = folder / "a run"
    run.mkdir(parents=True)
    (run / "config.json").write_text(json.dumps(TINY | changes))
    return run


def begin(run, attempt=1, program=TRAIN, launcher=()):
    """Start a program on a run without waiting for it."""
    command = [sys.executable, *launcher, str(program)]
    return subprocess.Popen(
        command,
        env=environment(run, attempt),
        cwd=run,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait(process):
    """The exit code and what was printed."""
    try:
        text, _ = process.communicate(timeout=DEADLINE)
    finally:
        process.kill()
    return process.returncode, text


def complete(run, attempt=1, program=TRAIN, launcher=()):
    """Run a program to its end."""
    return wait(begin(run, attempt, program, launcher))


def wait_for(condition, process):
    """Wait until the condition holds; fail when the process ends before, or at the deadline."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "condition was not met in time"
        time.sleep(0.005)


def lines(run):
    """Every object in the event files of a run."""
    for file in sorted(run.glob("attempt-*/events-*.jsonl")):
        for line in file.read_text().splitlines():
            yield json.loads(line)


def series(run, name):
    """{step: value} of one metric; a step logged twice must have the same value."""
    values = {}
    for line in lines(run):
        if name in line.get("metrics", {}):
            value = line["metrics"][name]
            assert values.setdefault(line["step"], value) == value, line
    return values


def events(run, name):
    """The data of all events of one name."""
    return [line["data"] for line in lines(run) if line.get("event") == name]


def manifests(run):
    """Steps of the sealed checkpoints, in order."""
    found = run.glob("checkpoints/*/manifest.json")
    return sorted(json.loads(path.read_text())["step"] for path in found)


@pytest.fixture(scope="session")
def arc_programs():
    """The functions above, for tests."""
    return SimpleNamespace(
        ROOT=ROOT,
        TRAIN=TRAIN,
        EVALUATE=EVALUATE,
        SIGNALS=signal,
        begin=begin,
        complete=complete,
        events=events,
        make_run=make_run,
        manifests=manifests,
        series=series,
        wait=wait,
        wait_for=wait_for,
    )


@pytest.fixture(scope="session")
def straight(tmp_path_factory):
    """A run that was never interrupted; tests only read it."""
    run = make_run(tmp_path_factory.mktemp("straight"))
    code, text = complete(run)
    assert code == 0, text
    return run
