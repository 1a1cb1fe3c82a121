"""A full disk while runs live: nothing ends, nothing is doubled, what was lost is counted."""

import json
import os
import subprocess

import pytest
from conftest import wait_for

from orchestrator.store import Reader

# Counts what `log` was called with; the count itself is kept outside the full disk.
STEADY = """
import os, time
from pathlib import Path
from orchestrator import track
run = track.init()
step = 0
while not Path("go").exists():
    step += 1
    run.log({"train/loss": 1 / step}, step=step)
    Path("called").write_text(str(step))
    time.sleep(0.002)
run.finish()
"""


@pytest.fixture
def small_state(lab):
    """`.exp` on a file system of 2 MB of its own."""
    state = lab.root / ".exp"
    state.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(state)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting needs root")
    yield state
    wait_for(lambda: not lab.processes(), what="everybody to leave")
    subprocess.run(["umount", "-l", str(state)], check=True)


def fill(state):
    """Take every byte that is left."""
    with (state / "filler").open("ab", buffering=0) as file:
        for size in (1 << 14, 1 << 8, 1):
            try:
                while file.write(b"x" * size):
                    pass
            except OSError:
                continue


def test_a_full_disk_ends_nothing_and_doubles_nothing(lab, small_state):
    """Training goes on; with room again, every point is in the index once or counted as lost."""
    lab.ticket()
    lab.experiment(STEADY)
    lab.commit()
    assert lab.exp("ticket", "start", "1").returncode == 0
    called = lab.root / "called"
    wait_for(lambda: called.exists() and int(called.read_text() or 0) > 50, what="some points")
    fill(small_state)
    full_at = int(called.read_text() or 0)
    wait_for(lambda: int(called.read_text() or 0) > full_at + 500, what="training to go on")
    assert not (lab.run() / "attempt-1/exit.json").exists()
    (small_state / "filler").unlink()
    freed_at = int(called.read_text() or 0)
    wait_for(lambda: int(called.read_text() or 0) > freed_at + 200, what="points after that")
    lab.write("go", "")
    published = lab.published(seconds=120)
    wait_for(lambda: not lab.processes(), what="the watcher to leave")
    logged = int(called.read_text())
    with Reader(small_state / "exp.db") as reader:
        steps = list(reader.history("R-000001", "train/loss").steps)
        lost = sum(event.data["lines"] for event in reader.events("R-000001", "lost"))
    assert len(set(steps)) == len(steps)
    assert len(steps) + lost == logged
    assert {*range(1, 50), *range(freed_at + 150, logged)} <= set(steps)
    assert published["commit"]
    assert json.loads((lab.run() / "attempt-1/exit.json").read_bytes())["code"] == 0


def test_a_start_on_a_full_disk_leaves_nothing_behind(lab, small_state):
    """The start says what is wrong, the ticket is as it was, and with room it can be started."""
    lab.ticket()
    lab.experiment("print('ran')")
    lab.commit()
    before = lab.text()
    fill(small_state)
    refused = lab.exp("ticket", "start", "1")
    assert refused.returncode == 7
    assert "No space left" in refused.stderr
    assert lab.text() == before
    (small_state / "filler").unlink()
    assert lab.exp("ticket", "start", "1").returncode == 0
    number = max(int(path.name[2:]) for path in (small_state / "runs").glob("R-*"))
    assert lab.published(number)["commit"]
