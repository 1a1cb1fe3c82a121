"""`exp run resume`: another attempt of a run that has ended, from where it got to."""

import getpass
import time
from dataclasses import dataclass, replace
from typing import Any

from orchestrator import tickets
from orchestrator.actions.follow import require_record, wait_until_published
from orchestrator.actions.programs import check_program, commands_of
from orchestrator.actions.queueing import check_capacity, mark_ongoing, take_turn
from orchestrator.codec import read_record_if_present
from orchestrator.domain.attempt import AttemptRequest
from orchestrator.domain.run import (
    BY_US,
    Command,
    Outcome,
    RunRecord,
    RunState,
    RunStatus,
    StopRequest,
)
from orchestrator.domain.ticket import TicketStatus
from orchestrator.errors import ConflictError, EnvironmentFailure, ExpError, RefusedError
from orchestrator.executors.environment import missing_variables
from orchestrator.fsio import locked
from orchestrator.spec import load_experiment, read_settings
from orchestrator.store import Reader
from orchestrator.store.rows import RunRow
from orchestrator.watch.attempts import end_unstarted, request_attempt
from orchestrator.watch.daemon import ensure_watcher
from orchestrator.watch.dispatch import queue_lock
from orchestrator.watch.lifecycle import commands_of as commands_of_attempt
from orchestrator.watch.live import is_finished, live_runs, state_of
from orchestrator.watch.remaining import remaining_commands
from orchestrator.workspace import RunFolder, Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeOptions:
    """What `exp run resume` may be told beside the run."""

    settings: tuple[str, ...] = ()
    priority: int = 0
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """The attempt that was asked for, and how it stands."""

    run: RunFolder
    record: RunRecord
    state: RunState
    commands: tuple[Command, ...]
    warnings: tuple[str, ...]


def resume_run(workspace: Workspace, folder: RunFolder, options: ResumeOptions) -> Resumed:
    """Queue another attempt of an ended run; one that waits is tried from this shell.

    Raises:
        NotFoundError: there is no such run, or a program, script or ticket of it is gone.
        RefusedError: it completed, its ticket is DONE, or exp did not start it.
        ConflictError: it lives, or its ticket has another live run.
        EnvironmentFailure: its end could not be written down yet, or it could not be started.
    """
    record = require_record(folder)
    if record.recorded_by != "exp":
        raise RefusedError(
            f"{folder.id} is a local run, which exp did not start", hint="run its program again"
        )
    name = record.ticket.id if record.ticket else folder.id
    busy = f"{name} is being started by another exp process"
    with locked(workspace.lock_file(name), busy=busy):
        state = state_of(folder, record)
        if state.status is RunStatus.QUEUED and state.attempt.request is not None:
            resumed = _try_now(workspace, folder, record, options)
        else:
            resumed = _ask_again(workspace, folder, record, state, options)
    ensure_watcher(workspace)
    return resumed


def _try_now(
    workspace: Workspace, folder: RunFolder, record: RunRecord, options: ResumeOptions
) -> Resumed:
    """Start a queued attempt from this shell, which may have the variables that others lack."""
    if options.settings or options.priority:
        raise ConflictError(
            f"{folder.id} is queued: its settings and its priority are fixed",
            hint=f"exp run stop {folder.id}, then resume it with them",
        )
    with queue_lock(workspace, wait=True):
        take_turn(workspace, folder)
    return _resumed(folder, record, ())


def _ask_again(
    workspace: Workspace,
    folder: RunFolder,
    record: RunRecord,
    state: RunState,
    options: ResumeOptions,
) -> Resumed:
    _refuse_live(workspace, folder, record, state)
    row = _written_down(workspace, folder)
    _refuse_done(workspace, folder, record, row, force=options.force)
    request, warnings = _request(workspace, folder, record, row, options)
    for command in request.commands:
        check_program(workspace, command.argv, f"{folder.id}: {command.phase}")
    for name in missing_variables(record, request):
        raise RefusedError(
            f"{folder.id}: its spec refers to ${name}, which is not set", hint=f"export {name}=..."
        )
    warnings += check_capacity(workspace, record)
    with queue_lock(workspace, wait=True):
        _submit(workspace, folder, record, request)
    return _resumed(folder, record, warnings)


