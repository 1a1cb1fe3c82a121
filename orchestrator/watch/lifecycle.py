"""Where in its life a run is, derived from its files and its processes and nothing else."""

import signal

from orchestrator import procs
from orchestrator.codec import encode, read_record, read_record_if_present
from orchestrator.domain.run import (
    AttemptState,
    ExitRecord,
    Identity,
    Outcome,
    Phase,
    RunRecord,
    RunState,
    RunStatus,
    StopRequest,
)
from orchestrator.executors import Executor
from orchestrator.fsio import write_once
from orchestrator.workspace import AttemptFolder, RunFolder

REQUEUE = 75  # the program saved a checkpoint and asks to be started again
_LAUNCH_LIMIT = 60.0  # seconds from run.json to proc.json, after which the launch has died


def read_run(folder: RunFolder) -> RunRecord | None:
    """Read run.json; None while a launch has not written it (or died before it did)."""
    try:
        return read_record(RunRecord, folder.record_file)
    except FileNotFoundError:
        return None


def attempt_state(folder: AttemptFolder, executor: Executor) -> AttemptState:
    """Read what the files and the executor say of one attempt."""
    process = read_record_if_present(Identity, folder.process_file)
    # Liveness before the exit record: a shim that ends between the two looks is seen as ended.
    alive = process is not None and executor.is_alive(process)
    exit_record = read_record_if_present(ExitRecord, folder.exit_file)
    return AttemptState(
        number=folder.number,
        process=process,
        alive=alive,
        exit=exit_record,
        started=exit_record.started if exit_record else _modified(folder),
        stop=read_record_if_present(StopRequest, folder.stop_file),
    )


def _modified(folder: AttemptFolder) -> float | None:
    try:
        return folder.process_file.stat().st_mtime
    except FileNotFoundError:
        return None


def run_state(
    record: RunRecord, attempt: AttemptState, *, now: float, max_step: int | None
) -> RunState:
    """Derive status and outcome. `max_step` is the largest step logged so far.

    A run whose shim is gone without an exit record is LOST, whatever anybody believed before.
    """
    if attempt.exit is not None:
        outcome, why = _outcome(record, attempt, attempt.exit, max_step)
        why += _unkillable(record, attempt.exit)
        return RunState(status=RunStatus.ENDED, outcome=outcome, attempt=attempt, why=why)
    if attempt.alive:
        if attempt.stop is not None:
            why = f"stopping: {attempt.stop.why}"
            return RunState(status=RunStatus.STOPPING, outcome=None, attempt=attempt, why=why)
        why = "running"
        if attempt.process is not None and procs.is_elsewhere(attempt.process):
            why = f"unknown: on host {attempt.process.host}, which cannot be asked from here"
        return RunState(status=RunStatus.RUNNING, outcome=None, attempt=attempt, why=why)
    # A clock that was set back since the launch must not keep a dead one alive for ever.
    if attempt.process is None and abs(now - record.created) < _LAUNCH_LIMIT:
        return RunState(status=RunStatus.STARTING, outcome=None, attempt=attempt, why="starting")
    why = "the process that watched the programs vanished without an exit record"
    if attempt.process is None:
        why = "the launch died before any program started"
    return RunState(status=RunStatus.ENDED, outcome=Outcome.LOST, attempt=attempt, why=why)


def _outcome(
    record: RunRecord, attempt: AttemptState, ended: ExitRecord, max_step: int | None
) -> tuple[Outcome, str]:
    last = ended.phases[-1].phase if ended.phases else None
    if ended.code is None and ended.signal is None:
        return Outcome.LOST, ended.error or "no exit status is known"
    if attempt.stop is not None and not _ran_to_the_end(record, ended, max_step):
        return Outcome.STOPPED, attempt.stop.why
    if ended.code == REQUEUE:
        return Outcome.INCOMPLETE, "saved a checkpoint and asks to be resumed (exit 75)"
    if ended.code != 0:
        return Outcome.FAILED, _failure(ended, last)
    missing = [command.phase for command in record.commands[len(ended.phases) :]]
    if missing:
        return Outcome.INCOMPLETE, f"{missing[0]} did not run"
    if record.planned_steps is not None and (max_step or 0) < record.planned_steps:
        done = "no step" if max_step is None else f"{max_step:,} steps"
        return Outcome.INCOMPLETE, f"exit 0 after {done} of {record.planned_steps:,} planned"
    return Outcome.COMPLETED, "all programs ended as intended"


def _unkillable(record: RunRecord, ended: ExitRecord) -> str:
    count = ended.survivors
    if not count:
        return ""
    which = f"{count} processes" if count > 1 else "1 process"
    return f"; {which} could not be killed: host {record.host} needs attention"


def _ran_to_the_end(record: RunRecord, ended: ExitRecord, max_step: int | None) -> bool:
    """Whether a stop came too late to matter; unless the plan says so, nobody can tell."""
    done = record.planned_steps is not None and (max_step or 0) >= record.planned_steps
    return done and len(ended.phases) == len(record.commands) and ended.code == 0


def _failure(ended: ExitRecord, phase: Phase | None) -> str:
    where = f" in {phase}" if phase else ""
    if ended.error:
        return f"{ended.error}{where}"
    if ended.signal is not None:
        name = _signal_name(ended.signal)
        cause = "; the kernel ran out of memory" if ended.oom_kill else ""
        return f"killed by {name}{where}{cause}"
    return f"exit code {ended.code}{where}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


def take_over(folder: AttemptFolder) -> bool:
    """Stand for an attempt whose shim has not come up; False if one has, after all.

    The one file proc.json decides: a shim that finds it taken starts nothing.
    """
    return write_once(folder.process_file, encode(procs.own_identity()))


def record_loss(
    folder: AttemptFolder, state: RunState, *, reaped: procs.Reaped, now: float
) -> None:
    """Write the exit record that a lost shim could not write; whoever links first wins."""
    attempt = state.attempt
    record = ExitRecord(
        code=None,
        signal=None,
        started=attempt.started if attempt.started is not None else now,
        ended=now,
        recorded_by="watcher",
        leftovers=reaped.ended + reaped.survivors,
        survivors=reaped.survivors,
        error=state.why,
    )
    write_once(folder.exit_file, encode(record))
