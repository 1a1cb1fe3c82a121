"""A run that the watcher cannot look at, beside one that it can."""

import json
import os
import time
from dataclasses import dataclass

from conftest import wait_for

from orchestrator.domain.criterion import State
from orchestrator.fsio import try_lock
from orchestrator.store import Reader
from orchestrator.watch.watcher import Watcher
from orchestrator.workspace import Workspace

WAITS = """
import time
from pathlib import Path
from orchestrator import track
run = track.init()
run.log({"loss": 0.1}, step=1)
while not Path("go").exists():
    time.sleep(0.05)
run.finish()
"""


@dataclass
class Ahead:
    """The machine's clock, moved on by a test."""

    by: float = 0.0

    def wall(self):
        return time.time()

    def monotonic(self):
        return time.monotonic() + self.by


def notices(lab, number):
    path = lab.run(number) / "notices.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [record for record in map(json.loads, lines) if "given-up" in json.dumps(record)]


def test_a_run_that_cannot_be_looked_at_hides_no_other_and_a_person_hears_of_it(lab):
    """It is tried with pauses; after ten times it is given up, told of once, and no work left."""
    lab.experiment(WAITS)
    lab.ticket(1, criteria="- [ ] loss < 0.5")
    lab.ticket(2, criteria="- [ ] loss < 0.5")
    workspace = Workspace(lab.root)
    workspace.prepare_state()
    lock = try_lock(workspace.watcher_lock)  # this process watches
    for number in (1, 2):
        lab.exp("ticket", "start", str(number), "--no-git")
        events = lab.run(number) / "attempt-1"
        wait_for(lambda events=events: list(events.glob("events-*-0-*.jsonl")), what="a point")
    (lab.run(1) / "attempt-1" / "events-broken.jsonl").mkdir()
    clock, ticks = Ahead(), 0
    with Watcher(workspace, clock) as watcher:
        while "R-000001" not in watcher.given_up and ticks < 50:
            assert notices(lab, 1) == []
            assert watcher.tick()
            clock.by, ticks = clock.by + 30.0, ticks + 1
        assert "R-000001" in watcher.given_up
        assert notices(lab, 1) != []
        told = notices(lab, 1)
        watcher.tick()
        assert notices(lab, 1)[: len(told)] == told
    with Reader(workspace.database) as reader:
        assert [row.verdict.state for row in reader.verdicts("R-000002")] == [State.MET]
        assert reader.verdicts("R-000001") == []
    assert "cannot read" in json.dumps(told)
    (lab.run(1) / "attempt-1" / "events-broken.jsonl").rmdir()
    os.close(lock)
    lab.write("go", "")
    lab.exp("status")
    lab.published(1)
    lab.published(2)
    assert "- [x] loss < 0.5" in lab.text(1)
