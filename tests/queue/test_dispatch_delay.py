"""Pauses, by two clocks that a test sets."""

import json
import time
from dataclasses import dataclass

import pytest

from orchestrator.codec import encode
from orchestrator.domain.attempt import AttemptRequest
from orchestrator.domain.run import Command, Phase, RunRecord
from orchestrator.store import Reader
from orchestrator.watch.attempts import request_attempt
from orchestrator.watch.dispatch import Dispatcher, queue_lock
from orchestrator.watch.live import live_runs, state_of
from orchestrator.workspace import Workspace


@dataclass
class Hands:
    """A clock that stands still until it is moved."""

    wall_time: float = 1000.0
    monotonic_time: float = 50.0

    def wall(self):
        return self.wall_time

    def monotonic(self):
        return self.monotonic_time


@pytest.fixture
def paused(lab):
    """A run whose first attempt may start 60 s after it was asked for, and its record."""
    workspace = Workspace(lab.root)
    run = workspace.create_run()
    record = RunRecord(
        id=run.id,
        created=1000.0,
        host="h",
        cwd=str(lab.root),
        commands=(Command(phase=Phase.TRAIN, argv=("true",)),),
    )
    request = AttemptRequest(
        by="exp", why="attempt 0: lost", time=1000.0, commands=record.commands, delay=60.0
    )
    request_attempt(run, record, request)
    run.record_file.write_bytes(encode(record))
    return workspace, run, record


def started(paused, dispatcher):
    """Dispatch once; say whether the attempt has started."""
    workspace, run, record = paused
    with queue_lock(workspace, wait=True):
        dispatcher.dispatch(live_runs(workspace))
    return state_of(run, record).attempt.process is not None


@pytest.mark.parametrize(
    ("wall", "monotonic", "due"),
    [
        (1059.0, 109.0, False),
        (1060.0, 110.0, True),
        (5000.0, 51.0, True),
        (10.0, 109.0, False),
        (10.0, 110.0, True),
    ],
)
def test_a_pause_ends_by_either_clock(paused, wall, monotonic, due):
    """It is over when the wall clock says so, and after its length at the latest."""
    hands = Hands()
    with Reader(paused[0].database) as reader:
        dispatcher = Dispatcher(paused[0], reader, hands)
        assert not started(paused, dispatcher)
        told = json.loads((paused[1].attempt(1).waiting_file).read_text())
        assert told == {"why": "pauses for 1 min 00 s: attempt 0: lost", "time": 1000.0}
        hands.wall_time, hands.monotonic_time = wall, monotonic
        assert started(paused, dispatcher) is due


def test_what_cannot_be_started_is_tried_again_later(paused, lab):
    """A start that fails leaves the attempt queued with the reason, and is not repeated at once."""
    workspace, run, record = paused
    hands = Hands(wall_time=time.time())
    (run.attempt(1).path / "shim.log").mkdir()
    with Reader(workspace.database) as reader:
        dispatcher = Dispatcher(workspace, reader, hands)
        assert not started(paused, dispatcher)
        why = state_of(run, record).why
        assert why.startswith("could not be started, will be tried again")
        for _ in range(2):
            hands.monotonic_time += 120
            assert not started(paused, dispatcher)
        assert state_of(run, record).why.startswith("needs a person, could not be started")
        (run.attempt(1).path / "shim.log").rmdir()
        assert not started(paused, dispatcher)
        hands.monotonic_time += 120
        assert started(paused, dispatcher)
