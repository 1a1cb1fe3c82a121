"""A process that reads GPUs whenever it is asked to, through the real binding."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import nvml_stub
import pytest

PROBE = """
import json, sys, threading
from contextlib import suppress
from dataclasses import asdict
from orchestrator.gpus import Gpus
gpus = Gpus(deadline=float(sys.argv[1]))
for _ in sys.stdin:
    reading = asdict(gpus.read())
    print(json.dumps({**reading, "threads": threading.active_count()}), flush=True)
"""


@dataclass(frozen=True)
class Probe:
    """One living reader and the machine that it sees."""

    stub: nvml_stub.StubNvml
    process: subprocess.Popen

    def read(self):
        """Have it read once."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def gpus(self):
        """Have it read once; GPUs by UUID."""
        return {gpu["uuid"]: gpu for gpu in self.read()["gpus"]}


@pytest.fixture
def probe(tmp_path):
    """A function that starts a probe; a script must be written before it reads."""
    started = []

    def start(*, old_driver=False, deadline=20.0, env=None):
        stub = nvml_stub.stub(tmp_path, old_driver=old_driver)
        process = subprocess.Popen(
            [sys.executable, "-c", PROBE, str(deadline)],
            env={**os.environ, **(stub.env if env is None else env)},
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return Probe(stub, process)

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()
        with suppress(BrokenPipeError):
            process.stdin.close()
