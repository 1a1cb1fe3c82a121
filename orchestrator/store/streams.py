"""Rows of a run's sources, streams, points and series: as they are known, and as they grow."""

import json
import sqlite3
from itertools import chain
from math import isfinite
from typing import Any

from orchestrator.domain.series import furthest
from orchestrator.store.finding import SourceFile
from orchestrator.store.progress import refresh_phase, refresh_step
from orchestrator.store.scan import BEFORE, Source, Stream, key_of

_CURSOR = ("id", "run", "path", "attempt", "offset", "line", "broken", "tail", "segment", "step")


_GET_SOURCE = """SELECT attempt, "offset", line, broken, broken_lines, tail, segment, step, memory
    FROM source WHERE id = ?"""
# Never REPLACE: it would delete the old row first, and with it all that hangs on it.
_PUT_SOURCE = """INSERT INTO source VALUES (:id, :run, :path, :attempt, :offset, :line, :broken,
    :broken_lines, :tail, :segment, :step, :memory)
    ON CONFLICT (id) DO UPDATE SET "offset" = excluded."offset", line = excluded.line,
      broken = excluded.broken, broken_lines = excluded.broken_lines, tail = excluded.tail,
      segment = excluded.segment, step = excluded.step, memory = excluded.memory"""
_PUT_STREAM = """INSERT INTO stream VALUES (:id, :source, :run, :name, :count, :nonfinite, :low,
    :high, :max_step, :segment, :step, :time, :line, :value)
    ON CONFLICT (id) DO UPDATE SET count = count + excluded.count,
      nonfinite = nonfinite + excluded.nonfinite,
      low = coalesce(min(low, excluded.low), low, excluded.low),
      high = coalesce(max(high, excluded.high), high, excluded.high),
      max_step = max(max_step, excluded.max_step), segment = excluded.segment,
      step = excluded.step, time = excluded.time, line = excluded.line, value = excluded.value"""
# The latest point of a series is the largest in Position order, not the last to arrive.
_PUT_SERIES = """INSERT OR REPLACE INTO series
    SELECT stream.run, stream.name, total.count, total.nonfinite, total.low, total.high,
      total.max_step, stream.step, stream.time, stream.value
    FROM stream JOIN source ON source.id = stream.source
    JOIN (SELECT sum(count) AS count, sum(nonfinite) AS nonfinite, min(low) AS low,
      max(high) AS high, max(max_step) AS max_step FROM stream WHERE run = :run AND name = :name
    ) AS total
    WHERE stream.run = :run AND stream.name = :name
    ORDER BY source.attempt DESC, stream.segment DESC, stream.step DESC, stream.time DESC,
      source.path DESC, stream.line DESC LIMIT 1"""


def sources_of(connection: sqlite3.Connection, run: str) -> set[str]:
    """Paths of the files of a run that the index knows."""
    rows = connection.execute("SELECT path FROM source WHERE run = ?", (run,))
    return {path for (path,) in rows}


def steps_of(connection: sqlite3.Connection, run: str) -> dict[str, int]:
    """The largest step of every series of a run."""
    rows = connection.execute("SELECT name, max_step FROM series WHERE run = ?", (run,))
    return dict(rows.fetchall())


def load_source(connection: sqlite3.Connection, run: str, file: SourceFile) -> Source:
    """The cursor of a file as the index knows it, at its start for a new one."""
    identifier = key_of(run, file.name)
    row = connection.execute(_GET_SOURCE, (identifier,)).fetchone()
    source = Source(identifier, run, file.name, file.attempt)
    if row is not None:
        source.attempt, source.offset, source.line, source.broken, lines, source.tail, *rest = row
        source.broken_lines = json.loads(lines)
        source.segment, step, memory = rest
        source.step = BEFORE if step is None else step
        source.memory = {} if memory is None else json.loads(memory)
        streams = connection.execute(
            "SELECT id, name, segment, step FROM stream WHERE source = ?", (identifier,)
        )
        source.streams = {stream[1]: Stream(*stream) for stream in streams}
    return source


def write(connection: sqlite3.Connection, source: Source, steps: dict[str, int]) -> None:
    """Store what a file has grown by and how far it was read; `steps` as `steps_of`, kept true."""
    cursor = {name: getattr(source, name) for name in _CURSOR}
    cursor["broken_lines"] = json.dumps(source.broken_lines)
    cursor["step"] = None if source.step == BEFORE else source.step
    cursor["memory"] = json.dumps(source.memory) if source.memory else None
    connection.execute(_PUT_SOURCE, cursor)
    # In the order of their keys the rows of a table fill one page after the other.
    grown = sorted((s for s in source.streams.values() if s.rows), key=lambda stream: stream.id)
    connection.executemany(_PUT_STREAM, [_summary(source, stream) for stream in grown])
    rows = chain.from_iterable(stream.rows for stream in grown)
    connection.executemany("INSERT INTO point VALUES (?, ?, ?, ?, ?, ?)", rows)
    connection.executemany("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)", source.events)
    names = [{"run": source.run, "name": stream.name} for stream in grown]
    connection.executemany(_PUT_SERIES, names)
    _advance(connection, source, grown, steps)
    if source.events:
        refresh_phase(connection, source.run)


def _advance(
    connection: sqlite3.Connection, source: Source, grown: list[Stream], steps: dict[str, int]
) -> None:
    """Bring the steps of the series, and that of the run, up to date."""
    before = furthest(steps)
    for stream in grown:
        latest = max(row[3] for row in stream.rows)
        steps[stream.name] = max(latest, steps.get(stream.name, latest))
    if furthest(steps) != before:
        refresh_step(connection, source.run)


def _summary(source: Source, stream: Stream) -> dict[str, Any]:
    _, line, segment, step, time, value = stream.rows[-1]
    values = [row[5] for row in stream.rows]
    finite = list(filter(isfinite, values))
    return {
        "id": stream.id,
        "source": source.id,
        "run": source.run,
        "name": stream.name,
        "count": len(values),
        "nonfinite": len(values) - len(finite),
        "low": min(finite, default=None),
        "high": max(finite, default=None),
        "max_step": max(row[3] for row in stream.rows),
        "segment": segment,
        "step": step,
        "time": time,
        "line": line,
        "value": value,
    }


def forget_source(connection: sqlite3.Connection, run: str, path: str) -> None:
    """Delete a file's rows and make the series follow from the files that are left."""
    source = key_of(run, path)
    names = connection.execute("SELECT run, name FROM stream WHERE source = ?", (source,))
    touched = [{"run": run, "name": name} for run, name in names.fetchall()]
    connection.execute(
        "DELETE FROM point WHERE stream IN (SELECT id FROM stream WHERE source = ?)", (source,)
    )
    connection.execute("DELETE FROM source WHERE id = ?", (source,))
    connection.executemany("DELETE FROM series WHERE run = :run AND name = :name", touched)
    connection.executemany(_PUT_SERIES, touched)
    refresh_step(connection, run)
    refresh_phase(connection, run)
