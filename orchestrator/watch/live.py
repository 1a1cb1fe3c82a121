"""Which runs still need somebody, found from files; the index only spares reading ended ones."""

import time
from collections.abc import Iterator

from orchestrator.domain.run import RunRecord, RunState, RunStatus
from orchestrator.errors import InvalidFileError
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
        try:
            record = read_run(folder)
        except InvalidFileError:
            continue  # a broken record of one run must not keep the others from being started
        if record is None:
            continue
        state = state_of(folder, record)
        if state.status is not RunStatus.ENDED:
            yield folder, record, state


def pending(workspace: Workspace, reader: Reader, finished: set[str]) -> list[RunFolder]:
    """Runs whose end is not yet both in the index and published: the watcher's work.

    `finished` remembers the others from one call to the next: what is finished stays so.
    """
    unknown = [folder for folder in workspace.run_folders() if folder.id not in finished]
    if not unknown:
        return []
    ended = {row.id for row in reader.runs(status=RunStatus.ENDED)}
    finished |= {f.id for f in unknown if f.id in ended and f.published_file.exists()}
    return [f for f in unknown if f.id not in finished and f.record_file.exists()]


def has_pending(workspace: Workspace) -> bool:
    """Whether there is work for a watcher: a run, or a notice that nobody has got yet."""
    if workspace.unsent_file.exists():
        return True
    with Reader(workspace.database) as reader:
        return bool(pending(workspace, reader, set()))


def _ended(workspace: Workspace) -> set[str]:
    with Reader(workspace.database) as reader:
        return {row.id for row in reader.runs(status=RunStatus.ENDED)}


def state_of(folder: RunFolder, record: RunRecord, *, max_step: int | None = None) -> RunState:
    """The state of a run at this moment."""
    attempts = folder.attempts() or [folder.attempt(1)]
    attempt = attempt_state(attempts[-1], executor_for(record.executor))
    return run_state(record, attempt, now=time.time(), max_step=max_step)
