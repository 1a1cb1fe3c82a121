"""Lines of an event file, or what a decoder found → rows of the index. No database, no files."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from orchestrator.domain.point import Event, Point, Position
from orchestrator.store.formats import NO_RULES, Cursor, Format, Found, Rules
from orchestrator.store.formats.values import INT64, LATEST, as_number, as_step, as_time, is_text

try:
    # Three times as quick as json. It refuses what json reads otherwise (NaN, half surrogate
    # pairs, numbers beyond float), and such lines go to json: the rows are the same without it.
    from orjson import loads as quick_loads
except ImportError:

    def quick_loads(text: bytes, /) -> Any:  # type: ignore[misc] # stands in for orjson's
        """Read one JSON value, strictly; half the cost of `json.loads`."""
        record, end = _raw_decode(text.decode())
        if end != len(text):
            raise ValueError("something follows the value")
        return record


BROKEN_KEPT = 100  # line numbers remembered a file; all are counted
BEFORE = -INT64 - 1  # the step of a file or a metric that has named none yet: below all others
_raw_decode = json.JSONDecoder().raw_decode

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
    """One metric in one file while it is read."""

    id: int
    name: str
    segment: int = 0
    step: int = BEFORE
    is_stored: bool = False
    rows: list[PointRow] = field(default_factory=list)


@dataclass(slots=True)
class Source:
    """One file while it is read: the cursor, and the rows that new lines gave.

    `format` is None for event files of our own, whose points have times; where a line of another
    format has none, it is as old as the attempt: `begun`.
    """

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
    step: int = BEFORE
    memory: dict[str, Any] = field(default_factory=dict)
    format: Format | None = None
    rules: Rules = NO_RULES
    begun: float = 0.0
    streams: dict[str, Stream] = field(default_factory=dict)

    @property
    def is_sampled(self) -> bool:
        """Whether samples lie in it: several of a step are no replay of that step."""
        return self.path.endswith("telemetry.jsonl")

    events: list[EventRow] = field(default_factory=list)

    def stream(self, name: str) -> Stream | None:
        """Begin the stream of a metric; None if the name is no text that can be stored."""
        if not is_text(name):
            return None
        begun = self.streams[name] = Stream(key_of(self.run, self.path, name), name)
        return begun

    def go_to(self, step: int) -> None:
        """Take note of the step of the present line; going back begins a segment of events."""
        if step < self.step:
            self.segment += 1
        self.step = step

    def break_line(self) -> None:
        """Count the present line as one that could not be read, or not wholly."""
        self.broken += 1
        if len(self.broken_lines) < BROKEN_KEPT:
            self.broken_lines.append(self.line)

    def clear(self) -> tuple[int, int]:
        """Let go of rows that are stored; return how many points and events they were."""
        points, events = sum(len(stream.rows) for stream in self.streams.values()), len(self.events)
        self.events = []
        for stream in self.streams.values():
            stream.rows = []
        return points, events

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


def scan(source: Source, lines: Iterable[bytes]) -> None:
    """Take in whole lines, without their newlines: points, events, broken ones; blanks are none."""
    loads = quick_loads
    for text in lines:
        source.line += 1
        try:
            record = loads(text)
            step, time, metrics = record["step"], record["time"], record["metrics"]
            if not (
                type(step) is int
                and type(time) is float
                and type(metrics) is dict
                and -INT64 <= step < INT64
                and -LATEST < time < LATEST
                and "event" not in record
            ):
                _take_other(source, text)
                continue
        except (ValueError, KeyError, TypeError, RecursionError):
            _take_other(source, text)
            continue
        _take_points(source, step, time, metrics)


def take_found(source: Source, data: bytes | None) -> None:
    """Take in the next bite of a file that is not ours, as its format reads it."""
    form = source.format
    if form is None:
        return
    cursor = Cursor(source.line, source.memory)
    for found in form.decode(cursor, data, source.rules):
        source.line = found.line
        _take(source, form, found)
    source.line = cursor.line


def _take(source: Source, form: Format, found: Found) -> None:
    step = as_step(found.step)
    if found.metrics is None or step is None:
        source.break_line()
        return
    time = source.begun if found.time is None else found.time
    metrics = {form.prefix + name: value for name, value in found.metrics.items()}
    _take_points(source, step, time, metrics)


def _take_other(source: Source, text: bytes) -> None:
    """Whatever is not the plain line of points that fills almost all of a file."""
    try:
        # As text: for bytes, json would also guess at UTF-16.
        record = json.loads(text.decode())
    except (ValueError, RecursionError):
        record = None
    if type(record) is dict and "event" in record:
        _take_event(source, record)
    elif type(record) is dict and type(record.get("metrics")) is dict:
        step, time = as_step(record.get("step")), as_time(record.get("time"))
        if step is None or time is None:
            source.break_line()
        else:
            _take_points(source, step, time, record["metrics"])
    elif text.strip():
        source.break_line()


def _take_points(source: Source, step: int, time: float, metrics: dict[str, Any]) -> None:
    if step < source.step:
        source.segment += 1
    source.step = step
    line = source.line
    streams = source.streams
    lowest = step + 1 if source.is_sampled else step
    whole = True
    for name, value in metrics.items():
        number = value if type(value) is float else as_number(value)
        if number is None or (stream := streams.get(name) or source.stream(name)) is None:
            whole = False
            continue
        if lowest <= stream.step:
            stream.segment += 1
        stream.step = step
        stream.rows.append((stream.id, line, stream.segment, step, time, number))
    if not whole:
        source.break_line()


def _take_event(source: Source, record: dict[str, Any]) -> None:
    """An event without a step stands where the file stands: at the last step named, or at 0."""
    name, data, stated = record["event"], record.get("data"), record.get("step")
    reached = 0 if source.step == BEFORE else source.step
    step = reached if stated is None else as_step(stated)
    time = as_time(record.get("time"))
    text = _event_text(data)
    named = type(name) is str and is_text(name)
    if not named or step is None or time is None or text is None:
        source.break_line()
        return
    if stated is not None:
        source.go_to(step)
    source.events.append((source.id, source.line, name, source.segment, step, time, text))


def _event_text(data: Any) -> str | None:
    """An event's data as JSON in ASCII, so that half a surrogate pair survives as it was."""
    if data is not None and type(data) is not dict:
        return None
    try:
        return json.dumps(data or {}, separators=(",", ":"))
    except RecursionError:
        return None
