"""Lines of an event file → rows of the index. No database, no files: text in, rows out."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from orchestrator.domain.point import Event, Point, Position

BROKEN_KEPT = 100  # line numbers remembered a file; all are counted
_NAMES = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
_INT64 = 1 << 63
_LATEST = 1e18  # seconds; times beyond it, and NaN, are no times
_read = json.JSONDecoder().raw_decode  # documented, and half the cost of json.loads

# stream, line, segment, step, time, value: the columns of `point`, in order.
PointRow = tuple[int, int, int, int, float, float]
# source, line, name, segment, step, time, data: the columns of `event`, in order.
EventRow = tuple[int, int, str, int, int, float, str]


def key_of(*parts: str) -> int:
    """A 63-bit key that follows from what it names, so that every rebuild gives the same."""
    text = "\0".join(parts).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big") >> 1


@dataclass(slots=True)
class Stream:
    """One metric in one file while it is read; `step` is None before its first point."""

    id: int
    name: str
    segment: int = 0
    step: int | None = None
    rows: list[PointRow] = field(default_factory=list)


@dataclass(slots=True)
class Source:
    """One event file while it is read: the cursor, and the rows that new lines gave."""

    id: int
    run: str
    path: str
    attempt: int
    offset: int = 0
    line: int = 0
    broken: int = 0
    broken_lines: list[int] = field(default_factory=list)
    tail: int = 0
    segment: int = 0
    step: int | None = None
    streams: dict[str, Stream] = field(default_factory=dict)
    events: list[EventRow] = field(default_factory=list)

    def stream(self, name: str) -> Stream | None:
        """Begin the stream of a metric; None if the name is no text that can be stored."""
        if not _is_text(name):
            return None
        begun = self.streams[name] = Stream(key_of(self.run, self.path, name), name)
        return begun

    def go_to(self, step: int) -> None:
        """Take note of the step of the present line; going back begins a segment of events."""
        if self.step is not None and step < self.step:
            self.segment += 1
        self.step = step

    def break_line(self) -> None:
        """Count the present line as one that could not be read, or not wholly."""
        self.broken += 1
        if len(self.broken_lines) < BROKEN_KEPT:
            self.broken_lines.append(self.line)

    def point_at(self, row: PointRow, name: str) -> Point:
        """The domain's point of a row."""
        _, line, segment, step, time, value = row
        return Point(metric=name, value=value, at=self._at(line, segment, step, time))

    def event_at(self, row: EventRow) -> Event:
        """The domain's event of a row."""
        _, line, name, segment, step, time, data = row
        return Event(name=name, data=json.loads(data), at=self._at(line, segment, step, time))

    def _at(self, line: int, segment: int, step: int, time: float) -> Position:
        return Position(
            attempt=self.attempt, segment=segment, step=step, time=time, source=self.path, line=line
        )


def scan(source: Source, lines: Iterable[str]) -> None:
    """Take in whole lines, without their newlines: points, events, broken ones; blanks are none."""
    for text in lines:
        source.line += 1
        try:
            record, end = _read(text)
            if end != len(text) and text[end:].strip():
                record = None
        except (ValueError, RecursionError):
            record = _read_with_space(text)
        if type(record) is dict and "metrics" in record and "event" not in record:
            _take_points(source, record)
        elif type(record) is dict and "event" in record:
            _take_event(source, record)
        elif record is not None or text.strip():
            source.break_line()


def _read_with_space(text: str) -> Any:
    """`raw_decode` does not skip space in front."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _take_points(source: Source, record: dict[str, Any]) -> None:
    step, time, metrics = record.get("step"), record.get("time"), record["metrics"]
    if type(step) is not int:
        step = _step(step)
    if type(time) is not float:
        time = _time(time)
    if step is None or time is None or type(metrics) is not dict:
        source.break_line()
        return
    if not (-_INT64 <= step < _INT64 and -_LATEST < time < _LATEST):
        source.break_line()
        return
    source.go_to(step)
    line = source.line
    streams = source.streams
    whole = True
    for name, value in metrics.items():
        number = value if type(value) is float else _number(value)
        stream = streams.get(name) or source.stream(name)
        if number is None or stream is None:
            whole = False
            continue
        last = stream.step
        if last is not None and step <= last:
            stream.segment += 1
        stream.step = step
        stream.rows.append((stream.id, line, stream.segment, step, time, number))
    if not whole:
        source.break_line()


def _take_event(source: Source, record: dict[str, Any]) -> None:
    """An event without a step stands where the file stands: at the last step named, or at 0."""
    name, data = record["event"], record.get("data")
    time = _time(record.get("time"))
    stated = record.get("step")
    step = (source.step or 0) if stated is None else _step(stated)
    if data is None:
        data = {}
    readable = type(name) is str and _is_text(name) and type(data) is dict
    if not readable or time is None or step is None or not -_INT64 <= step < _INT64:
        source.break_line()
        return
    if stated is not None:
        source.go_to(step)
    text = json.dumps(data, separators=(",", ":"))  # ASCII: half a surrogate pair survives
    source.events.append((source.id, source.line, name, source.segment, step, time, text))


def _step(value: Any) -> int | None:
    if type(value) is int:
        return value
    return int(value) if type(value) is float and value.is_integer() else None


def _time(value: Any) -> float | None:
    number = _number(value) if type(value) in {int, float} else None
    return number if number is not None and -_LATEST < number < _LATEST else None


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        return _NAMES.get(value)
    if not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
