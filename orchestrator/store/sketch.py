"""One metric of a run as a curve to look at: a bounded number of points, whatever was logged.

It holds both ends, both extremes, points that are not finite, and a sample that is even over the
lines. A point costs a look-up or two; no history is read.
"""

import json
import sqlite3
from collections.abc import Iterator
from math import nan
from typing import NamedTuple

from orchestrator.store.rows import History

FEWEST = 4  # both ends and both extremes
_HOLES_SHARE = 8
_STREAMS = """SELECT source.attempt, source.path, stream.id, stream.count, stream.nonfinite,
      stream.line, stream.low, stream.high, stream.low_line, stream.high_line
    FROM stream JOIN source ON source.id = stream.source
    WHERE stream.run = ? AND stream.name = ? ORDER BY source.attempt, source.path"""
_FIRST = "SELECT min(line) FROM point WHERE stream = ?"
# The condition is that of the partial index, word for word: else SQLite could not use it.
_HOLES = """SELECT line FROM point INDEXED BY point_not_finite WHERE stream = ?
    AND (value IS NULL OR abs(value) > 1.7976931348623157e308) ORDER BY line {} LIMIT ?"""
_FIRST_HOLES, _LAST_HOLES = _HOLES.format("ASC"), _HOLES.format("DESC")
_ALL = "SELECT segment, step, time, ?, line, value FROM point WHERE stream = ? ORDER BY line"
# Each wanted line, or the next one that holds the metric.
_NEAR = """SELECT segment, step, time, :path, line, value FROM point
    WHERE stream = :stream AND line IN (SELECT (SELECT min(line) FROM point
        WHERE stream = :stream AND line >= wanted.value) FROM json_each(:lines) AS wanted)
    ORDER BY line"""

_Row = tuple[int, int, float, str, int, float | None]  # in the order of Position


class _Stream(NamedTuple):
    """One metric in one file; its extremes have no line if an older version read them."""

    attempt: int
    path: str
    id: int
    points: int
    nonfinite: int
    last: int
    low: float | None
    high: float | None
    low_line: int | None
    high_line: int | None


def sketch(connection: sqlite3.Connection, run: str, metric: str, most: int) -> History:
    """At most `most` points of a metric (never fewer than four) in Position order."""
    streams = [_Stream(*row) for row in connection.execute(_STREAMS, (run, metric))]
    total = sum(stream.points for stream in streams)
    most = max(FEWEST, most)
    attempts: dict[int, list[_Row]] = {}
    for stream in streams:
        attempts.setdefault(stream.attempt, []).extend(
            _rows(connection, stream, streams, most, total)
        )
    ranks = [stream.attempt for stream in streams]
    for attempt, rows in attempts.items():
        if ranks.count(attempt) > 1:
            rows.sort(key=lambda row: row[:5])  # several took turns by segment, step and time
    points = [row for rows in attempts.values() for row in rows]
    return History(
        steps=[row[1] for row in points],
        values=[nan if row[5] is None else row[5] for row in points],
        times=[row[2] for row in points],
        total=total,
    )


def _rows(
    connection: sqlite3.Connection, stream: _Stream, streams: list[_Stream], most: int, total: int
) -> list[_Row]:
    """What of one file is shown; of a few points all of them."""
    if total <= most:
        return connection.execute(_ALL, (stream.path, stream.id)).fetchall()
    lines = set(_landmarks(connection, stream, streams))
    left = (most - FEWEST) * stream.points // total
    lines.update(_holes(connection, stream, left // _HOLES_SHARE))
    even = max(0, left - max(0, len(lines) - FEWEST))
    lines.update(_even(connection, stream, even))
    words = {"stream": stream.id, "path": stream.path, "lines": json.dumps(sorted(lines))}
    return connection.execute(_NEAR, words).fetchall()


def _landmarks(
    connection: sqlite3.Connection, stream: _Stream, streams: list[_Stream]
) -> Iterator[int]:
    """Lines of both ends and both extremes of the metric that stand in this file."""
    if stream is streams[0]:
        yield _first(connection, stream)
    if stream is streams[-1]:
        yield stream.last
    lows = [each for each in streams if each.low is not None]
    if not lows or stream.low is None:
        return
    if stream is min(lows, key=lambda each: each.low or 0.0) and stream.low_line is not None:
        yield stream.low_line
    if stream is max(lows, key=lambda each: each.high or 0.0) and stream.high_line is not None:
        yield stream.high_line


def _holes(connection: sqlite3.Connection, stream: _Stream, most: int) -> Iterator[int]:
    """The first and the last points that are not finite."""
    if stream.nonfinite and most > 0:
        for question, count in ((_FIRST_HOLES, most - most // 2), (_LAST_HOLES, most // 2)):
            yield from (line for (line,) in connection.execute(question, (stream.id, count)))


def _even(connection: sqlite3.Connection, stream: _Stream, count: int) -> Iterator[int]:
    """So many lines at equal distances."""
    first = _first(connection, stream)
    for at in range(count):
        yield first + (stream.last - first) * (2 * at + 1) // (2 * count)


def _first(connection: sqlite3.Connection, stream: _Stream) -> int:
    ((line,),) = connection.execute(_FIRST, (stream.id,)).fetchall()
    return int(line)
