"""Where in its life a run is, derived from its files and its processes and nothing else."""

import signal

from orchestrator import procs
from orchestrator.codec import encode, read_record_if_present
from orchestrator.domain.attempt import AttemptRequest, Failure, Lease, Waiting
from orchestrator.domain.run import (
    BY_US,
    REQUEUE,
    TORCHRUN,
    AttemptState,
    Command,
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

BY_QUEUE = "queue"  # who recorded the end of an attempt that never started


def read_run(folder: RunFolder) -> RunRecord | None:
    """Read run.json; None while a launch has not written it (or died before it did)."""
    return read_record_if_present(RunRecord, folder.record_file)


def attempt_state(folder: AttemptFolder, executor: Executor) -> AttemptState:
    """Read what the files and the executor say of one attempt."""
    process = read_record_if_present(Identity, folder.process_file)
    # Liveness before the exit record: a shim that ends between the two looks is seen as ended.
    alive = process is not None and executor.is_alive(folder, process)
    exit_record = read_record_if_present(ExitRecord, folder.exit_file)
    began = exit_record is not None and exit_record.recorded_by != BY_QUEUE
    waiting = read_record_if_present(Waiting, folder.waiting_file) if process is None else None
    return AttemptState(
        number=folder.number,
        request=read_record_if_present(AttemptRequest, folder.request_file),
        lease=read_record_if_present(Lease, folder.lease_file),
        waits_for=waiting.why if waiting else None,
        process=process,
        alive=alive,
        exit=exit_record,
        started=exit_record.started if exit_record and began else _modified(folder),
        stop=read_record_if_present(StopRequest, folder.stop_file),
        failure=read_record_if_present(Failure, folder.failure_file),
    )


def _modified(folder: AttemptFolder) -> float | None:
    try:
        return folder.process_file.stat().st_mtime
    except FileNotFoundError:
        return None


def run_state(record: RunRecord, attempt: AttemptState, *, max_step: int | None) -> RunState:
    """Derive status and outcome. `max_step` is the largest step logged so far.

    A run whose shim is gone without an exit record is LOST, whatever anybody believed before.
    """
    outcome = None
    if attempt.exit is not None:
        status = RunStatus.ENDED
        outcome, why = _outcome(record, attempt, attempt.exit, max_step)
        why += _unkillable(record, attempt.exit)
    elif attempt.process is None and attempt.request is not None:
        status, why = _before_the_start(attempt, attempt.request)
    elif not attempt.alive:
        status, outcome, why = RunStatus.ENDED, Outcome.LOST, _loss(attempt)
    elif attempt.stop is not None:
        status, why = RunStatus.STOPPING, f"stopping: {attempt.stop.why}"
    else:
        status, why = RunStatus.RUNNING, _alive(attempt)
    return RunState(status=status, outcome=outcome, attempt=attempt, why=why)


def may_go_on(record: RunRecord, state: RunState) -> bool:
    """Whether another attempt can still follow an end, as far as is written down.

    It can if the spec has a retry policy or the program asked for it, until somebody has looked at
    why it ended; and for a moment after that, if it was decided to try again.
    """
    attempt = state.attempt
    if state.status is not RunStatus.ENDED or record.recorded_by != BY_US:
        return False
    if attempt.failure is not None:
        return attempt.failure.retry
    code = attempt.exit.code if attempt.exit is not None else None
    if code == 0:
        return False
    return record.retry.attempts > 1 or code == REQUEUE or (code == 1 and _by_torchrun(attempt))


def _by_torchrun(attempt: AttemptState) -> bool:
    """Whether the codes of the programs are hidden behind a launcher that always ends with 1."""
    commands = attempt.request.commands if attempt.request is not None else ()
    return any(TORCHRUN in command.argv for command in commands)


def commands_of(record: RunRecord, attempt: AttemptState) -> tuple[Command, ...]:
    """What an attempt executes: fewer commands than the run's, if some are done already."""
    return attempt.request.commands if attempt.request is not None else record.commands


def _before_the_start(attempt: AttemptState, request: AttemptRequest) -> tuple[RunStatus, str]:
    """An attempt that is asked for waits until it is given its resources; then it starts."""
    if attempt.stop is not None:
        return RunStatus.STOPPING, f"stopping: {attempt.stop.why}"
    if attempt.lease is not None:
        return RunStatus.STARTING, "starting"
    return RunStatus.QUEUED, attempt.waits_for or f"asked for by {request.by}: {request.why}"


def _alive(attempt: AttemptState) -> str:
    if attempt.process is not None and procs.is_elsewhere(attempt.process):
        return f"unknown: on host {attempt.process.host}, which cannot be asked from here"
    return "running"


def _loss(attempt: AttemptState) -> str:
    if attempt.process is None:
        return "the launch died before any program started"
    return "the process that watched the programs vanished without an exit record"


def _outcome(
    record: RunRecord, attempt: AttemptState, ended: ExitRecord, max_step: int | None
) -> tuple[Outcome, str]:
    last = ended.phases[-1].phase if ended.phases else None
    if ended.code is None and ended.signal is None:
        return Outcome.LOST, ended.error or "no exit status is known"
    if attempt.stop is not None and not _ran_to_the_end(record, attempt, ended, max_step):
        return Outcome.STOPPED, attempt.stop.why
    if ended.code == REQUEUE:
        return Outcome.INCOMPLETE, "asks to be started again (exit 75)"
    if ended.code != 0:
        return Outcome.FAILED, _failure(ended, last)
    missing = [command.phase for command in commands_of(record, attempt)[len(ended.phases) :]]
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


def _ran_to_the_end(
    record: RunRecord, attempt: AttemptState, ended: ExitRecord, max_step: int | None
) -> bool:
    """Whether a stop came too late to matter; unless the plan says so, nobody can tell."""
    done = record.planned_steps is not None and (max_step or 0) >= record.planned_steps
    return done and len(ended.phases) == len(commands_of(record, attempt)) and ended.code == 0


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


def record_loss(
    folder: AttemptFolder, state: RunState, *, reaped: procs.Reaped, now: float
) -> None:
    """Write the exit record that a lost shim could not write; whoever links first wins.

    The attempt ended when it last wrote something: it may have been found days later.
    """
    attempt = state.attempt
    started = attempt.started if attempt.started is not None else now
    files = (*folder.event_files(), *folder.logs())
    record = ExitRecord(
        code=None,
        signal=None,
        started=started,
        ended=min(now, max((file.stat().st_mtime for file in files), default=started)),
        recorded_by="watcher",
        leftovers=reaped.ended + reaped.survivors,
        survivors=reaped.survivors,
        error=state.why,
    )
    write_once(folder.exit_file, encode(record))
