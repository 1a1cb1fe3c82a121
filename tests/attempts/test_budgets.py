"""Budgets are of the run, over all its attempts; the time limit is of one attempt."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from attempts.programs import RETRY, resuming
from conftest import wait_for

from orchestrator.codec import encode
from orchestrator.domain.attempt import Lease
from orchestrator.domain.run import (
    AttemptState,
    Budget,
    Command,
    ExitRecord,
    Outcome,
    Phase,
    RunRecord,
    RunState,
    RunStatus,
    StopRequest,
)
from orchestrator.fsio import try_lock, write_atomic
from orchestrator.procs import Reaped
from orchestrator.watch.lifecycle import record_loss
from orchestrator.watch.policy import stop_reason, used_up
from orchestrator.watch.spending import Spent, spent
from orchestrator.workspace import RunFolder

RECORD = RunRecord(
    id="R-000001",
    created=0.0,
    host="h",
    cwd="/",
    commands=(Command(phase=Phase.TRAIN, argv=("true",)),),
    resources={"gpus": 2, "time_limit": 100.0},
    budget=Budget(wall=150.0, gpu_hours=0.1),
)


@pytest.fixture
def folder(tmp_path):
    """A run whose first attempts took 60 s with the two GPUs of its spec, and 30 s with four."""
    run = RunFolder(tmp_path / "R-000001")
    for number, seconds in ((1, 60.0), (2, 30.0)):
        attempt = run.attempt(number)
        attempt.path.mkdir(parents=True)
        ended = ExitRecord(
            code=75, signal=None, started=1000.0, ended=1000.0 + seconds, recorded_by="shim"
        )
        write_atomic(attempt.exit_file, encode(ended))
    lease = Lease(time=1.0, gpus=("a", "b", "c", "d"))
    write_atomic(run.attempt(2).lease_file, encode(lease))
    run.attempt(3).path.mkdir()
    return run


def test_use_is_summed_over_attempts(folder):
    """Seconds add up; GPU hours count the GPUs of each attempt's lease, else those of the spec."""
    used = spent(folder, RECORD, 3, 20.0)
    assert (used.attempt, used.earlier, used.wall) == (20.0, 90.0, 110.0)
    assert used.gpu_hours == pytest.approx((60 * 2 + 30 * 4 + 20 * 2) / 3600)
    assert spent(folder, RECORD, 1, 5.0).wall == 5.0


def test_a_lost_attempt_took_until_its_last_word(folder):
    """A machine that is off for two days uses nothing up, nor does a clock that is set back."""
    lost = folder.attempt(3)
    for path, time in ((lost.log, 1040.0), (lost.path / "events-h-0-1.jsonl", 1050.0)):
        path.touch()
        os.utime(path, (time, time))
    state = AttemptState(number=3, started=1000.0)
    gone = RunState(status=RunStatus.ENDED, outcome=Outcome.LOST, attempt=state, why="vanished")
    record_loss(lost, gone, reaped=Reaped(), now=2e5)
    assert spent(folder, RECORD, 4, 0.0).earlier == 90.0 + 50.0
    back = ExitRecord(code=75, signal=None, started=1000.0, ended=10.0, recorded_by="shim")
    write_atomic(lost.exit_file, encode(back))
    assert spent(folder, RECORD, 4, 0.0).earlier == 90.0


@pytest.mark.parametrize(
    ("used", "idle", "said"),
    [
        (Spent(attempt=99.0, earlier=50.0), 0.0, None),
        (Spent(attempt=101.0), 0.0, "time limit of 1 min 40 s"),
        (Spent(attempt=61.0, earlier=90.0), 0.0, "wall budget of 2 min 30 s"),
        (Spent(attempt=1.0, earlier=1.0, gpus=2, gpu_seconds=360.0), 0.0, "GPU budget of 0.1"),
        (Spent(attempt=1.0), 1e6, None),
    ],
)
def test_what_ends_a_run(used, idle, said):
    """The limit looks at the attempt, budgets look at all of it."""
    reason = stop_reason(RECORD, (), used=used, idle=idle)
    assert (reason is None) if said is None else reason.startswith(said)


def test_only_the_time_limit_is_of_one_attempt():
    """What a program that exits with 75 may be started again after."""
    limited = stop_reason(RECORD, (), used=Spent(attempt=101.0), idle=0.0)
    assert used_up(RECORD, Spent(attempt=101.0)) is None
    for by, why, limit in (("exp", limited, True), ("ada", limited, False), ("exp", "wall", False)):
        assert _stop(by, why).is_limit is limit


