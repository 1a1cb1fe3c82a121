"""Runs that have not ended, found from files; the index only spares reading ended ones."""

import time
from collections.abc import Iterator

from orchestrator.domain.run import RunRecord, RunState, RunStatus
from orchestrator.executors import executor_for
from orchestrator.store import Reader
from orchestrator.watch.lifecycle import attempt_state, read_run, run_state
from orchestrator.workspace import RunFolder, Workspace


def live_runs(workspace: Workspace) -> Iterator[tuple[RunFolder, RunRecord, RunState]]:
    """Runs that have not ended, oldest first, whatever the index still says of them."""
    for folder in unended(workspace):
        record = read_run(folder)
        if record is None:
            continue
        state = state_of(folder, record)
        if state.status is not RunStatus.ENDED:
            yield folder, record, state


def unpublished(workspace: Workspace) -> list[RunFolder]:
    """Folders of runs whose end the watcher has not yet written down; its work to do."""
    return [
        folder
        for folder in workspace.run_folders()
        if not folder.published_file.exists() and folder.record_file.exists()
    ]


def unended(workspace: Workspace) -> list[RunFolder]:
    """Folders of runs that the index does not know as ended."""
    with Reader(workspace.database) as reader:
        ended = {row.id for row in reader.runs(status=RunStatus.ENDED)}
    return [folder for folder in workspace.run_folders() if folder.id not in ended]


def state_of(folder: RunFolder, record: RunRecord, *, max_step: int | None = None) -> RunState:
    """The state of a run at this moment."""
    attempts = folder.attempts() or [folder.attempt(1)]
    attempt = attempt_state(attempts[-1], executor_for(record.executor))
    return run_state(record, attempt, now=time.time(), max_step=max_step)
