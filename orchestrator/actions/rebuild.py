"""`exp db rebuild`: the index from nothing but files."""

from dataclasses import dataclass
from pathlib import Path

from orchestrator.clock import SystemClock
from orchestrator.domain.run import RunStatus
from orchestrator.fsio import locked
from orchestrator.store import Reader
from orchestrator.store.index import Index
from orchestrator.watch.daemon import ensure_watcher
from orchestrator.watch.lifecycle import read_run
from orchestrator.watch.live import has_pending, state_of
from orchestrator.watch.observer import Observer
from orchestrator.watch.run_files import RunFiles
from orchestrator.watch.ticket_index import index_tickets
from orchestrator.workspace import Workspace

# A watcher whose runs have ended publishes their reports and leaves, seconds after the last end.
_LEAVING_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """What the new index was made from."""

    path: Path
    tickets: int
    runs: int


def rebuild_index(workspace: Workspace) -> Rebuilt:
    """Make the index again beside the old one, then put it in its place.

    A watcher that has no live run left is waited for.

    Raises:
        ConflictError: a watcher is writing the present one.
        EnvironmentFailure: the disk is full; the present index stays.
    """
    workspace.prepare_state()
    busy = "a watcher is at work; it ends when no run is live"
    patience = 0.0 if _has_live_runs(workspace) else _LEAVING_SECONDS
    with (
        locked(workspace.watcher_lock, busy=busy, patience=patience),
        Index.recreate(workspace.database) as index,
        Reader(index.path) as reader,
    ):
        known = index_tickets(workspace, index, reader)
        runs = 0
        for folder in workspace.run_folders():
            record = read_run(folder)
            if record is not None:
                Observer(workspace, index, RunFiles(folder, record)).look(SystemClock())
                runs += 1
    # A run that ended meanwhile found the lock held, and started no watcher.
    if has_pending(workspace):
        ensure_watcher(workspace)
    return Rebuilt(path=workspace.database, tickets=known, runs=runs)


def _has_live_runs(workspace: Workspace) -> bool:
    """Whether a run has not ended, told by files: the index may be damaged."""
    records = ((folder, read_run(folder)) for folder in workspace.run_folders())
    return any(
        state_of(folder, record).status is not RunStatus.ENDED
        for folder, record in records
        if record is not None
    )
