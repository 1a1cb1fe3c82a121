"""Which runs still need somebody, found from files; the index only spares reading ended ones."""

import time
from collections.abc import Iterator

from orchestrator.domain.run import RunRecord, RunState, RunStatus
from orchestrator.executors import executor_for
from orchestrator.store import Reader
from orchestrator.watch.lifecycle import attempt_state, read_run, run_state
from orchestrator.workspace import RunFolder, Workspace


def live_runs(workspace: Workspace) -> Iterator[tuple[RunFolder, RunRecord, RunState]]:
    """Runs that have not ended, oldest first, whatever the index still says of them."""
    ended = _ended(workspace)
    for folder in workspace.run_folders():
        if folder.id in ended:
            continue
        record = read_run(folder)
        if record is None:
            continue
        state = state_of(folder, record)
        if state.status is not RunStatus.ENDED:
            yield folder, record, state


def pending(workspace: Workspace) -> list[RunFolder]:
    """Runs whose end is not yet both in the index and published: the watcher's work."""
    ended = _ended(workspace)
    return [
        folder
        for folder in workspace.run_folders()
        if folder.record_file.exists()
        and not (folder.id in ended and folder.published_file.exists())
    ]


def _ended(workspace: Workspace) -> set[str]:
    with Reader(workspace.database) as reader:
        return {row.id for row in reader.runs(status=RunStatus.ENDED)}


def state_of(folder: RunFolder, record: RunRecord, *, max_step: int | None = None) -> RunState:
    """The state of a run at this moment."""
    attempts = folder.attempts() or [folder.attempt(1)]
    attempt = attempt_state(attempts[-1], executor_for(record.executor))
    return run_state(record, attempt, now=time.time(), max_step=max_step)
