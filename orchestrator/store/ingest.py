"""Files of measurements → the index: new bytes of one run, in bites, each with its cursor.

A kill at any instant loses nothing and doubles nothing: rows and the offset behind them are
committed together, and what is after the last newline waits for the rest of its line.
"""

import os
import sqlite3
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from hashlib import blake2b
from math import inf
from pathlib import Path

from orchestrator.domain.point import Event, Point
from orchestrator.errors import EnvironmentFailure
from orchestrator.store import streams
from orchestrator.store.chunks import next_chunk
from orchestrator.store.database import commit_so_far, transaction
from orchestrator.store.finding import Finder, SourceFile
from orchestrator.store.rows import IngestResult
from orchestrator.store.scan import Source, scan, take_found
from orchestrator.workspace import RunFolder

BITE = 4 << 20  # bytes of file a transaction; a longer line is counted as broken and skipped
_TAIL = 256  # bytes before the offset whose hash tells a file from its replacement

Wanted = Collection[str] | Callable[[str], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Who hears of new records, after they are stored and in the order of their lines."""

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


class Intake:
    """The files of one run on their way into the index, from one look to the next.

    What it holds follows from the database, which nobody else writes: after an error, or when a
    transaction around it fails, it must be made anew.
    """

    def __init__(self, connection: sqlite3.Connection, folder: RunFolder) -> None:
        self.folder = folder
        self._connection = connection
        self._finder = Finder(folder)
        self._known = streams.sources_of(connection, folder.id)
        self._sources: dict[str, Source] = {}
        self._stamps: dict[str, tuple[int, tuple[int, int]]] = {}
        self._reach = streams.Reach.of(connection, folder.id)
        self._room = inf  # bytes that may still be read at this look

    def take(self, hears: Listener, *, bite: int = BITE, at_most: float = inf) -> IngestResult:
        """Take in what is new in the files of the run: `at_most` so many bytes, to the next bite.

        Raises:
            EnvironmentFailure: a file cannot be read.
            sqlite3.Error: nothing of the present bite was kept; another one goes on before it.
        """
        result, self._room = IngestResult(), at_most
        if self.folder.path.is_dir():  # a share that is not mounted is no reason to forget it all
            result = self._take(hears, bite)
        return replace(
            result,
            max_step=self._reach.furthest,
            series=self._reach.steps.keys(),
            behind=self._room <= 0,
        )

    def _take(self, hears: Listener, bite: int) -> IngestResult:
        result = IngestResult()
        gone = set(self._known)
        for file in self._finder.files():
            gone.discard(file.name)
            stamp = file.attempt, file.stamp
            if self._room > 0 and self._stamps.get(file.name) != stamp:
                result = _add(result, self._read(file, hears, bite))
                if self._room > 0:
                    self._stamps[file.name] = stamp
        for path in sorted(gone):
            self._forget(path)
            result = replace(result, restarted=(*result.restarted, path))
        return result

    def _read(self, file: SourceFile, hears: Listener, bite: int) -> IngestResult:
        result = IngestResult()
        try:
            descriptor = os.open(file.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return result
        except OSError as error:
            raise _unreadable(file.path, error) from error
        try:
            source = self._source(file)
            if source.attempt != file.attempt or _is_replaced(descriptor, source):
                self._forget(file.name)
                source = self._source(file)
                result = IngestResult(restarted=(source.path,))
            while (
                self._room > 0 and (part := self._bite(descriptor, source, hears, bite)) is not None
            ):
                result = _add(result, part)
                self._room -= part.bytes + part.sampled
        except OSError as error:
            raise _unreadable(file.path, error) from error
        finally:
            os.close(descriptor)
        return result

    def _source(self, file: SourceFile) -> Source:
        """The cursor of a file, with what there is to know for reading it."""
        source = self._sources.get(file.name)
        if source is None:
            source = streams.load_source(self._connection, self.folder.id, file)
            self._sources[file.name] = source
        source.format, source.rules, source.begun = file.format, file.rules, file.begun
        return source

    def _bite(
        self, descriptor: int, source: Source, hears: Listener, bite: int
    ) -> IngestResult | None:
        """Read, scan and store the next bite; None when no whole line is left."""
        broken, begin = source.broken, source.offset
        data, source.offset = next_chunk(source.format, descriptor, begin, bite, source.memory)
        if source.offset == begin:
            return None
        if source.format is None:
            _scan_bytes(source, data)
        else:
            take_found(source, data)
        source.tail = _tail(descriptor, source.offset)
        with transaction(self._connection):
            streams.write(self._connection, source, self._reach)
        read = source.offset - begin
        if read > bite // 2:
            commit_so_far(self._connection)
        self._known.add(source.path)
        _tell(source, hears)
        points, events = source.clear()
        if source.is_sampled:
            return IngestResult(sampled=read)
        return IngestResult(points=points, events=events, broken=source.broken - broken, bytes=read)

    def _forget(self, path: str) -> None:
        with transaction(self._connection):
            streams.forget_source(self._connection, self.folder.id, path)
        self._reach = streams.Reach.of(self._connection, self.folder.id)
        self._known.discard(path)
        self._sources.pop(path, None)
        self._stamps.pop(path, None)


def _add(left: IngestResult, right: IngestResult) -> IngestResult:
    return IngestResult(
        points=left.points + right.points,
        events=left.events + right.events,
        broken=left.broken + right.broken,
        bytes=left.bytes + right.bytes,
        sampled=left.sampled + right.sampled,
        restarted=left.restarted + right.restarted,
    )


def _is_replaced(descriptor: int, source: Source) -> bool:
    return source.offset > 0 and _tail(descriptor, source.offset) != source.tail


def _unreadable(file: Path, error: OSError) -> EnvironmentFailure:
    return EnvironmentFailure(f"cannot read {file}: {error.strerror}", hint=f"ls -l {file}")


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
