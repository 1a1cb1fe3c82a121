"""The points of a metric that a report quotes: first, extremes, the last before some time.

Each is found by its place in the key, so that none of it grows with the length of a run.
"""

import sqlite3
from math import nan
from typing import NamedTuple

from orchestrator.store.rows import Landmarks, LatestValue

_STREAMS = """SELECT stream.name, stream.id, stream.line, source.attempt, source.path, stream.low,
      stream.high, stream.low_line, stream.high_line
    FROM stream JOIN source ON source.id = stream.source
    WHERE stream.run = ? AND stream.count > 0
    ORDER BY stream.name, source.attempt, source.path"""
_FIRST = """SELECT segment, step, time, line, value FROM point WHERE stream = ?
    ORDER BY line LIMIT 1"""
_AT = "SELECT segment, step, time, line, value FROM point WHERE stream = ? AND line = ?"
_FIRST_OF_VALUE = """SELECT segment, step, time, line, value FROM point
    WHERE stream = ? AND value = ? ORDER BY line LIMIT 1"""
_FROM = """SELECT segment, step, time, line, value FROM point WHERE stream = ? AND line >= ?
    ORDER BY line LIMIT 1"""
_BACK = """SELECT segment, step, time, line, value FROM point WHERE stream = ? AND line < ?
    ORDER BY line DESC LIMIT 1"""

_Row = tuple[int, int, float, int, float | None]


class _Stream(NamedTuple):
    """One metric in one file."""

    name: str
    id: int
    last: int
    attempt: int
    path: str
    low: float | None
    high: float | None
    low_line: int | None
    high_line: int | None


def landmarks(connection: sqlite3.Connection, run: str) -> dict[str, Landmarks]:
    """First point and both extremes of every metric of a run, by name."""
    return {
        name: Landmarks(
            first=_first(connection, streams),
            low=_extreme(connection, streams, lowest=True),
            high=_extreme(connection, streams, lowest=False),
        )
        for name, streams in _streams(connection, run).items()
    }


def before(connection: sqlite3.Connection, run: str, time: float) -> dict[str, LatestValue]:
    """The last point of every metric of a run that was written by a time, in seconds, by name."""
    found = {}
    for name, streams in _streams(connection, run).items():
        rows = [(each, _last_by(connection, each, time)) for each in streams]
        known = [(each.attempt, *row, each.path) for each, row in rows if row is not None]
        if known:
            _attempt, _segment, step, when, _line, value, _path = max(known, key=_place)
            found[name] = LatestValue(step, nan if value is None else value, when)
    return found


def _place(row: tuple[int, int, int, float, int, float | None, str]) -> tuple[object, ...]:
    attempt, segment, step, time, line, _value, path = row
    return attempt, segment, step, time, path, line


def _streams(connection: sqlite3.Connection, run: str) -> dict[str, list[_Stream]]:
    found: dict[str, list[_Stream]] = {}
    for row in connection.execute(_STREAMS, (run,)):
        found.setdefault(row[0], []).append(_Stream(*row))
    return found


def _first(connection: sqlite3.Connection, streams: list[_Stream]) -> LatestValue | None:
    """Of the ranks of the first attempt the point that comes first."""
    rows = [
        row
        for each in streams
        if each.attempt == streams[0].attempt
        for row in connection.execute(_FIRST, (each.id,))
    ]
    return _value(min(rows, key=lambda row: row[:4], default=None))


def _extreme(
    connection: sqlite3.Connection, streams: list[_Stream], *, lowest: bool
) -> LatestValue | None:
    """The lowest or highest finite value where it stands first."""
    values = {each: each.low if lowest else each.high for each in streams}
    known = {each: value for each, value in values.items() if value is not None}
    if not known:
        return None
    pick = min if lowest else max
    stream = pick(known, key=known.__getitem__)  # the earliest of equals
    line = stream.low_line if lowest else stream.high_line
    if line is None:  # an older version read it
        rows = connection.execute(_FIRST_OF_VALUE, (stream.id, known[stream])).fetchall()
    else:
        rows = connection.execute(_AT, (stream.id, line)).fetchall()
    return _value(rows[0]) if rows else None


def _last_by(connection: sqlite3.Connection, stream: _Stream, time: float) -> _Row | None:
    """The last point of a file by a time; times rise with the lines, so that halving finds it."""
    low, high = 0, stream.last + 1  # the first line that is too late lies in (low, high]
    while high - low > 1:
        middle = (low + high) // 2
        row = connection.execute(_FROM, (stream.id, middle)).fetchone()
        if row is not None and row[2] <= time:
            low = row[3]
        else:
            high = middle
    found: _Row | None = connection.execute(_BACK, (stream.id, high)).fetchone()
    return found


def _value(row: _Row | None) -> LatestValue | None:
    if row is None:
        return None
    _segment, step, time, _line, value = row
    return LatestValue(step, nan if value is None else value, time)
