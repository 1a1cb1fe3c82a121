"""Runs made by hand, and the shim as a launcher starts it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import orchestrator

SHIM = Path(orchestrator.__file__).parent / "shim.py"


def python(source: str) -> list[str]:
    """An argv that runs Python source."""
    return [sys.executable, "-I", "-c", source]


class Shim:
    """One attempt: its folder, and the shim process once started."""

    def __init__(self, runs: Path, name: str) -> None:
        self.run = runs / name
        self.run.mkdir(parents=True)
        self.attempt = self.run / "attempt-1"
        self.process: subprocess.Popen | None = None

    def start(
        self,
        *commands: list[str],
        grace=20.0,
        on_exit=(),
        cwd=None,
        more=None,
        asked=None,
        **options,
    ):
        phases = ["train", "eval", "teardown"]
        record = {
            "id": self.run.name,
            "commands": [
                {"phase": phase, "argv": argv}
                for phase, argv in zip(phases, commands, strict=False)
            ],
            "cwd": str(cwd or self.run.parent),
            "grace": grace,
            "on_exit": list(on_exit),
            **(more or {}),
        }
        request = {"commands": record["commands"], **(asked or {})}
        self.attempt.mkdir(exist_ok=True)
        (self.attempt / "request.json").write_text(json.dumps(request))
        (self.run / "run.json").write_text(json.dumps(record))
        variables = {**os.environ, "EXP_RUN_ID": self.run.name, "EXP_RUN_DIR": str(self.run)}
        self.process = subprocess.Popen(
            [sys.executable, "-I", str(SHIM), str(self.run), "1"],
            env=variables,
            start_new_session=True,
            **{
                "stdin": subprocess.DEVNULL,
                "stdout": subprocess.DEVNULL,
                "stderr": subprocess.PIPE,
                **options,
            },
        )
        return self

    def wait(self, seconds: float = 60.0) -> dict:
        """Wait for the end; returns exit.json."""
        _, said = self.process.communicate(timeout=seconds)
        assert not said, said.decode()
        return self.exit()

    def exit(self) -> dict:
        return json.loads((self.attempt / "exit.json").read_text())

    def log(self) -> str:
        file = self.attempt / "out.log"
        return file.read_text() if file.exists() else ""

    def events(self) -> list[dict]:
        (file,) = self.attempt.glob("events-*-shim-*.jsonl")
        return [json.loads(line)["data"] for line in file.read_text().splitlines()]

    def living(self) -> list[int]:
        """Live processes that bear the run's id, the shim aside."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                variables = (folder / "environ").read_bytes().split(b"\0")
                state = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[0]
                mine = f"EXP_RUN_ID={self.run.name}".encode() in variables
                if mine and state not in "ZX" and int(folder.name) != self.process.pid:
                    found.append(int(folder.name))
        return found


@pytest.fixture
def shim(tmp_path):
    """Make runs whose path a shell would trip over; whatever they left is killed with the test."""
    runs = tmp_path / 'it\'s a "path"\nwith lines' / ".exp" / "runs"
    made: list[Shim] = []

    def make() -> Shim:
        # The id is unlike that of any other test: processes are found by it, machine-wide.
        made.append(Shim(runs, f"R-{os.getpid():07d}{len(made):02d}{time.monotonic_ns() % 10**9}"))
        return made[-1]

    yield make
    for one in made:
        if one.process is None:
            continue
        if one.process.poll() is None:
            one.process.kill()
        one.process.wait()
        one.process.stderr and one.process.stderr.close()
        for pid in one.living():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


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


@pytest.fixture
def source():
    """Turn Python source into an argv."""
    return python
