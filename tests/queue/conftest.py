"""Runs that wait, run and are looked at through the real command."""

import json
import os
import signal
from pathlib import Path

import pytest
from conftest import PATIENT, wait_for

# Evaluates well only once the file `ok` is there; both programs leave a line each time they start.
TRAIN = """
from pathlib import Path
from orchestrator import track
run = track.init()
with Path("trained").open("a") as file:
    file.write(f"{run.config}\\n")
for step in range(1, 11):
    run.log({"train/loss": 1 / step}, step=step)
run.finish()
"""
EVALUATE = """
import sys
from pathlib import Path
from orchestrator import track
run = track.init()
with Path("evaluated").open("a") as file:
    file.write(f"{sys.argv[1:]} {run.config}\\n")
if not Path("ok").exists():
    sys.exit("no such metric")
run.log({"eval/acc": 0.9}, step=10)
run.finish()
"""


class Watched:
    """What tests of the queue ask a laboratory."""

    def __init__(self, lab):
        self.lab = lab

    def start(self, number, *words, **options):
        """Start a ticket without git; it must succeed."""
        done = self.lab.exp("ticket", "start", str(number), "--no-git", *words, **options)
        assert done.returncode == 0, done.stderr
        return done

    def run(self, number=1):
        """A run as `exp run show` tells it."""
        done = self.lab.exp("run", "show", str(number), "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def status(self, number=1):
        """Where in its life a run is."""
        return self.run(number)["status"]

    def queue(self):
        """What `exp queue` tells."""
        return json.loads(self.lab.exp("queue", "--json").stdout)

    def exit(self, number=1, attempt=1):
        """The exit record of an attempt."""
        return self.lab.json(f"attempt-{attempt}/exit.json", number)

    def shim(self, number=1, attempt=1):
        """Pid of an attempt's shim."""
        return self.lab.json(f"attempt-{attempt}/proc.json", number)["pid"]

    def watchers(self):
        """Ids of the workspace's watchers."""
        found = []
        for pid in self.lab.processes():
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if b"orchestrator.watch" in words:
                found.append(pid)
        return found

    def kill_watchers(self):
        """Kill -9 whatever watches, and see that it is gone."""
        for pid in self.watchers():
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not self.watchers(), what="the end of the watchers")


@pytest.fixture
def watched(lab):
    """A laboratory with three tickets whose training lasts until the file `go` appears."""
    lab.experiment(PATIENT)
    for number in (1, 2, 3):
        lab.ticket(number)
    lab.commit()
    return Watched(lab)


@pytest.fixture
def slot(watched):
    """The same with one CPU slot."""
    watched.lab.write("exp.toml", "[queue]\ncpus = 1\n")
    return watched


@pytest.fixture
def trained(lab):
    """A laboratory whose evaluation fails until the file `ok` appears."""
    lab.experiment(
        TRAIN,
        '[evaluate]\ncommand = ["{python}", "experiments/e/evaluate.py", "{params.lr}"]\n'
        "[params]\nsteps = 10\nlr = 0.1\n",
    )
    lab.write("experiments/e/evaluate.py", EVALUATE)
    lab.ticket(criteria="- [ ] train/loss < 0.5\n- [ ] eval/acc > 0.8")
    lab.commit()
    return Watched(lab)
