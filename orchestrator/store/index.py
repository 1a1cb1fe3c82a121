"""The writing side of the index. Only the process that holds the watcher's lock opens it."""

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from math import inf
from pathlib import Path
from typing import Any, Self

from sqlalchemy.dialects import sqlite

from orchestrator.domain.criterion import Criterion, Verdict
from orchestrator.domain.facts import Checkpoint
from orchestrator.domain.point import Event, Point
from orchestrator.domain.run import RunRecord, RunState
from orchestrator.errors import DamagedIndexError
from orchestrator.store import encode, schema
from orchestrator.store import ingest as files
from orchestrator.store.database import connect_writer, explained, swap, transaction
from orchestrator.store.migrations import migrate
from orchestrator.store.progress import refresh_phase, refresh_step
from orchestrator.store.replay import replay
from orchestrator.store.rows import CachedTicket, IngestResult
from orchestrator.workspace import RunFolder

_KEPT = 500  # runs whose cursors are held; those of others are read again
_HEADER = b"SQLite format 3\0"
_STARTED = """UPDATE run SET started =
    (SELECT started FROM attempt WHERE run = run.id ORDER BY number LIMIT 1) WHERE id = ?"""


class Index:
    """The database, open for writing; every method commits all it does, or nothing.

    Every method raises EnvironmentFailure when the disk is full (and works again when it is not),
    DamagedIndexError for a damaged file, InvalidFileError for a foreign one, and ConflictError when
    the file stays locked.
    """

    def __init__(self, path: Path) -> None:
        """Open the database, made or brought to this version if need be.

        Raises:
            EnvironmentFailure: also for a database of a newer version.
        """
        self.path = path
        self._intakes: dict[str, files.Intake] = {}
        with explained(path):
            self._connection = connect_writer(path)
            try:
                migrate(self._connection)
            except BaseException:
                self._connection.close()
                raise
            self._file = _file_of(path)

    @classmethod
    @contextmanager
    def recreate(cls, path: Path) -> Iterator[Self]:
        """Fill an empty index that takes the place of the one at `path` when the block ends well.

        Until then, and after an error, readers see the old one; a damaged one is replaced.
        """
        fresh = path.with_name(f".{path.name}.new")
        _remove(fresh)
        try:
            with cls(fresh) as index:
                yield index
            with explained(path):
                swap(fresh, path)
        finally:
            _remove(fresh)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def check_place(self) -> None:
        """See that the open file still is the one at its path, and a database.

        Raises:
            DamagedIndexError: it was removed, replaced or overwritten.
        """
        if _file_of(self.path) != self._file or not _is_database(self.path):
            raise DamagedIndexError(f"{self.path} was removed, replaced or overwritten")

    def close(self) -> None:
        """Write the log back into the database and let go of it."""
        self._connection.close()

    def ingest(
        self,
        folder: RunFolder,
        *,
        wanted: files.Wanted = (),
        on_point: Callable[[Point], None] | None = None,
        on_event: Callable[[Event], None] | None = None,
        at_most: float = inf,
    ) -> IngestResult:
        """Take in what a run's files have grown by: event files, and what its record declares.

        A caller with other runs to look at has `at_most` about so many bytes read, and goes on
        while the result is `behind`.

        New points of the `wanted` metrics (names, or a function that says yes) and new events go
        to the callbacks, in line order, after they are stored. If the result names `restarted`
        files, those were heard again from their start: replay instead. After an error, too: what
        came in before it is stored but was not reported.

        Raises:
            EnvironmentFailure: also for a file that cannot be read.
        """
        with explained(self.path):
            hears = files.listener(wanted, on_point, on_event)
            run = folder.id
            intake = self._intakes.pop(run, None)
            if intake is None or intake.folder != folder:
                intake = files.Intake(self._connection, folder)
            result = intake.take(hears, at_most=at_most)
            self._intakes[run] = intake  # not after an error: it may hold what is not stored
            if len(self._intakes) > _KEPT:
                del self._intakes[next(iter(self._intakes))]  # that of the longest unread run
            return result

    @contextmanager
    def together(self) -> Iterator[None]:
        """Commit at once what the block takes in, where that is little; readers see it then.

        Raises:
            EnvironmentFailure: nothing of it may have been kept: whoever heard of it replays.
        """
        try:
            with self._writing():
                yield
        except BaseException:
            self._intakes.clear()
            raise

    def replay(
        self,
        run: str,
        *,
        wanted: files.Wanted = (),
        on_point: Callable[[Point], None] | None = None,
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        """Hand out what is in the index already: wanted points and events in Position order."""
        with explained(self.path):
            hears = files.listener(wanted, on_point, on_event)
            files.tell(replay(self._connection, run, hears.wanted), hears)

    def put_run(self, record: RunRecord, state: RunState, folder: RunFolder | None = None) -> None:
        """Store how a run stands; with its folder, its earlier attempts too.

        Raises:
            InvalidFileError: also for a record of an earlier attempt that cannot be read.
        """
        attempts = encode.attempt_rows(record.id, state, folder)
        with self._writing() as connection:
            self._put([encode.run_row(record, state)])
            self._put(attempts)
            connection.execute(_STARTED, (record.id,))
            refresh_step(connection, record.id)
            refresh_phase(connection, record.id)

    def put_verdicts(
        self, run: str, criteria: Sequence[Criterion], verdicts: Sequence[Verdict]
    ) -> None:
        """Replace the verdicts of a run that was put before: one for each criterion, in order."""
        self._replace(schema.Verdict, run, encode.verdict_rows(run, criteria, verdicts))

    def put_checkpoints(self, run: str, checkpoints: Iterable[Checkpoint]) -> None:
        """Replace the checkpoints of a run that was put before."""
        rows = [encode.words_of(encode.checkpoint_row(run, saved)) for saved in checkpoints]
        self._replace(schema.Checkpoint, run, rows)

    def put_tickets(self, tickets: Iterable[CachedTicket]) -> None:
        """Remember parsed tickets by path, in place of what was known of those files."""
        rows = [encode.ticket_row(ticket) for ticket in tickets]
        with self._writing():
            self._put(rows)

    def forget_tickets(self, paths: Collection[str]) -> None:
        """Forget tickets whose files are gone."""
        with self._writing() as connection:
            connection.executemany("DELETE FROM ticket WHERE path = ?", [(path,) for path in paths])

    def dump(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table in the order of its key, to compare two databases."""
        tables = schema.Table.metadata.tables
        with explained(self.path):
            return {name: self._dump_table(name) for name in sorted(tables)}

    def _dump_table(self, name: str) -> list[tuple[Any, ...]]:
        keys = ", ".join(column.name for column in schema.Table.metadata.tables[name].primary_key)
        return self._connection.execute(f"SELECT * FROM {name} ORDER BY {keys}").fetchall()  # noqa: S608 - names from the schema

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with explained(self.path), transaction(self._connection):
            yield self._connection

    def _put(self, rows: Sequence[schema.Table]) -> None:
        if rows:
            self._connection.executemany(_upsert(type(rows[0])), map(encode.words_of, rows))

    def _replace(self, table: type[schema.Table], run: str, rows: Sequence[encode.Words]) -> None:
        with self._writing() as connection:
            connection.execute(f"DELETE FROM {table.__tablename__} WHERE run = ?", (run,))  # noqa: S608 - our names
            connection.executemany(_upsert(table), rows)


@cache
def _upsert(table: type[schema.Table]) -> str:
    """The statement that inserts a row or overwrites the one with its key, from the schema."""
    columns = schema.Table.metadata.tables[str(table.__tablename__)]
    insert = sqlite.insert(columns)
    keys = {column.name for column in columns.primary_key}
    others = [column.name for column in columns.columns if column.name not in keys]
    fields = {name: insert.excluded[name] for name in others}
    statement = insert.on_conflict_do_update(index_elements=sorted(keys), set_=fields)
    return str(statement.compile(dialect=sqlite.dialect(paramstyle="named")))


def _file_of(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _is_database(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_HEADER)) == _HEADER


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
