"""Files of measurements → the index: new bytes of one run, in bites, each with its cursor.

A kill at any instant loses nothing and doubles nothing: rows and the offset behind them are
committed together, and what is after the last newline waits for the rest of its line.
"""

import json
import os
import sqlite3
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import chain
from math import isfinite
from pathlib import Path
from typing import Any

from orchestrator.domain.point import Event, Point
from orchestrator.errors import EnvironmentFailure
from orchestrator.store.chunks import next_chunk
from orchestrator.store.database import transaction
from orchestrator.store.finding import Finder, SourceFile
from orchestrator.store.progress import refresh_phase, refresh_step
from orchestrator.store.rows import IngestResult
from orchestrator.store.scan import BEFORE, Source, Stream, key_of, scan, take_found

BITE = 4 << 20  # bytes of file a transaction; a longer line is counted as broken and skipped
_TAIL = 256  # bytes before the offset whose hash tells a file from its replacement

_CURSOR = ("id", "run", "path", "attempt", "offset", "line", "broken", "tail", "segment", "step")

Wanted = Collection[str] | Callable[[str], bool]

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Who hears of new records, after they are committed and in the order of their lines."""

    wanted: Callable[[str], bool]
    on_point: Callable[[Point], None] | None
    on_event: Callable[[Event], None] | None


def listener(
    wanted: Wanted,
    on_point: Callable[[Point], None] | None,
    on_event: Callable[[Event], None] | None,
) -> Listener:
    """A listener for a set of metric names, or for those a function says yes to."""
    wants = wanted if callable(wanted) else frozenset(wanted).__contains__
    return Listener(wanted=wants, on_point=on_point, on_event=on_event)


def ingest(
    connection: sqlite3.Connection, finder: Finder, hears: Listener, *, bite: int = BITE
) -> IngestResult:
    """Take in what is new in the files of a run.

    Raises:
        EnvironmentFailure: a file cannot be read.
        sqlite3.Error: nothing of the present bite was kept; the next call goes on before it.
    """
    result = IngestResult()
    folder = finder.folder
    if not folder.path.is_dir():
        return result  # a share that is not mounted is no reason to forget everything
    known = {
        path: source
        for source, path in connection.execute(
            "SELECT id, path FROM source WHERE run = ?", (folder.id,)
        )
    }
    for file in finder.files():
        if finder.is_read(file) and file.name in known:
            del known[file.name]
            continue
        known.pop(file.name, None)
        result = _add(result, _read_file(connection, folder.id, file, hears, bite))
        finder.read(file)
    for path, source in known.items():
        with transaction(connection):
            _forget_source(connection, folder.id, source)
        result = replace(result, restarted=(*result.restarted, path))
    return result


def _add(left: IngestResult, right: IngestResult) -> IngestResult:
    return IngestResult(
        points=left.points + right.points,
        events=left.events + right.events,
        broken=left.broken + right.broken,
        bytes=left.bytes + right.bytes,
        sampled=left.sampled + right.sampled,
        restarted=left.restarted + right.restarted,
    )


def _read_file(
    connection: sqlite3.Connection, run: str, file: SourceFile, hears: Listener, bite: int
) -> IngestResult:
    result = IngestResult()
    try:
        descriptor = os.open(file.path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return result
    except OSError as error:
        raise _unreadable(file.path, error) from error
    try:
        source = _load_source(connection, run, file)
        if source.attempt != file.attempt or _is_replaced(descriptor, source):
            with transaction(connection):
                _forget_source(connection, run, source.id)
            source = _load_source(connection, run, file)
            result = IngestResult(restarted=(source.path,))
        while (part := _one_bite(connection, descriptor, source, hears, bite)) is not None:
            result = _add(result, part)
    except OSError as error:
        raise _unreadable(file.path, error) from error
    finally:
        os.close(descriptor)
    return result


def _is_replaced(descriptor: int, source: Source) -> bool:
    return source.offset > 0 and _tail(descriptor, source.offset) != source.tail


def _unreadable(file: Path, error: OSError) -> EnvironmentFailure:
    return EnvironmentFailure(f"cannot read {file}: {error.strerror}", hint=f"ls -l {file}")


def _one_bite(
    connection: sqlite3.Connection, descriptor: int, source: Source, hears: Listener, bite: int
) -> IngestResult | None:
    """Read, scan and commit the next bite; None when no whole line is left."""
    broken, begin = source.broken, source.offset
    data, source.offset = next_chunk(source.format, descriptor, begin, bite, source.memory)
    if source.offset == begin:
        return None
    if source.format is None:
        _scan_bytes(source, data)
    else:
        take_found(source, data)
    source.tail = _tail(descriptor, source.offset)
    with transaction(connection):
        _write(connection, source)
    _tell(source, hears)
    points, events = source.clear()
    read = source.offset - begin
    if source.is_sampled:
        return IngestResult(sampled=read)
    return IngestResult(points=points, events=events, broken=source.broken - broken, bytes=read)


def _load_source(connection: sqlite3.Connection, run: str, file: SourceFile) -> Source:
    identifier = key_of(run, file.name)
    row = connection.execute(_GET_SOURCE, (identifier,)).fetchone()
    source = Source(identifier, run, file.name, file.attempt)
    source.format, source.rules, source.begun = file.format, file.rules, file.begun
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


def _tail(descriptor: int, offset: int) -> int:
    """Hash of the last bytes before `offset`; another one if the file was cut short or replaced."""
    start = max(0, offset - _TAIL)
    data = os.pread(descriptor, offset - start, start)
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "big") >> 1


def _scan_bytes(source: Source, data: bytes | None) -> None:
    if data is None:
        source.line += 1
        source.break_line()
    elif data:
        scan(source, data[:-1].split(b"\n"))


def _write(connection: sqlite3.Connection, source: Source) -> None:
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
    if grown:
        refresh_step(connection, source.run)
    if source.events:
        refresh_phase(connection, source.run)


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


def _forget_source(connection: sqlite3.Connection, run: str, source: int) -> None:
    """Delete a file's rows and make the series follow from the files that are left."""
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


def _tell(source: Source, hears: Listener) -> None:
    records: list[Point | Event] = []
    if hears.on_point is not None:
        for stream in source.streams.values():
            if stream.rows and hears.wanted(stream.name):
                records += [source.point_at(row, stream.name) for row in stream.rows]
    if hears.on_event is not None:
        records += map(source.event_at, source.events)
    tell(sorted(records, key=lambda record: record.at.line), hears)


def tell(records: Iterable[Point | Event], hears: Listener) -> None:
    """Hand records to whoever listens."""
    for record in records:
        if isinstance(record, Point):
            if hears.on_point is not None:
                hears.on_point(record)
        elif hears.on_event is not None:
            hears.on_event(record)
