"""Where in its life a run is, told by its files."""

import os
import signal
import socket
import subprocess
import sys

import pytest

from orchestrator import procs
from orchestrator.domain.attempt import AttemptRequest, Lease
from orchestrator.domain.run import (
    AttemptState,
    Command,
    ExitRecord,
    Identity,
    Outcome,
    Phase,
    PhaseExit,
    RunRecord,
    RunStatus,
    StopRequest,
)
from orchestrator.watch.lifecycle import record_loss, run_state
from orchestrator.workspace import AttemptFolder

BOTH = (Phase.TRAIN, Phase.EVAL)
HERE = Identity(pid=1, start_ticks=1, boot_id="b", host="h")
ASKED = AttemptRequest(
    by="ada", why="w", time=1.0, commands=(Command(phase=Phase.EVAL, argv=("true",)),)
)
STOP = StopRequest(by="ada", why="enough", time=5.0)


def record(*phases, steps=None):
    commands = tuple(Command(phase=phase, argv=("true",)) for phase in phases or BOTH)
    return RunRecord(
        id="R-000001", created=0.0, host="h", cwd="/", commands=commands, planned_steps=steps
    )


def ended(code, *, ran=BOTH, number=None, **more):
    phases = tuple(
        PhaseExit(phase=phase, code=0, signal=None, started=0.0, ended=1.0) for phase in ran
    )
    return ExitRecord(
        code=code, signal=number, started=0.0, ended=1.0, recorded_by="shim", phases=phases, **more
    )


@pytest.mark.parametrize(
    ("exit_record", "stop", "steps", "max_step", "outcome", "why"),
    [
        (ended(0), None, 100, 100, Outcome.COMPLETED, "as intended"),
        (ended(0), None, None, None, Outcome.COMPLETED, "as intended"),
        (ended(0), None, 100, 80, Outcome.INCOMPLETE, "80 steps of 100 planned"),
        (ended(0), None, 100, None, Outcome.INCOMPLETE, "no step of 100 planned"),
        (ended(0, ran=BOTH[:1]), None, None, 9, Outcome.INCOMPLETE, "eval did not run"),
        (ended(75, ran=BOTH[:1]), None, None, 9, Outcome.INCOMPLETE, "asks to be started again"),
        (ended(1, ran=BOTH[:1]), None, None, 9, Outcome.FAILED, "exit code 1 in train"),
        (ended(93), None, None, 9, Outcome.FAILED, "exit code 93 in eval"),
        (ended(None, number=9), None, None, 9, Outcome.FAILED, "killed by SIGKILL in eval"),
        (ended(None, number=9, oom_kill=1), None, None, 9, Outcome.FAILED, "out of memory"),
        (ended(127, error="no x"), None, None, 9, Outcome.FAILED, "no x in eval"),
        (ended(None, number=15), STOP, None, 9, Outcome.STOPPED, "enough"),
        (ended(0, ran=BOTH[:1]), STOP, 100, 50, Outcome.STOPPED, "enough"),
        (ended(0), STOP, None, 50, Outcome.STOPPED, "enough"),
        (ended(0), STOP, 100, 100, Outcome.COMPLETED, "as intended"),
        (ended(None), None, None, None, Outcome.LOST, "no exit status"),
    ],
)
def test_outcomes(exit_record, stop, steps, max_step, outcome, why):
    """Each way to end has its outcome, and a sentence that says why."""
    attempt = AttemptState(number=1, process=HERE, exit=exit_record, stop=stop)
    state = run_state(record(steps=steps), attempt, max_step=max_step)
    assert (state.status, state.outcome) == (RunStatus.ENDED, outcome)
    assert why in state.why


@pytest.mark.parametrize(
    ("attempt", "status"),
    [
        (AttemptState(number=1), RunStatus.ENDED),
        (AttemptState(number=1, request=ASKED), RunStatus.QUEUED),
        (AttemptState(number=1, request=ASKED, lease=Lease(time=1.0)), RunStatus.STARTING),
        (AttemptState(number=1, request=ASKED, stop=STOP), RunStatus.STOPPING),
        (AttemptState(number=1, process=HERE, alive=True), RunStatus.RUNNING),
        (AttemptState(number=1, process=HERE, alive=True, stop=STOP), RunStatus.STOPPING),
        (AttemptState(number=1, process=HERE), RunStatus.ENDED),
        (AttemptState(number=1, request=ASKED, process=HERE), RunStatus.ENDED),
    ],
)
def test_nothing_stays_running_without_a_process(attempt, status):
    """A run is running only while its shim lives; a launch that died ends as lost."""
    state = run_state(record(), attempt, max_step=None)
    assert state.status is status
    assert (state.outcome is Outcome.LOST) == (status is RunStatus.ENDED)


def test_an_attempt_has_run_what_it_was_asked_to_run():
    """A second attempt that only evaluates completes the run without training again."""
    attempt = AttemptState(number=2, request=ASKED, process=HERE, exit=ended(0, ran=BOTH[1:]))
    assert run_state(record(), attempt, max_step=None).outcome is Outcome.COMPLETED
    alone = AttemptState(number=2, process=HERE, exit=ended(0, ran=BOTH[1:]))
    assert run_state(record(), alone, max_step=None).outcome is Outcome.INCOMPLETE


def test_a_loss_is_recorded_once(tmp_path):
    """The watcher's exit record never replaces the shim's."""
    folder = AttemptFolder(tmp_path, 1)
    state = run_state(record(), AttemptState(number=1, process=HERE), max_step=None)
    folder.exit_file.write_text("the shim was first")
    record_loss(folder, state, reaped=procs.Reaped(), now=2.0)
    assert folder.exit_file.read_text() == "the shim was first"


def identity_of(pid):
    return Identity(
        pid=pid,
        start_ticks=procs.start_ticks(pid),
        boot_id=procs.boot_id(),
        host=socket.gethostname(),
    )


def test_identity_tells_a_process_from_its_successor(tmp_path):
    """A pid alone, another boot, and a zombie are not the process that was recorded."""
    none = tmp_path / "request.json"
    child = subprocess.Popen(["sleep", "600"])
    identity = identity_of(child.pid)
    later = Identity(pid=child.pid, start_ticks=1, boot_id=identity.boot_id, host=identity.host)
    rebooted = Identity(
        pid=child.pid, start_ticks=identity.start_ticks, boot_id="other", host=identity.host
    )
    assert procs.is_alive(identity, none)
    assert not procs.is_alive(later, none)
    assert not procs.is_alive(rebooted, none)
    assert not procs.send_signal(later, signal.SIGKILL)
    assert procs.send_signal(identity, signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not procs.is_alive(identity, none)
    child.wait()
    assert not procs.send_signal(identity, signal.SIGKILL)


def test_orphans_of_a_run_are_found_by_its_folder(tmp_path):
    """Processes of the run's folder are killed; those of another workspace's R-000001 live."""
    waiting = [sys.executable, "-c", "print('up', flush=True); import time; time.sleep(600)"]
    children = [
        subprocess.Popen(
            waiting,
            env={**os.environ, "EXP_RUN_DIR": str(tmp_path / place), "EXP_RUN_ID": "R-000001"},
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        for place in ("a", "b")
    ]
    for child in children:
        child.stdout.readline()
    assert procs.kill_run(tmp_path / "a") == procs.Reaped(ended=1)
    assert children[0].wait() == -signal.SIGKILL
    assert children[1].poll() is None
    for child in children:
        child.kill()
        child.communicate()
