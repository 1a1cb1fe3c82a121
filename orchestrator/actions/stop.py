"""`exp run stop`: ask a run to end, and see that it does."""

import getpass
import os
import time
from dataclasses import dataclass, replace

from orchestrator import tickets
from orchestrator.actions.follow import require_record, wait_until_published
from orchestrator.domain.run import RunRecord, RunState, RunStatus, StopRequest
from orchestrator.errors import RefusedError
from orchestrator.fsio import try_lock
from orchestrator.procs import Reaped, is_elsewhere
from orchestrator.store import Reader
from orchestrator.watch.attempts import end_unstarted
from orchestrator.watch.daemon import ensure_watcher
from orchestrator.watch.dispatch import queue_lock
from orchestrator.watch.lifecycle import record_loss
from orchestrator.watch.live import Pending, live_runs, state_of
from orchestrator.watch.stopping import request_stop
from orchestrator.workspace import RunFolder, Workspace

_MARGIN = 20.0  # seconds beyond the grace for killing a tree and writing the record


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """What came of a stop: `asked` is False if the run had ended before.

    `left` says why the run has not ended in the time it had, and what a person can do.
    """

    run: RunFolder
    asked: bool
    state: RunState
    left: str | None = None


def stop_run(workspace: Workspace, folder: RunFolder, *, why: str) -> Stopped:
    """Ask a run to end and wait for its exit record, at most its grace and a margin.

    A run of another machine cannot be signalled: it finds the request, if it asks, and nobody
    waits.
    """
    record = require_record(folder)
    before = state_of(folder, record)
    if before.status is RunStatus.ENDED:
        # A lost run has ended for us, its programs perhaps not: its burial is the watcher's.
        if not folder.published_file.exists():
            finish(workspace, folder)
        return Stopped(run=folder, asked=False, state=before)
    request = StopRequest(by=getpass.getuser(), why=why, time=time.time())
    # Whether another attempt follows an end is the watcher's to say.
    ensure_watcher(workspace)
    asked = _stop_unstarted(workspace, folder, record, request)
    asked = asked or request_stop(folder, record, request)
    process = before.attempt.process
    if process is not None and is_elsewhere(process):
        way = f"exp run stop {folder.id} there, or with --lost if that host is gone for good"
        elsewhere = f"it runs on host {process.host}: {way}"
        return Stopped(run=folder, asked=True, state=state_of(folder, record), left=elsewhere)
    deadline = time.monotonic() + record.grace + _MARGIN
    while True:
        state = state_of(folder, record)
        if state.status is RunStatus.ENDED or time.monotonic() > deadline:
            break
        if state.attempt.stop is None:
            # It went on in the moment of asking.
            before, asked = state, _stop_unstarted(workspace, folder, record, request)
        if not asked and before.attempt.process is None:
            # Its shim was just coming up: it can be asked a moment later.
            asked = request_stop(folder, record, request)
        time.sleep(0.05)
    left = None
    if state.status is not RunStatus.ENDED:
        left = f"it did not end within {record.grace + _MARGIN:.0f} s: host {record.host} needs"
        left += f" attention (exp run show {folder.id})"
    return Stopped(run=folder, asked=True, state=state, left=left)


def declare_lost(workspace: Workspace, folder: RunFolder) -> Stopped:
    """Record a run as lost on the word of a person: its machine is gone and cannot be asked.

    Raises:
        RefusedError: the run is on this machine, where it can be looked at, or has ended.
    """
    record = require_record(folder)
    state = state_of(folder, record)
    process = state.attempt.process
    if state.status is RunStatus.ENDED or process is None or not is_elsewhere(process):
        raise RefusedError(
            f"{folder.id} is not on another machine, or has ended",
            hint=f"exp run stop {folder.id}",
        )
    why = f"host {process.host} is gone, says {getpass.getuser()}"
    attempt = folder.attempt(state.attempt.number)
    record_loss(attempt, replace(state, why=why), reaped=Reaped(), now=time.time())
    finish(workspace, folder)
    return Stopped(run=folder, asked=True, state=state_of(folder, record))


def _stop_unstarted(
    workspace: Workspace, folder: RunFolder, record: RunRecord, request: StopRequest
) -> bool:
    """End a run that waits for its turn; False if something of it was started, or is just being."""
    state = state_of(folder, record)
    if state.attempt.request is None or state.attempt.process is not None:
        return False
    attempt = folder.attempt(state.attempt.number)
    with queue_lock(workspace, wait=True):
        # Whoever starts an attempt locks its request, and so does its shim from then on.
        lock = try_lock(attempt.request_file)
        if lock is None:
            return False
        try:
            if attempt.process_file.exists():
                return False
            end_unstarted(folder, attempt, request)
        finally:
            os.close(lock)
    return True


def finish(workspace: Workspace, folder: RunFolder) -> None:
    """See that a watcher writes down the end of a run, and ends what a lost one left behind."""
    ensure_watcher(workspace)
    wait_until_published(workspace, folder)


def stop_ticket(workspace: Workspace, ticket: str, *, why: str) -> list[Stopped]:
    """Stop the live run of a ticket; nothing is stopped if it has none.

    Raises:
        NotFoundError: there is no such ticket.
    """
    name = tickets.find(workspace.tickets, ticket).ticket.id
    live = [folder for folder, record, _ in live_runs(workspace) if _is_of(record, name)]
    return [stop_run(workspace, folder, why=why) for folder in live]


def _is_of(record: RunRecord, ticket: str) -> bool:
    return record.ticket is not None and record.ticket.id == ticket


def stop_all(workspace: Workspace, *, why: str) -> list[Stopped]:
    """Stop every live run of the workspace; what lost runs left behind ends too."""
    with Reader(workspace.database) as reader:
        lost = [f for f in Pending(workspace, reader).folders() if _has_ended(f)]
    for folder in lost:
        finish(workspace, folder)
    return [stop_run(workspace, folder, why=why) for folder, _, _ in list(live_runs(workspace))]


def _has_ended(folder: RunFolder) -> bool:
    return state_of(folder, require_record(folder)).status is RunStatus.ENDED
