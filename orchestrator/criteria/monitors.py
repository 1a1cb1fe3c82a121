"""The state behind a verdict: small, and the same for every order, batching and replay of input.

Each monitor keeps minima and maxima by position only. Such a state is a join-semilattice: to
observe is commutative, associative and idempotent, so a verdict is a function of the set of
records and of nothing else.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from orchestrator.domain.point import Event, Point

_KEPT_HITS = 20
_SHOWN = 200  # characters of a line around the hit
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


@dataclass(slots=True)
class PointMonitor:
    """What one clause must know of one series (or, for `no nan`, of all of them).

    `test` says whether a value meets the clause; points after step `until` count only as `past`.
    """

    test: Callable[[float], bool]
    until: int | None = None
    latest: Point | None = None
    first_good: Point | None = None
    first_bad: Point | None = None
    first_finite: Point | None = None
    lowest: Point | None = None
    highest: Point | None = None
    past: bool = False

    def observe(self, point: Point) -> None:
        """Take in one point, in constant time."""
        if self.until is not None and point.at.step > self.until:
            self.past = True
            return
        if self.latest is None or _before(self.latest, point):
            self.latest = point
        if self.test(point.value):
            self.first_good = _earlier(self.first_good, point)
        else:
            self.first_bad = _earlier(self.first_bad, point)
        if math.isfinite(point.value):
            self.first_finite = _earlier(self.first_finite, point)
            self._stretch(point)

    def _stretch(self, point: Point) -> None:
        """Widen the range; of equal values the earliest point is kept."""
        low, high, value = self.lowest, self.highest, point.value
        if low is None or value < low.value or (value == low.value and _before(point, low)):
            self.lowest = point
        if high is None or value > high.value or (value == high.value and _before(point, high)):
            self.highest = point


def _earlier(kept: Point | None, point: Point) -> Point:
    return point if kept is None or _before(point, kept) else kept


def _before(point: Point, other: Point) -> bool:
    """Total order of points; the first keys are compared alone, as they nearly always decide."""
    at, than = point.at, other.at
    if at.attempt != than.attempt:
        return at.attempt < than.attempt
    if at.segment != than.segment:
        return at.segment < than.segment
    if at.step != than.step:
        return at.step < than.step
    return _key(point) < _key(other)


def _key(point: Point) -> tuple[object, ...]:
    """The rest of the order; the last three settle records that claim the same place."""
    at, value = point.at, point.value
    nan = math.isnan(value)
    return (at.time, at.source, at.line, point.metric, nan, 0.0 if nan else value)


@dataclass(slots=True)
class EventMonitor:
    """The first event that matches."""

    matches: Callable[[Event], bool]
    first: Event | None = None

    def observe(self, event: Event) -> None:
        """Take in one event."""
        if self.matches(event) and (self.first is None or event.at < self.first.at):
            self.first = event


@dataclass(frozen=True, slots=True, order=True)
class Hit:
    """A log line that matches a pattern."""

    source: str
    line: int
    text: str


@dataclass(slots=True)
class LogMonitor:
    """Lines of logs that match a pattern; knows which lines it has seen, as merged intervals."""

    pattern: re.Pattern[str]
    seen: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    hits: tuple[Hit, ...] = ()

    def observe(self, source: str, first_line: int, text: str) -> None:
        """Take in complete lines of one log; `first_line` counts from 1."""
        lines = text.count("\n") + (0 if text.endswith("\n") or not text else 1)
        seen = self.seen.setdefault(source, [])
        if lines:
            _cover(seen, first_line, first_line + lines)
        line, counted = first_line, 0
        for match in self.pattern.finditer(text):
            line += text.count("\n", counted, match.start())
            counted = match.start()
            if not self._keep(source, line, _line_around(text, match)):
                return

    def _keep(self, source: str, line: int, text: str) -> bool:
        """Keep the first hits by place; False once a later place can no longer be among them."""
        hit = Hit(source, line, text)
        if hit in self.hits:
            return True
        kept = sorted({*self.hits, hit})
        self.hits = tuple(kept[:_KEPT_HITS])
        return hit in self.hits

    @property
    def lines(self) -> int:
        """How many different lines were seen."""
        return sum(end - start for spans in self.seen.values() for start, end in spans)


def _line_around(text: str, match: re.Match[str]) -> str:
    start = text.rfind("\n", 0, match.start()) + 1
    end = text.find("\n", match.end())
    line = text[start : end if end >= 0 else len(text)]
    start = max(0, match.start() - start - _SHOWN // 2)
    return _CONTROL.sub(" ", line[start : start + _SHOWN]).strip()


def _cover(spans: list[tuple[int, int]], start: int, end: int) -> None:
    """Add the lines [start, end) to sorted spans that do not touch each other."""
    if spans and spans[-1][0] <= start <= spans[-1][1]:  # the common case: a log that grows
        spans[-1] = (spans[-1][0], max(spans[-1][1], end))
        return
    merged: list[tuple[int, int]] = []
    for low, high in sorted([*spans, (start, end)]):
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    spans[:] = merged


# One place for what a log says when something went wrong. Every pattern stays within a line.
LOG_PATTERNS = {
    "oom": re.compile(
        r"CUDA out of memory|OutOfMemoryError|CUDA_ERROR_OUT_OF_MEMORY|CUBLAS_STATUS_ALLOC_FAILED"
        r"|RESOURCE_EXHAUSTED|std::bad_alloc|\bMemoryError\b|Cannot allocate memory"
        r"|DefaultCPUAllocator: (?:can't|not enough)|oom-kill|[Oo]ut of memory"
    ),
    "crash": re.compile(
        r"Segmentation fault|core dumped|Fatal Python error|Bus error|SIGSEGV|SIGABRT"
        r"|terminate called after throwing|ChildFailedError"
    ),
    "error": re.compile(
        r"Traceback \(most recent call last\)"
        r"|^[ \t]*(?:[\w.]*\.)?[A-Z]\w*(?:Error|Exception)(?::|$)"
        r"|\b(?:ERROR|FATAL|CRITICAL)\b|Segmentation fault|core dumped|Fatal Python error",
        re.MULTILINE,
    ),
}