def _stop(by, why):
    return StopRequest(by=by, why=why, time=0.0)


SAVES_WHEN_TOLD = """
if attempt == 1 or step == 6:
    save()
while attempt == 1 and not run.should_stop():
    time.sleep(0.05)
if attempt == 1: sys.exit(75)
"""


def test_an_attempt_at_its_time_limit_is_requeued(lab):
    """SIGTERM at the limit, exit code 75 in answer: the next attempt has its own time."""
    lab.ticket(criteria="- [ ] train/loss < 0.2")
    lab.experiment(
        resuming(SAVES_WHEN_TOLD), '[params]\nsteps = 6\n[resources]\ntime_limit = "3s"\n'
    )
    done = lab.exp("ticket", "start", "1", "--follow")
    assert done.returncode == 0, done.stderr
    assert "time limit of 3 s" in lab.json("attempt-1/stop.json")["why"]
    assert lab.json("attempt-1/failure.json")["cause"] == "requeue"
    assert "R-000001 completed" in lab.text()


def test_a_wall_budget_counts_all_attempts(lab):
    """Attempts that are short each use it up together, and nothing is tried again after that."""
    body = "time.sleep(1.2)\nsave()\nsys.exit(75)"
    lab.ticket(criteria="- [ ] train/loss < 0.01")
    lab.experiment(resuming(body), '[params]\nsteps = 6\n[budget]\nwall = "2s"\n')
    done = lab.exp("ticket", "start", "1", "--follow")
    assert done.returncode == 8
    count = len(list(lab.run().glob("attempt-*")))
    assert 1 < count < 4
    last = lab.json(f"attempt-{count}/failure.json")
    assert "wall budget of 2 s is used up" in last["why"]
    explained = json.loads(lab.exp("run", "explain", "1", "--json").stdout)
    assert explained["wall"] > 2
    assert len(explained["attempts"]) == count
    shown = lab.exp("run", "explain", "1").stdout
    assert "of 2 s" in shown
    assert "tried again: exit code 75 is no failure" in shown


KILLED_WHEN_TOLD = """
if attempt == 1:
    save()
    Path("up").touch()
    while not Path("go").exists():
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGKILL)
"""
STOPPED_WATCHER = """
import os, signal, sys
from orchestrator.watch import settling

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

settling.request_attempt = die
from orchestrator.watch.daemon import run_watcher
from orchestrator.workspace import Workspace
from pathlib import Path
run_watcher(Workspace(Path(sys.argv[1])))
"""


def test_a_watcher_killed_after_the_decision_is_replaced(lab):
    """kill -9 between failure.json and request.json: the next one asks for the same attempt."""
    lab.ticket(criteria="- [ ] train/loss < 0.2")
    lab.experiment(resuming(KILLED_WHEN_TOLD), RETRY.format(attempts=2))
    lab.exp("ticket", "start", "1")
    wait_for((lab.root / "up").exists, what="the training")
    os.kill(_watcher(lab), signal.SIGKILL)
    # Whoever would wake a watcher finds the lock held.
    lock = wait_for(lambda: try_lock(lab.root / ".exp/watcher.lock"), what="the lock")
    lab.write("go", "")
    wait_for((lab.run() / "attempt-1/exit.json").exists, what="the end")
    wait_for(lambda: not lab.processes(), what="the shim to leave")
    os.close(lock)
    command = [sys.executable, "-c", STOPPED_WATCHER, lab.root]
    doomed = subprocess.run(command, check=False, timeout=60)
    assert doomed.returncode == -signal.SIGKILL
    decided = (lab.run() / "attempt-1/failure.json").read_bytes()
    assert json.loads(decided)["retry"] is True
    assert not (lab.run() / "attempt-2").exists()
    listed = json.loads(lab.exp("run", "list", "--json").stdout)[0]
    assert listed["status"] == "queued"
    assert lab.exp("ticket", "start", "1").returncode == 6
    lab.exp("status")
    lab.published()
    assert (lab.run() / "attempt-1/failure.json").read_bytes() == decided
    assert sorted(path.name for path in lab.run().glob("attempt-*")) == ["attempt-1", "attempt-2"]
    assert "R-000001 completed" in lab.text()


def _watcher(lab):
    found = [
        pid
        for pid in lab.processes()
        if b"orchestrator.watch" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    assert len(found) == 1
    return found[0]
