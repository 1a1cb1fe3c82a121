"""A run folder as `exp` makes it, and programs that track into it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator import track
from orchestrator.track import warning

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Home:
    """The folder of one run, and the environment that names it."""

    run: Path

    @property
    def attempt(self) -> Path:
        return self.run / "attempt-1"

    @property
    def variables(self) -> dict[str, str]:
        return {
            "EXP_RUN_ID": self.run.name,
            "EXP_RUN_DIR": str(self.run),
            "EXP_ATTEMPT": "1",
            "EXP_ATTEMPT_DIR": str(self.attempt),
            "EXP_PHASE": "train",
        }

    def lines(self) -> list[dict]:
        """Every whole record of the attempt, files in name order."""
        files = sorted(self.attempt.glob("events-*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_bytes().splitlines()]

    def points(self) -> list[dict]:
        return [line for line in self.lines() if "metrics" in line]

    def events(self, name: str) -> list[dict]:
        return [line for line in self.lines() if line.get("event") == name]


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    """No run, no warning and no variable of another test is left."""
    for name in [name for name in os.environ if name.startswith("EXP_")]:
        monkeypatch.delenv(name)
    for name in ("RANK", "WORLD_SIZE", "SLURM_PROCID", "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(track, "_current", None)
    monkeypatch.setattr(warning, "_given", set())
    yield
    track.finish()


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A run under `exp`, in a path that a shell would trip over; the environment names it."""
    folder = tmp_path / 'it\'s a "path"\nwith lines' / ".exp" / "runs" / "R-000007"
    folder.mkdir(parents=True)
    home = Home(folder)
    for name, text in home.variables.items():
        monkeypatch.setenv(name, text)
    return home


@pytest.fixture
def program(tmp_path):
    """Start a Python program that can import the package; ended with the test."""
    started: list[subprocess.Popen] = []

    def start(source: str, variables: dict[str, str] | None = None, **options):
        file = tmp_path / f"program_{len(started)}.py"
        file.write_text(source)
        kept = {key: text for key, text in os.environ.items() if not key.startswith("EXP_")}
        process = subprocess.Popen(
            [sys.executable, str(file)],
            env={**kept, "PYTHONPATH": str(ROOT), **(variables or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **{"cwd": tmp_path, **options},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def until():
    """Wait for a condition; the test fails if it does not come."""

    def wait(condition: Callable[[], object], seconds: float = 60.0):
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < deadline, "the condition did not come"
            time.sleep(0.01)
        return found

    return wait
