"""Rows of a run's sources, streams, points and series: as they are known, and as they grow."""

import json
import sqlite3
from dataclasses import dataclass
from itertools import chain
from math import isfinite
from typing import Any

from orchestrator.domain.series import furthest
from orchestrator.store.finding import SourceFile
from orchestrator.store.progress import put_step, refresh_phase, refresh_step
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
    :high, :max_step, :segment, :step, :time, :line, :value, :low_line, :high_line)
    ON CONFLICT (id) DO UPDATE SET count = count + excluded.count,
      nonfinite = nonfinite + excluded.nonfinite,
      low_line = CASE WHEN low IS NULL OR excluded.low < low
        THEN excluded.low_line ELSE low_line END,
      high_line = CASE WHEN high IS NULL OR excluded.high > high
        THEN excluded.high_line ELSE high_line END,
      low = coalesce(min(low, excluded.low), low, excluded.low),
      high = coalesce(max(high, excluded.high), high, excluded.high),
      max_step = max(max_step, excluded.max_step), segment = excluded.segment,
      step = excluded.step, time = excluded.time, line = excluded.line, value = excluded.value"""
_PUT_ONLY_SERIES = """INSERT OR REPLACE INTO series
    SELECT run, name, count, nonfinite, low, high, max_step, step, time, value
    FROM stream WHERE id = :id"""
# Out of several files: the latest point of a series is the largest in Position order, not the last
# to arrive.
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


@dataclass(slots=True)
class Reach:
    """How far each series of a run goes, as it is stored.

    `steps` holds the largest step of each, `files` the number of files that it comes out of;
    `furthest` is the largest step of the run (`furthest` of orchestrator.domain.series).
    """

    steps: dict[str, int]
    files: dict[str, int]
    furthest: int | None

    @classmethod
    def of(cls, connection: sqlite3.Connection, run: str) -> "Reach":
        """What the index knows of a run."""
        rows = connection.execute(
            "SELECT name, max(max_step), count(*) FROM stream WHERE run = ? GROUP BY name", (run,)
        ).fetchall()
        steps = {name: step for name, step, _ in rows}
        files = {name: count for name, _, count in rows}
        return cls(steps, files, furthest(steps))


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
        source.streams = {
            name: Stream(key, name, segment, step, is_stored=True)
            for key, name, segment, step in streams
        }
    return source


def write(connection: sqlite3.Connection, source: Source, reach: Reach) -> None:
    """Store what a file has grown by and how far it was read; `reach` is kept true."""
    cursor = {name: getattr(source, name) for name in _CURSOR}
    cursor["broken_lines"] = json.dumps(source.broken_lines)
    cursor["step"] = None if source.step == BEFORE else source.step
    cursor["memory"] = json.dumps(source.memory) if source.memory else None
    connection.execute(_PUT_SOURCE, cursor)
    # In the order of their keys the rows of a table fill one page after the other.
    grown = sorted((s for s in source.streams.values() if s.rows), key=lambda stream: stream.id)
    if grown:
        _write_points(connection, source, grown, reach)
    if source.events:
        connection.executemany("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)", source.events)
        refresh_phase(connection, source.run)


def _write_points(
    connection: sqlite3.Connection, source: Source, grown: list[Stream], reach: Reach
) -> None:
    summaries = [_summary(source, stream) for stream in grown]
    connection.executemany(_PUT_STREAM, summaries)
    rows = chain.from_iterable(stream.rows for stream in grown)
    connection.executemany("INSERT INTO point VALUES (?, ?, ?, ?, ?, ?)", rows)
    for stream, summary in zip(grown, summaries, strict=True):
        name, step = stream.name, summary["max_step"]
        reach.steps[name] = max(step, reach.steps.get(name, step))
        if not stream.is_stored:
            reach.files[name] = reach.files.get(name, 0) + 1
            stream.is_stored = True
    alone = [summary for summary in summaries if reach.files[summary["name"]] == 1]
    connection.executemany(_PUT_ONLY_SERIES, alone)
    if len(alone) < len(grown):
        shared = (summary for summary in summaries if reach.files[summary["name"]] > 1)
        connection.executemany(_PUT_SERIES, shared)
    before, reach.furthest = reach.furthest, furthest(reach.steps)
    if reach.furthest != before:
        put_step(connection, source.run, reach.furthest)


def _summary(source: Source, stream: Stream) -> dict[str, Any]:
    _, line, segment, step, time, value = stream.rows[-1]
    values = [row[5] for row in stream.rows]
    finite = list(filter(isfinite, values))
    low, high = min(finite, default=None), max(finite, default=None)
    return {
        "id": stream.id,
        "source": source.id,
        "run": source.run,
        "name": stream.name,
        "count": len(values),
        "nonfinite": len(values) - len(finite),
        "low": low,
        "high": high,
        "max_step": max(row[3] for row in stream.rows),
        "segment": segment,
        "step": step,
        "time": time,
        "line": line,
        "value": value,
        "low_line": None if low is None else stream.rows[values.index(low)][1],
        "high_line": None if high is None else stream.rows[values.index(high)][1],
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
