"""Which runs still need somebody, found from files; the index only spares reading ended ones."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeAlias

from orchestrator.domain.run import RunRecord, RunState, RunStatus
from orchestrator.errors import InvalidFileError
from orchestrator.executors import executor_for
from orchestrator.listing import Listing, Listings
from orchestrator.store import Reader
from orchestrator.store.rows import RunRow
from orchestrator.watch.lifecycle import attempt_state, may_go_on, read_run, run_state
from orchestrator.workspace import RunFolder, Workspace

LiveRun: TypeAlias = tuple[RunFolder, RunRecord, RunState]


class Pending:
    """Runs whose end is not yet both in the index and published, from one look to the next.

    A finished one stays so until .exp/runs changes: a new run, or a new attempt of one. `finished`
    are the index rows of these, as of the last look; a new dictionary once that has changed.
    """

    def __init__(self, workspace: Workspace, reader: Reader) -> None:
        self._workspace = workspace
        self._reader = reader
        self._listings = Listings()
        self._listing: Listing | None = None
        self._left: list[RunFolder] = []
        self.finished: dict[str, RunRow] = {}

    def folders(self) -> list[RunFolder]:
        """Their folders, by number."""
        listing = self._listings.list(str(self._workspace.runs))
        if listing is not self._listing:
            self._listing = listing
            self._left = list(self._workspace.run_folders())
            self.finished = {}
            rows = {row.id: row for row in self._reader.runs(status=RunStatus.ENDED)}
        else:
            published = (folder for folder in self._left if folder.published_file.exists())
            found = (self._reader.run(folder.id) for folder in published)
            rows = {row.id: row for row in found if row is not None}
        done = {f.id: rows[f.id] for f in self._left if f.id in rows and is_finished(f, rows[f.id])}
        if done:
            self.finished = self.finished | done
            self._left = [folder for folder in self._left if folder.id not in done]
        return [folder for folder in self._left if folder.record_file.exists()]


def is_finished(folder: RunFolder, row: RunRow) -> bool:
    """Whether a run's end is both in the index and published, and no attempt came after it."""
    return (
        row.status == RunStatus.ENDED
        and folder.published_file.exists()
        and not folder.attempt(row.attempts + 1).path.exists()
    )


def live_runs(workspace: Workspace) -> Iterator[LiveRun]:
    """Runs that have not ended, oldest first, whatever the index still says of them."""
    with Reader(workspace.database) as reader:
        folders = Pending(workspace, reader).folders()
    for folder in folders:
        try:
            record = read_run(folder)
        except InvalidFileError:
            continue  # a broken record of one run must not keep the others from being started
        if record is None:
            continue
        state = state_of(folder, record)
        if state.status is not RunStatus.ENDED:
            yield folder, record, state


def has_pending(workspace: Workspace) -> bool:
    """Whether there is work for a watcher: a run, or a notice that nobody has got yet."""
    if workspace.unsent_file.exists():
        return True
    with Reader(workspace.database) as reader:
        return bool(Pending(workspace, reader).folders())


def state_of(folder: RunFolder, record: RunRecord, *, max_step: int | None = None) -> RunState:
    """The state of a run at this moment."""
    return as_run(folder, record, newest_attempt(folder, record, max_step=max_step))


def as_run(folder: RunFolder, record: RunRecord, state: RunState) -> RunState:
    """The state of a run by that of its newest attempt, whose end is the run's if none follows."""
    if not may_go_on(record, state) or folder.published_file.exists():
        return state
    what = f"attempt {state.attempt.number} ended: {state.why}"
    if state.attempt.failure is not None:
        return replace(state, status=RunStatus.QUEUED, outcome=None, why=f"{what}; goes on")
    why = f"{what}; whether it goes on is not decided yet"
    return replace(state, status=RunStatus.STOPPING, outcome=None, why=why)


def newest_attempt(
    folder: RunFolder, record: RunRecord, *, max_step: int | None = None
) -> RunState:
    """The state of the newest attempt alone, whatever may follow it."""
    attempts = folder.attempts() or [folder.attempt(1)]
    attempt = attempt_state(attempts[-1], executor_for(record.executor))
    return run_state(record, attempt, max_step=max_step)