def _resumed(folder: RunFolder, record: RunRecord, warnings: tuple[str, ...]) -> Resumed:
    state = state_of(folder, record)
    commands = commands_of_attempt(record, state.attempt)
    return Resumed(run=folder, record=record, state=state, commands=commands, warnings=warnings)


def _refuse_live(
    workspace: Workspace, folder: RunFolder, record: RunRecord, state: RunState
) -> None:
    if state.status is not RunStatus.ENDED:
        raise ConflictError(
            f"{folder.id} is {state.status}: {state.why}", hint=f"exp run logs -f {folder.id}"
        )
    for other, theirs, _ in live_runs(workspace):
        if record.ticket and theirs.ticket and theirs.ticket.id == record.ticket.id:
            raise ConflictError(
                f"{record.ticket.id} has another live run: {other.id}",
                hint=f"exp run logs -f {other.id}, or exp run stop {other.id}",
            )


def _written_down(workspace: Workspace, folder: RunFolder) -> RunRow:
    """The run as the index knows it, once its end is judged and published."""
    ensure_watcher(workspace)
    wait_until_published(workspace, folder)
    with Reader(workspace.database) as reader:
        row = reader.run(folder.id)
    if row is None or not is_finished(folder, row):
        raise EnvironmentFailure(
            f"the end of {folder.id} is not written down yet",
            hint=f"cat {workspace.watcher_log}; exp run show {folder.id}",
        )
    return row


def _refuse_done(
    workspace: Workspace, folder: RunFolder, record: RunRecord, row: RunRow, *, force: bool
) -> None:
    again = f"exp run resume {folder.id} --force to do it again"
    if row.outcome == Outcome.COMPLETED and not force:
        raise RefusedError(f"{folder.id} has completed", hint=again)
    if record.ticket is None:
        return
    status = tickets.find(workspace.tickets, record.ticket.id).ticket.status
    if status == TicketStatus.DONE and not force:
        raise RefusedError(f"{record.ticket.id} is DONE", hint=again)


def _request(
    workspace: Workspace, folder: RunFolder, record: RunRecord, row: RunRow, options: ResumeOptions
) -> tuple[AttemptRequest, tuple[str, ...]]:
    """What the next attempt executes; settings of the attempt before it stay."""
    before = read_record_if_present(AttemptRequest, folder.attempts()[-1].request_file)
    settings = dict(before.settings) if before else {}
    settings |= read_settings(options.settings, record.params, str(record.experiment))
    with Reader(workspace.database) as reader:
        events = reader.events(folder.id, "process")
    left = remaining_commands(record, folder, events, step=row.step)
    commands, warnings = _with_settings(workspace, record, left, settings)
    request = AttemptRequest(
        by=getpass.getuser(),
        why="exp run resume",
        time=time.time(),
        commands=commands,
        priority=options.priority,
        settings=settings,
        env=before.env if before else {},
    )
    return request, warnings


def _with_settings(
    workspace: Workspace, record: RunRecord, left: tuple[Command, ...], settings: dict[str, Any]
) -> tuple[tuple[Command, ...], tuple[str, ...]]:
    """The commands with settings filled in where the spec has placeholders for them.

    A spec that has changed since the launch would make other commands: then they stay as they
    were, and the programs find the settings in config.json alone.
    """
    if not settings or record.experiment is None:
        return left, ()
    kept = ("the commands stay as they were at launch; settings reach config.json only",)
    try:
        spec = load_experiment(workspace, record.experiment)
        if commands_of(workspace, replace(spec, params=record.params)) != record.commands:
            return left, (f"{record.experiment} has changed: {kept[0]}",)
        changed = commands_of(workspace, replace(spec, params=record.params | settings))
    except ExpError as error:
        return left, (f"{error}: {kept[0]}",)
    return changed[-len(left) :], ()


def _submit(
    workspace: Workspace, folder: RunFolder, record: RunRecord, request: AttemptRequest
) -> None:
    """Ask for the attempt, reopen the ticket, start what may start."""
    ticket = None
    if record.ticket is not None:
        ticket = tickets.find(workspace.tickets, record.ticket.id).ticket
    attempt = request_attempt(folder, record, request)
    if ticket is not None:
        tickets.edit_file(workspace.root / ticket.path, mark_ongoing)
    try:
        take_turn(workspace, folder)
    except ExpError as error:
        why = f"it could not be started: {error}"
        end_unstarted(folder, attempt, StopRequest(by=BY_US, why=why, time=time.time()))
        raise
