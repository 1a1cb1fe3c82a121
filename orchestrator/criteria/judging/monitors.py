"""Events and log lines: monitors that are the same for every order, batching and replay of input.

Each monitor keeps minima and maxima by position only. Such a state is a join-semilattice: to
observe is commutative, associative and idempotent, so a verdict is a function of the set of
records and of nothing else.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from orchestrator.domain.point import Event

_KEPT_HITS = 20
_SHOWN = 200  # characters of a line around the hit
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


@dataclass(slots=True)
class EventMonitor:
    """The first and the last event that match."""

    matches: Callable[[Event], bool]
    first: Event | None = None
    last: Event | None = None

    def observe(self, event: Event) -> None:
        """Take in one event."""
        if not self.matches(event):
            return
        if self.first is None or event.at < self.first.at:
            self.first = event
        if self.last is None or event.at > self.last.at:
            self.last = event


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


def literal(text: str) -> re.Pattern[str]:
    """The pattern that only this text matches."""
    return re.compile(re.escape(text))


def _line_around(text: str, match: re.Match[str]) -> str:
    # A progress bar ends its line by a return only; what came with it depends on when it was read.
    start = max(text.rfind("\n", 0, match.start()), text.rfind("\r", 0, match.start())) + 1
    end = min((at for sign in "\n\r" if (at := text.find(sign, match.end())) >= 0), default=None)
    line = text[start:end]
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
