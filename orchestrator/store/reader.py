"""The reading side of the index: what every command asks. Standard library only, so it is quick."""

import json
import sqlite3
from collections.abc import Collection
from contextlib import contextmanager
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from orchestrator.domain.criterion import Evidence, State, Verdict
from orchestrator.domain.facts import Checkpoint
from orchestrator.domain.point import Event
from orchestrator.domain.run import Outcome, RunStatus
from orchestrator.domain.ticket import Checkbox, Ticket
from orchestrator.store import history as curves
from orchestrator.store import replay
from orchestrator.store.database import connect_reader, explained
from orchestrator.store.migrations import schema_version
from orchestrator.store.rows import (
    AttemptRow,
    CachedTicket,
    History,
    LatestValue,
    RunRow,
    SeriesRow,
    SourceRow,
    VerdictRow,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_RUN = """id ticket title experiment created host executor status outcome why phase step
    planned_steps attempts started ended commit params"""
_ATTEMPT = """run number started ended host pid code signal max_rss oom_kill error stop_by
    stop_why"""
_VERDICT = "run position key text section required state final why value margin unit evidence"
_TICKET = "id title path status phase after before experiment checkboxes blob mtime_ns size"
_CHECKPOINT = "step path bytes files time valid attempt"
_SERIES = "run name count nonfinite low high max_step step value time"
_SOURCE = "path attempt offset line broken broken_lines"

Words = dict[str, Any]


class Reader:
    """Reads the index beside its writer; without a database there is simply nothing in it.

    It may be kept: a database that is created, or put in the place of a damaged one, is noticed.
    Every method raises InvalidFileError for a damaged or foreign file, EnvironmentFailure for one
    of a newer version or that cannot be read, each with the command that helps.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; a later question opens it again."""
        if self._connection is not None:
            self._connection.close()
        self._connection = self._file = None

    def runs(
        self,
        *,
        ticket: str | None = None,
        status: RunStatus | None = None,
        limit: int | None = None,
    ) -> list[RunRow]:
        """Runs, newest first."""
        rest = """run WHERE (:ticket IS NULL OR ticket = :ticket)
            AND (:status IS NULL OR status = :status) ORDER BY created DESC, id DESC LIMIT :limit"""
        words: Words = {"ticket": ticket, "status": status and str(status)}
        words["limit"] = -1 if limit is None else limit  # SQLite's word for no limit
        return [_run(row) for row in self._select(_RUN, rest, words)]

    def run(self, run: str) -> RunRow | None:
        """One run, or None if the index does not know it (yet)."""
        rows = self._select(_RUN, "run WHERE id = ?", (run,))
        return _run(rows[0]) if rows else None

    def attempts(self, run: str) -> list[AttemptRow]:
        """Attempts of a run, oldest first."""
        rows = self._select(_ATTEMPT, "attempt WHERE run = ? ORDER BY number", (run,))
        return [AttemptRow(**row) for row in rows]

    def latest(self, runs: Collection[str]) -> dict[str, dict[str, LatestValue]]:
        """The last point of every metric of these runs, by Position and not by arrival.

        Runs without points are absent.
        """
        found: dict[str, dict[str, LatestValue]] = {}
        sql = """SELECT run, name, step, value, time FROM series
            WHERE run IN (SELECT value FROM json_each(?))"""
        for run, name, step, value, time in self._rows(sql, (json.dumps(list(runs)),)):
            latest = LatestValue(step, nan if value is None else value, time)
            try:
                found[run][name] = latest
            except KeyError:
                found[run] = {name: latest}
        return found

    def series(self, run: str) -> dict[str, SeriesRow]:
        """Every metric of a run with its count, extremes and last point, by name."""
        rows = self._select(_SERIES, "series WHERE run = ? ORDER BY name", (run,))
        return {row["name"]: _series(row) for row in rows}

    def history(self, run: str, metric: str, *, max_points: int | None = None) -> History:
        """One metric in Position order, every point of it, or thinned to `max_points` for display.

        Thinning keeps the extremes of the curve.
        """
        with self._asking() as connection:
            if connection is None:
                return History(steps=[], values=[], times=[], total=0)
            full = curves.history(connection, run, metric)
        return full if max_points is None else curves.thin(full, max_points)

    def events(self, run: str, name: str | None = None) -> list[Event]:
        """Events of a run by attempt and time."""
        with self._asking() as connection:
            found = [] if connection is None else replay.events(connection, run)
        return [event for event in found if name is None or event.name == name]

    def verdicts(self, run: str) -> list[VerdictRow]:
        """The verdict on each criterion of a run, in the ticket's order."""
        rows = self._select(_VERDICT, "verdict WHERE run = ? ORDER BY position", (run,))
        return [_verdict(row) for row in rows]

    def checkpoints(self, run: str) -> list[Checkpoint]:
        """Checkpoints of a run by attempt and step."""
        rest = "checkpoint WHERE run = ? ORDER BY attempt, step, path"
        rows = self._select(_CHECKPOINT, rest, (run,))
        return [Checkpoint(**row | {"valid": bool(row["valid"])}) for row in rows]

    def tickets(self) -> list[CachedTicket]:
        """Tickets as last parsed, by path."""
        return [_ticket(row) for row in self._select(_TICKET, "ticket ORDER BY path")]

    def sources(self, run: str) -> list[SourceRow]:
        """Event files of a run, with how far they were read and what could not be."""
        rest = "source WHERE run = ? ORDER BY attempt, path"
        return [_source(row) for row in self._select(_SOURCE, rest, (run,))]

    def _select(self, columns: str, rest: str, words: Any = ()) -> list[Words]:
        names = columns.split()
        quoted = ", ".join(f'"{name}"' for name in names)
        rows = self._rows(f"SELECT {quoted} FROM {rest}", words)  # noqa: S608 - our own words only
        return [dict(zip(names, row, strict=True)) for row in rows]

    def _rows(self, sql: str, words: Any) -> list[tuple[Any, ...]]:
        with self._asking() as connection:
            return [] if connection is None else connection.execute(sql, words).fetchall()

    @contextmanager
    def _asking(self) -> "Iterator[sqlite3.Connection | None]":
        with explained(self._path):
            yield self._connect()

    def _connect(self) -> sqlite3.Connection | None:
        """The open database; None if there is none yet, or nothing in it."""
        try:
            status = self._path.stat()
        except (FileNotFoundError, NotADirectoryError):
            self.close()
            return None
        if self._file != (status.st_dev, status.st_ino):
            self.close()
            connection = connect_reader(self._path)
            if schema_version(connection) == 0:
                connection.close()
                return None
            self._connection, self._file = connection, (status.st_dev, status.st_ino)
        return self._connection


def _run(row: Words) -> RunRow:
    row["status"] = RunStatus(row["status"])
    row["outcome"] = None if row["outcome"] is None else Outcome(row["outcome"])
    row["params"] = json.loads(row["params"])
    return RunRow(**row)


def _series(row: Words) -> SeriesRow:
    step, value, time = row.pop("step"), row.pop("value"), row.pop("time")
    return SeriesRow(**row, latest=LatestValue(step, nan if value is None else value, time))


def _source(row: Words) -> SourceRow:
    return SourceRow(
        path=row["path"],
        attempt=row["attempt"],
        bytes=row["offset"],
        lines=row["line"],
        broken=row["broken"],
        broken_lines=tuple(json.loads(row["broken_lines"])),
    )


def _verdict(row: Words) -> VerdictRow:
    kept = {name: row[name] for name in ("run", "position", "key", "text", "section")}
    evidence = row["evidence"]
    verdict = Verdict(
        state=State(row["state"]),
        final=bool(row["final"]),
        why=row["why"],
        value=_real(row["value"]),
        margin=_real(row["margin"]),
        unit=row["unit"],
        evidence=None if evidence is None else Evidence(**json.loads(evidence)),
    )
    return VerdictRow(**kept, required=bool(row["required"]), verdict=verdict)


def _real(value: Any) -> float | None:
    return None if value is None else float(value)  # the text 'NaN' too


def _ticket(row: Words) -> CachedTicket:
    mtime_ns, size = row.pop("mtime_ns"), row.pop("size")
    row["after"] = tuple(json.loads(row["after"]))
    row["before"] = tuple(json.loads(row["before"]))
    row["checkboxes"] = tuple(Checkbox(**box) for box in json.loads(row["checkboxes"]))
    return CachedTicket(ticket=Ticket(**row), mtime_ns=mtime_ns, size=size)
