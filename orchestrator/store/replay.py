"""The records of a run again, from the index: for monitors that must be made anew after a crash."""

import heapq
import json
import math
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

from orchestrator.domain.point import Event, Point, Position

_STREAMS = """SELECT stream.id, stream.name, source.attempt, source.path
    FROM stream JOIN source ON source.id = stream.source WHERE stream.run = ?
    ORDER BY stream.name, source.path"""
_POINTS = "SELECT line, segment, step, time, value FROM point WHERE stream = ? ORDER BY line"
_EVENTS = """SELECT source.attempt, source.path, event.line, event.segment, event.step, event.time,
      event.name, event.data
    FROM source JOIN event ON event.source = source.id WHERE source.run = ?"""


def replay(
    connection: sqlite3.Connection, run: str, wanted: Callable[[str], bool]
) -> Iterator[Point | Event]:
    """Points of wanted metrics and all events, together in Position order; NaN is NaN again."""
    streams = connection.execute(_STREAMS, (run,)).fetchall()
    parts: list[Iterator[Point | Event]] = [
        _points(connection, *stream) for stream in streams if wanted(stream[1])
    ]
    parts.append(iter(sorted(events(connection, run), key=_place)))
    return heapq.merge(*parts, key=_place)


def events(connection: sqlite3.Connection, run: str) -> list[Event]:
    """All events of a run by attempt and time."""
    found = [_event(*row) for row in connection.execute(_EVENTS, (run,))]
    return sorted(found, key=lambda e: (e.at.attempt, e.at.time, e.at.source, e.at.line))


def _place(record: Point | Event) -> tuple[Any, ...]:
    at = record.at
    return at.attempt, at.segment, at.step, at.time, at.source, at.line


def _points(
    connection: sqlite3.Connection, stream: int, name: str, attempt: int, path: str
) -> Iterator[Point]:
    # Lines of a stream are in Position order already: a step that goes back begins a segment.
    for line, segment, step, time, value in connection.execute(_POINTS, (stream,)):
        at = Position(
            attempt=attempt, segment=segment, step=step, time=time, source=path, line=line
        )
        yield Point(metric=name, value=math.nan if value is None else value, at=at)


def _event(attempt: int, path: str, line: int, segment: int, *rest: Any) -> Event:
    step, time, name, data = rest
    at = Position(attempt=attempt, segment=segment, step=step, time=time, source=path, line=line)
    return Event(name=name, data=json.loads(data), at=at)
