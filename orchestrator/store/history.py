"""One metric of a run as columns, every point of it."""

import sqlite3
from math import nan
from typing import Any

from orchestrator.store.rows import History

_STREAMS = """SELECT source.attempt, source.path, stream.id, stream.nonfinite
    FROM stream JOIN source ON source.id = stream.source
    WHERE stream.run = ? AND stream.name = ? ORDER BY source.attempt, source.path"""
_COLUMNS = "SELECT step, value, time FROM point WHERE stream = ? ORDER BY line"
_PLACED = "SELECT segment, step, time, ?, line, value FROM point WHERE stream = ?"


def history(connection: sqlite3.Connection, run: str, metric: str) -> History:
    """Every point of one metric in Position order; empty columns if there is none."""
    columns: tuple[list[int], list[Any], list[float]] = ([], [], [])
    attempts: dict[int, list[tuple[str, int]]] = {}
    holes = 0
    for attempt, path, stream, nonfinite in connection.execute(_STREAMS, (run, metric)):
        attempts.setdefault(attempt, []).append((path, stream))
        holes += nonfinite
    for streams in attempts.values():
        if len(streams) == 1:
            _extend(connection, columns, streams[0][1])
        else:
            _merge(connection, columns, streams)
    steps, values, times = columns
    if holes:
        values = [nan if value is None else value for value in values]
    return History(steps=steps, values=values, times=times, total=len(steps))


def _extend(
    connection: sqlite3.Connection, columns: tuple[list[int], list[Any], list[float]], stream: int
) -> None:
    """One file only: its lines are in Position order."""
    add_step, add_value, add_time = (column.append for column in columns)
    for step, value, time in connection.execute(_COLUMNS, (stream,)):
        add_step(step)
        add_value(value)
        add_time(time)


def _merge(
    connection: sqlite3.Connection,
    columns: tuple[list[int], list[Any], list[float]],
    streams: list[tuple[str, int]],
) -> None:
    """Several ranks logged the metric: their points take turns by segment, step and time."""
    rows = [row for pair in streams for row in connection.execute(_PLACED, pair)]
    rows.sort(key=lambda row: row[:5])
    columns[0].extend(row[1] for row in rows)
    columns[1].extend(row[5] for row in rows)
    columns[2].extend(row[2] for row in rows)
