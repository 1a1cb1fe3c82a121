"""Programs that train with a library, in a run as `exp` makes it."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import wait_for

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(__file__).with_name("programs")


@dataclass(frozen=True)
class Training:
    """One run, whose attempts are started one after another."""

    folder: Path

    @property
    def run(self):
        return self.folder / ".exp" / "runs" / "R-000001"

    def start(self, program, *words, attempt=1, launcher=()):
        """Start an attempt of the run."""
        place = self.run / f"attempt-{attempt}"
        place.mkdir(parents=True)
        variables = {
            "EXP_RUN_DIR": str(self.run),
            "EXP_ATTEMPT": str(attempt),
            "EXP_ATTEMPT_DIR": str(place),
            "PYTHONPATH": str(ROOT),
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            "CUDA_VISIBLE_DEVICES": "",
        }
        with (place / "out.log").open("wb") as out:
            return subprocess.Popen(
                [sys.executable, *launcher, PROGRAMS / program, *map(str, words)],
                cwd=self.folder,
                env={**os.environ, **variables},
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def end(self, process, code=0):
        """Wait for an attempt that should end with a code."""
        assert process.wait(240) == code, self.said()

    def said(self):
        return "".join(
            file.read_text(errors="replace") for file in sorted(self.run.glob("*/out.log"))
        )

    def lines(self, attempt=1):
        files = sorted((self.run / f"attempt-{attempt}").glob("events-*.jsonl"))
        whole = (line for file in files for line in file.read_bytes().splitlines(keepends=True))
        return [json.loads(line) for line in whole if line.endswith(b"\n")]

    def points(self, name, attempt=1):
        """(step, value) of a metric."""
        points = [line for line in self.lines(attempt) if name in line.get("metrics", {})]
        return [(point["step"], point["metrics"][name]) for point in points]

    def events(self, name, attempt=1):
        return [line["data"] for line in self.lines(attempt) if line.get("event") == name]

    def manifests(self):
        """Sealed checkpoints by step."""
        found = [
            json.loads(path.read_text()) for path in self.run.glob("checkpoints/*/manifest.json")
        ]
        return {manifest["step"]: manifest for manifest in found}

    def wait_for_points(self, process, name, count):
        """Wait until a metric has some points, or the program ended without."""
        wait_for(
            lambda: len(self.points(name)) >= count or process.poll() is not None,
            seconds=200,
            what=f"{count} points of {name}",
        )
        assert process.poll() is None, self.said()


@pytest.fixture
def training(tmp_path):
    """A folder with a run."""
    started = Training(tmp_path / "work space")
    started.run.mkdir(parents=True)
    return started
