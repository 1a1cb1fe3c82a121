"""One metric of a run as columns, whole or thinned for display."""

import sqlite3
from math import isfinite, nan
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


def thin(full: History, max_points: int) -> History:
    """At most `max_points` points (never fewer than four) with the extremes of the curve kept.

    The first and the last point stay, and of each of equally many neighbours the lowest and the
    highest finite one. For display only: nothing is judged on it.
    """
    if full.total <= max_points:
        return full
    buckets = max(1, (max_points - 2) // 2)
    last = full.total - 1
    keep = {0, last}
    for bucket in range(buckets):
        begin, end = (1 + (last - 1) * edge // buckets for edge in (bucket, bucket + 1))
        keep.update(_extremes(full.values, begin, end))
    order = sorted(keep)
    return History(
        steps=[full.steps[i] for i in order],
        values=[full.values[i] for i in order],
        times=[full.times[i] for i in order],
        total=full.total,
    )


def _extremes(values: list[float], begin: int, end: int) -> tuple[int, ...]:
    part = values[begin:end]
    finite = list(filter(isfinite, part))
    if not finite:
        return tuple(range(begin, min(begin + 1, end)))
    return begin + part.index(min(finite)), begin + part.index(max(finite))
