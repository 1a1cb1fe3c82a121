"""The reading side of the index: what every command asks. Standard library only, so it is quick."""

import sqlite3
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Concatenate, ParamSpec, Self, TypeVar

from orchestrator.domain.facts import Checkpoint
from orchestrator.domain.point import Event
from orchestrator.domain.run import RunStatus
from orchestrator.store import excerpt, queries, replay
from orchestrator.store import history as curves
from orchestrator.store.database import connect_reader, explained
from orchestrator.store.migrations import schema_version
from orchestrator.store.rows import (
    AttemptRow,
    CachedTicket,
    Excerpt,
    History,
    LatestValue,
    RunRow,
    SeriesRow,
    SourceRow,
    Tally,
    VerdictRow,
)

P = ParamSpec("P")
T = TypeVar("T")


class _Connected:
    """A database that is opened when it is asked, and again when another takes its place."""

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

    def _ask(
        self,
        question: Callable[Concatenate[sqlite3.Connection, P], T],
        *words: P.args,
        **more: P.kwargs,
    ) -> T | None:
        """The answer, or None if there is no database."""
        with explained(self._path):
            connection = self._connect()
            return None if connection is None else question(connection, *words, **more)

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


class Reader(_Connected):
    """Reads the index beside its writer; without a database there is simply nothing in it.

    It may be kept: a database that is created, or put in the place of a damaged one, is noticed.
    Every method raises InvalidFileError for a damaged or foreign file, EnvironmentFailure for one
    of a newer version or that cannot be read, each with the command that helps.
    """

    @property
    def stamp(self) -> tuple[object, ...] | None:
        """Equal from one look to the next while nobody writes to the index; None without one."""
        version = self._ask(queries.version)
        return None if version is None else (self._file, version)

    def runs(
        self,
        *,
        ticket: str | None = None,
        status: RunStatus | None = None,
        limit: int | None = None,
        live: bool = False,
    ) -> list[RunRow]:
        """Runs, newest first; with `live` those that had not ended when they were last seen."""
        return self._ask(queries.runs, ticket, status, limit, live) or []

    def run(self, run: str) -> RunRow | None:
        """One run, or None if the index does not know it (yet)."""
        found = self._ask(queries.run, run)
        return found[0] if found else None

    def attempts(self, run: str) -> list[AttemptRow]:
        """Attempts of a run, oldest first."""
        return self._ask(queries.attempts, run) or []

    def latest(self, runs: Collection[str]) -> dict[str, dict[str, LatestValue]]:
        """The last point of every metric of these runs, by Position and not by arrival.

        Runs without points are absent.
        """
        return self._ask(queries.latest, runs) or {}

    def series(self, run: str) -> dict[str, SeriesRow]:
        """Every metric of a run with its count, extremes and last point, by name."""
        return self._ask(queries.series, run) or {}

    def history(self, run: str, metric: str, *, max_points: int | None = None) -> History:
        """One metric in Position order, every point of it, or thinned to `max_points` for display.

        Thinning keeps the extremes of the curve.
        """
        full = self._ask(curves.history, run, metric)
        if full is None:
            return History(steps=[], values=[], times=[], total=0)
        return full if max_points is None else curves.thin(full, max_points)

    def curve(self, run: str, metric: str, *, newest: int = 2000, older: int = 3000) -> Excerpt:
        """One metric within bounds: its newest points, and about `older` of those before them.

        Of the older ones those that are not finite and the extremes are kept, else a sample.
        """
        found = self._ask(excerpt.excerpt, run, metric, newest, older)
        if found is None:
            return Excerpt(steps=[], values=[], times=[], sources=[], lines=[], total=0)
        return found

    def events(self, run: str, name: str | None = None) -> list[Event]:
        """Events of a run by attempt and time."""
        found = self._ask(replay.events, run) or []
        return [event for event in found if name is None or event.name == name]

    def verdicts(self, run: str) -> list[VerdictRow]:
        """The verdict on each criterion of a run, in the ticket's order."""
        return self._ask(queries.verdicts, run) or []

    def tallies(self, runs: Collection[str]) -> dict[str, Tally]:
        """How many goals of these runs are met, of how many; those never judged are absent."""
        return self._ask(queries.tallies, runs) or {}

    def checkpoints(self, run: str) -> list[Checkpoint]:
        """Checkpoints of a run by attempt and step."""
        return self._ask(queries.checkpoints, run) or []

    def tickets(self) -> list[CachedTicket]:
        """Tickets as last parsed, by path."""
        return self._ask(queries.tickets) or []

    def sources(self, run: str) -> list[SourceRow]:
        """Event files of a run, with how far they were read and what could not be."""
        return self._ask(queries.sources, run) or []
