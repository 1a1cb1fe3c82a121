"""So much of one metric as fits into memory, whatever a run has logged: what rules look at.

The newest points are all there. Of the older ones it holds those that are not finite, the
extremes, and of each of many stretches the lowest and the highest of its first points: of a few
ten thousand points that is all of them, of ten million a sample that costs a few look-ups each.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import nan
from typing import NamedTuple, TypeAlias

from orchestrator.store.rows import Excerpt

_SAMPLED = 32  # points at the start of a stretch whose extremes are kept
_STREAMS = """SELECT source.attempt, source.path, stream.id, stream.count, stream.nonfinite,
      stream.low_line, stream.high_line
    FROM stream JOIN source ON source.id = stream.source
    WHERE stream.run = ? AND stream.name = ? ORDER BY source.attempt DESC, source.path"""
_NEWEST = """SELECT segment, step, time, line, value FROM point
    WHERE stream = ? ORDER BY line DESC LIMIT ?"""
_BEFORE = "SELECT segment, step, time, line, value FROM point WHERE stream = ? AND line < ?"
_AT = "SELECT segment, step, time, line, value FROM point WHERE stream = ? AND line = ?"
# The condition is that of the partial index, word for word: else SQLite could not use it.
_HOLES = """SELECT segment, step, time, line, value FROM point INDEXED BY point_not_finite
    WHERE stream = ? AND line < ? AND (value IS NULL OR abs(value) > 1.7976931348623157e308)
    ORDER BY line {} LIMIT ?"""
_FIRST = "SELECT min(line) FROM point WHERE stream = ?"
_PART = """SELECT segment, step, time, line, {}(value) FROM (SELECT * FROM point
    WHERE stream = :stream AND line >= :begin AND line < :end ORDER BY line LIMIT :sampled)
    WHERE abs(value) <= 1.7976931348623157e308"""
_FIRST_HOLES, _LAST_HOLES = _HOLES.format("ASC"), _HOLES.format("DESC")
_LOW, _HIGH = _PART.format("min"), _PART.format("max")


class _Stream(NamedTuple):
    """One metric in one file."""

    attempt: int
    path: str
    id: int
    points: int
    nonfinite: int
    low_line: int | None
    high_line: int | None


class _Placed(NamedTuple):
    """A point in the order of Position."""

    attempt: int
    segment: int
    step: int
    time: float
    path: str
    line: int
    value: float | None


_Row: TypeAlias = tuple[int, int, float, int, float | None]


@dataclass(slots=True)
class _Left:
    """What of a stream is older than its newest points: `count` of them, before `line`."""

    stream: _Stream
    count: int
    line: int


def excerpt(
    connection: sqlite3.Connection, run: str, metric: str, newest: int, older: int
) -> Excerpt:
    """The newest points of a metric and about `older` of those before, in Position order."""
    streams = [_Stream(*row) for row in connection.execute(_STREAMS, (run, metric))]
    points, left = _newest(connection, streams, newest)
    points = [*_older(connection, left, older), *points]
    return Excerpt(
        steps=[point.step for point in points],
        values=[nan if point.value is None else point.value for point in points],
        times=[point.time for point in points],
        sources=[point.path for point in points],
        lines=[point.line for point in points],
        total=sum(stream.points for stream in streams),
    )


def _newest(
    connection: sqlite3.Connection, streams: list[_Stream], wanted: int
) -> tuple[list[_Placed], list[_Left]]:
    """The last points of a metric, and what each of its files has before them."""
    points: list[_Placed] = []
    left: list[_Left] = []
    for attempt in dict.fromkeys(stream.attempt for stream in streams):
        inside = [stream for stream in streams if stream.attempt == attempt]
        found = sorted(
            _placed(stream, row)
            for stream in inside
            for row in connection.execute(_NEWEST, (stream.id, wanted - len(points)))
        )
        taken = found[len(found) - min(len(found), wanted - len(points)) :]
        points = [*taken, *points]
        for stream in inside:
            lines = [point.line for point in taken if point.path == stream.path]
            before = min(lines, default=1 << 62)
            left.append(_Left(stream, stream.points - len(lines), before))
    return points, [each for each in left if each.count > 0]


def _older(connection: sqlite3.Connection, left: list[_Left], wanted: int) -> list[_Placed]:
    """About as many of the points that are left as wanted; all of them if they are no more."""
    total = sum(each.count for each in left)
    found: set[_Placed] = set()
    for each in left:
        rows: Iterable[_Row] = connection.execute(_BEFORE, (each.stream.id, each.line))
        if total > wanted:
            rows = _chosen(connection, each, max(8, wanted * each.count // total))
        found.update(_placed(each.stream, row) for row in rows)
    return sorted(found)


def _chosen(connection: sqlite3.Connection, left: _Left, wanted: int) -> Iterator[_Row]:
    """Not finite, extreme, and a sample: about as many as wanted; some of them come twice."""
    stream = left.stream
    if stream.nonfinite:
        for question in (_FIRST_HOLES, _LAST_HOLES):
            yield from connection.execute(question, (stream.id, left.line, wanted // 8))
    for line in (stream.low_line, stream.high_line):
        if line is not None and line < left.line:
            yield from connection.execute(_AT, (stream.id, line))
    (first,) = connection.execute(_FIRST, (stream.id,)).fetchone()
    end = min(left.line, _last(connection, stream) + 1)
    stretches = max(1, wanted * 3 // 8)
    for at in range(stretches):
        begin, until = (first + (end - first) * edge // stretches for edge in (at, at + 1))
        words = {"stream": stream.id, "begin": begin, "end": until, "sampled": _SAMPLED}
        for question in (_LOW, _HIGH):
            (row,) = connection.execute(question, words).fetchall()
            if row[3] is not None:
                yield row


def _last(connection: sqlite3.Connection, stream: _Stream) -> int:
    """Number of the last line of a stream."""
    ((*_, line, _value),) = connection.execute(_NEWEST, (stream.id, 1)).fetchall()
    return int(line)


def _placed(stream: _Stream, row: _Row) -> _Placed:
    segment, step, time, line, value = row
    return _Placed(stream.attempt, segment, step, time, stream.path, line, value)
