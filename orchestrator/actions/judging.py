"""The verdicts on a run: from the index while it is up to date, else from the run's own files."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator import store
from orchestrator.clock import SystemClock
from orchestrator.diagnose.signs import LogScan
from orchestrator.domain.criterion import Verdict
from orchestrator.domain.run import RunRecord, RunStatus
from orchestrator.errors import ConflictError, EnvironmentFailure, InvalidFileError
from orchestrator.fsio import locked
from orchestrator.store.rows import RunRow
from orchestrator.watch.live import state_of
from orchestrator.watch.observer import Observer
from orchestrator.watch.run_files import RunFiles
from orchestrator.workspace import RunFolder, Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Verdicts in the order of the run's criteria, and the series that it has logged."""

    verdicts: tuple[Verdict, ...]
    series: tuple[str, ...]


def judged(workspace: Workspace, folder: RunFolder, record: RunRecord) -> Judged:
    """What the evidence says of each criterion of a run."""
    with store.Reader(workspace.database) as reader:
        rows = reader.verdicts(folder.id)
        known = [row.key for row in rows] == [criterion.key for criterion in record.criteria]
        if known and _is_current(reader, folder, record, reader.run(folder.id)):
            return Judged(
                verdicts=tuple(row.verdict for row in rows),
                series=tuple(reader.series(folder.id)),
            )
    return judged_afresh(workspace, folder, record)


def _is_current(
    reader: store.Reader, folder: RunFolder, record: RunRecord, row: RunRow | None
) -> bool:
    """Whether the index has seen the run's end, and all that was written by then.

    The index of a live run is the watcher's business: it is behind by a moment at most.
    """
    state = state_of(folder, record)
    if row is None or row.status != state.status:
        return False
    if state.status is not RunStatus.ENDED:
        return True
    taken = {source.path: source.bytes for source in reader.sources(folder.id)}
    files = [file for attempt in folder.attempts() for file in attempt.event_files()]
    return all(
        file.stat().st_size == taken.get(f"{file.parent.name}/{file.name}", 0) for file in files
    )


@contextmanager
def index_of(
    workspace: Workspace, folder: RunFolder, record: RunRecord
) -> Iterator[tuple[store.Reader, LogScan | None]]:
    """The index, if it has all of a run, else one made of the run's files and thrown away.

    With the latter comes what was found in the run's logs, for they had to be read. An index that
    is damaged is left to the watcher.
    """
    with store.Reader(workspace.database) as reader:
        if _can_be_asked(reader, folder, record):
            yield reader, None
            return
    with tempfile.TemporaryDirectory(prefix="exp-") as scratch:
        database = Path(scratch) / "exp.db"
        with store.Index(database) as index, store.Reader(database) as fresh:
            observer = Observer(workspace, index, RunFiles(folder, record))
            observer.look(SystemClock())
            yield fresh, observer.scan


def _can_be_asked(reader: store.Reader, folder: RunFolder, record: RunRecord) -> bool:
    try:
        return _is_current(reader, folder, record, reader.run(folder.id))
    except (InvalidFileError, EnvironmentFailure):
        return False


def refresh(workspace: Workspace, folder: RunFolder, record: RunRecord) -> None:
    """Bring the index up to date with a run's files, unless a watcher does so anyway.

    A watcher looks at live runs only; an ended one is judged from its files until a rebuild.
    """
    with (
        suppress(ConflictError),
        locked(workspace.watcher_lock, busy="a watcher is at work"),
    ):
        _judge_into(workspace.database, workspace, folder, record)


def judged_afresh(workspace: Workspace, folder: RunFolder, record: RunRecord) -> Judged:
    """Judge a run from its files alone, in an index that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="exp-") as scratch:
        return _judge_into(Path(scratch) / "exp.db", workspace, folder, record)


def _judge_into(
    database: Path, workspace: Workspace, folder: RunFolder, record: RunRecord
) -> Judged:
    """Judge a run from its files, and write what they hold into the index at `database`."""
    # Of the module, since `Index` brings SQLModel, half a second: it is seldom needed.
    with store.Index(database) as index, store.Reader(database) as reader:
        seen = Observer(workspace, index, RunFiles(folder, record)).look(SystemClock())
        return Judged(verdicts=seen.verdicts, series=tuple(reader.series(folder.id)))
