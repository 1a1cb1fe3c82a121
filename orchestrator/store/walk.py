"""Points of a run one after another, however many there are: nothing here holds a whole series."""

import heapq
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from math import nan
from typing import NamedTuple

from orchestrator.store.connected import Connected
from orchestrator.store.database import explained

_STREAMS = """SELECT stream.name, source.attempt, source.path, stream.id
    FROM stream JOIN source ON source.id = stream.source
    WHERE stream.run = ? ORDER BY stream.name, source.attempt, source.path"""
_POINTS = "SELECT segment, step, time, value FROM point WHERE stream = ? ORDER BY line"
_BACKWARDS = "SELECT step, value FROM point WHERE stream = ? AND step <= ? ORDER BY line DESC"


class PlacedValue(NamedTuple):
    """One value with its place. A tuple: ten million are written at a time."""

    step: int
    time: float
    source: str
    attempt: int
    segment: int
    name: str
    value: float


class _Stream(NamedTuple):
    """One series in one file."""

    name: str
    attempt: int
    path: str
    id: int


class Walk(Connected):
    """Goes through the points of an index; where there is none, there are none."""

    def each(self, run: str, names: Iterable[str]) -> Iterator[PlacedValue]:
        """Every point of these series, series by series in Position order, as of this moment.

        Raises:
            ExpError: as `Reader`, also in the middle.
        """
        with explained(self._path):
            connection = self._connect()
            if connection is None:
                return
            connection.execute("BEGIN")  # a run that goes on must not grow while it is read
            try:
                streams = _streams(connection, run)
                for name in names:
                    yield from _in_order(connection, streams.get(name, ()))
            finally:
                connection.execute("ROLLBACK")

    def backwards(
        self, run: str, name: str, rank: Callable[[str], str], at_most: int
    ) -> Iterator[tuple[int, float]]:
        """Steps and values of a series from its last step down, each step once as it stands now.

        What a later attempt or segment has done again is left out, and so are other ranks than the
        first that logged it: `rank` tells it from the name of a file.
        """
        with explained(self._path):
            connection = self._connect()
            streams = _streams(connection, run).get(name, []) if connection else []
            if connection and streams:
                yield from _backwards(connection, streams, rank, at_most)


def _streams(connection: sqlite3.Connection, run: str) -> dict[str, list[_Stream]]:
    """The streams of each series, by attempt and file."""
    found: dict[str, list[_Stream]] = {}
    for row in connection.execute(_STREAMS, (run,)):
        found.setdefault(row[0], []).append(_Stream(*row))
    return found


def _in_order(connection: sqlite3.Connection, streams: Iterable[_Stream]) -> Iterator[PlacedValue]:
    attempts: dict[int, list[_Stream]] = {}
    for stream in streams:
        attempts.setdefault(stream.attempt, []).append(stream)
    for same in attempts.values():
        # Lines of one file are in Position order already; ranks take turns by segment and step.
        parts = [_placed(connection, stream) for stream in same]
        merged = parts[0] if len(parts) == 1 else heapq.merge(*parts, key=_place)
        yield from merged


def _place(row: PlacedValue) -> tuple[int, int, float, str]:
    return row.segment, row.step, row.time, row.source


def _placed(connection: sqlite3.Connection, stream: _Stream) -> Iterator[PlacedValue]:
    name, attempt, path = stream.name, stream.attempt, stream.path
    for segment, step, time, value in connection.execute(_POINTS, (stream.id,)):
        number = nan if value is None else value
        yield PlacedValue(step, time, path, attempt, segment, name, number)


def _backwards(
    connection: sqlite3.Connection,
    streams: list[_Stream],
    rank: Callable[[str], str],
    at_most: int,
) -> Iterator[tuple[int, float]]:
    lowest = min((rank(stream.path) for stream in streams), key=lambda text: (len(text), text))
    chosen = [stream for stream in streams if rank(stream.path) == lowest]
    below = at_most + 1
    for stream in reversed(chosen):
        for step, value in connection.execute(_BACKWARDS, (stream.id, at_most)):
            if step < below:
                below = step
                yield step, nan if value is None else value
