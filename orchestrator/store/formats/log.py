r"""A program's output → points: what it prints for people, read with care.

A piece ends with `\n` or with `\r`, by which progress bars redraw themselves; the line of a point
counts pieces, so that `tr '\r' '\n' < out.log | sed -n 12p` shows line 12.

The step of a point is the one that its line names; else that of the epoch, as long as the file
names no steps; else the last step that was named by a line with values, by a heading or by a bar
that counts training. Values before any of these are configuration, and no points. A counter that
begins anew with the next epoch, or whose bar is drawn anew, goes on from where it was.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from orchestrator.store.formats.bars import Bar, read_bar
from orchestrator.store.formats.found import Cursor, Found, Rules
from orchestrator.store.formats.words import (
    Count,
    Words,
    plain_text,
    read_count,
    read_line,
    read_value,
)

LONGEST = 1 << 14  # bytes of a piece that is read; a longer one is passed over
_PATTERN_LONGEST = 2000  # characters of a line that a spec's own patterns see
_MOST_NAMES = 200  # series a log; a program that prints more names prints no metrics
_MOST_COUNTERS = 16
_MOST_STEP = 1 << 62
_LAST = "last"  # memory: name → [step, value] of its last point

# A line without any of these cannot say anything: most of a large log is never decoded.
_PROMISING = re.compile(
    rb"\d%\||\d/s[,\]]|s/it|[Ss][Tt][Ee][Pp]|[Ee][Pp][Oo][Cc][Hh]|[Ii]ter|[Bb]atch"
    rb"|[\w)\]'\"]\s?[=:]\s{0,8}['\"]?(?:[-+]?\.?\d|[-+]?[Nn][Aa][Nn]|[-+]?[Ii][Nn][Ff])"
    rb"|(?:[Ll]oss|[Aa]cc|[Aa]ccuracy) [-+\dnN]"
)


def decode(cursor: Cursor, data: bytes | None, rules: Rules) -> Iterator[Found]:
    """Points of whole pieces. A piece without its end is part of one that is too long to read."""
    reader = _Reader(cursor, rules)
    for piece, ends_line in _pieces(cursor, data or b"", every=bool(rules.patterns)):
        yield from reader.read(piece, ends_line=ends_line)


def _pieces(cursor: Cursor, data: bytes, *, every: bool) -> Iterator[tuple[bytes, bool]]:
    """Promising pieces with their line in the cursor, and whether a newline ends them."""
    text = data.replace(b"\r", b"\n")
    at = 0
    if cursor.memory.get("long"):
        at = text.find(b"\n") + 1
        if at == 0:
            return
        cursor.line += 1
        del cursor.memory["long"]
    end = text.rfind(b"\n") + 1
    if end < len(text):
        cursor.memory["long"] = True
    while at < end:
        start = at if every else _next_promising(text, at, end)
        cursor.line += text.count(b"\n", at, start)
        if start == end:
            return
        at = text.index(b"\n", start) + 1
        cursor.line += 1
        if at - start <= LONGEST:
            yield text[start : at - 1], data[at - 1] == 10


def _next_promising(text: bytes, at: int, end: int) -> int:
    """Where the next line begins that may say something."""
    match = _PROMISING.search(text, at, end)
    return end if match is None else text.rfind(b"\n", at, match.start() + 1) + 1 or at


class _Reader:
    """Reads pieces in the light of what the memory of the cursor says of those before."""

    def __init__(self, cursor: Cursor, rules: Rules) -> None:
        self._cursor = cursor
        self._memory = cursor.memory
        self._rules = rules
        self._patterns = _compiled(rules.patterns)

    def read(self, piece: bytes, *, ends_line: bool) -> Iterator[Found]:
        """Points of one piece, and those that were held until it came."""
        text = plain_text(piece)
        named = self._by_patterns(text)
        if named is not None:
            yield from self._release()
            yield from self._line(named)
            return
        bar = read_bar(text)
        if bar is None:
            words = read_line(text)
            if words.values or words.heading:
                yield from self._release()
                yield from self._line(words)
            return
        yield from self._draw(bar)
        if ends_line:
            yield from self._release()

    def _by_patterns(self, text: str) -> Words | None:
        for pattern in self._patterns:
            match = pattern.search(text[:_PATTERN_LONGEST])
            if match is not None:
                return _words_of(match)
        return None

    def _line(self, words: Words) -> Iterator[Found]:
        step = self._step_of(words)
        if step is not None and words.values:
            yield from self._give(self._cursor.line, step, words.values)

    def _step_of(self, words: Words) -> int | None:
        """The step of a line, taken note of for those that come after it."""
        memory = self._memory
        if words.step is not None:
            step = self._counted(words.step, words.epoch)
            memory.update(step=step, by="step")
        elif words.epoch is not None and memory.get("by") != "step":
            if not words.epoch.whole:
                return None  # half an epoch is no step
            memory.update(step=words.epoch.count, by="epoch")
        step = memory.get("step")
        return step if step is not None and abs(step) < _MOST_STEP else None

    def _counted(self, step: Count, epoch: Count | None) -> int:
        """The step, going on over epochs where its counter begins anew with each of them."""
        if step.inner:
            counted = self._counter("batch", step.count, step.total)
        elif epoch is not None:
            counted = self._counter("", step.count, step.total, restarts=epoch.count)
        else:
            counted = None
        return step.count if counted is None else counted

    def _counter(self, key: str, count: int, total: int | None, restarts: int = 0) -> int | None:
        """Count on from where a counter of this name began anew; None if there are too many."""
        counters: dict[str, list[int]] = self._memory.setdefault("counters", {})
        if key not in counters and len(counters) >= _MOST_COUNTERS:
            return None
        base, last, of, epoch = counters.get(key, [0, 0, 0, restarts])
        if count < last and (restarts == 0 or restarts > epoch):
            base += of or last
        counters[key] = [base, count, total or 0, max(epoch, restarts)]
        return base + count

    def _draw(self, bar: Bar) -> Iterator[Found]:
        """A bar's values are held until it moves on: the last drawing at a step is the true one."""
        trains = bar.trains and self._is_main(bar)
        step = self._memory.get("step")
        if trains:
            step = self._counter(bar.key, bar.count, bar.total)
            if step is None:
                return
            self._memory.update(step=step, by="step")
        held = self._memory.get("held")
        if held is not None and (held[1], held[3]) != (step, bar.key):
            yield from self._release()
        if trains and step is not None:
            yield from self._progress(bar, step)
        if step is not None and bar.values:
            self._memory["held"] = [self._cursor.line, step, bar.values, bar.key]

    def _is_main(self, bar: Bar) -> bool:
        """Whether a bar counts the steps of the run, rather than files or examples."""
        if bar.values or bar.total == self._rules.planned:
            return bar.count > 0 or bar.total is not None
        if bar.total is None or self._rules.planned is not None:
            return False
        largest: int = max(self._memory.get("largest", 0), bar.total)
        self._memory["largest"] = largest
        return bar.total == largest

    def _progress(self, bar: Bar, step: int) -> Iterator[Found]:
        """How far the bar is and how fast, at each percent."""
        if not bar.total:
            return
        percent = 100 * bar.count // bar.total
        if self._memory.get("percent") == [bar.key, percent]:
            return
        self._memory["percent"] = [bar.key, percent]
        values = {"progress": bar.count / bar.total}
        if bar.rate is not None:
            values["rate"] = bar.rate
        yield from self._give(self._cursor.line, step, values)

    def _release(self) -> Iterator[Found]:
        held = self._memory.pop("held", None)
        if held is not None:
            line, step, values, _ = held
            yield from self._give(line, step, values)

    def _give(self, line: int, step: int, values: dict[str, float]) -> Iterator[Found]:
        """Values that are not told already: a bar is drawn many times at one step."""
        told: dict[str, list[Any]] = self._memory.setdefault(_LAST, {})
        fresh = {}
        for name, value in values.items():
            if name not in told and len(told) >= _MOST_NAMES:
                continue
            if repr(told.get(name)) != repr([step, value]):
                fresh[name] = value
                told[name] = [step, value]
        if fresh:
            yield Found(line, step, None, fresh)


@lru_cache(maxsize=64)
def _compiled(patterns: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern) for pattern in patterns)


def _words_of(match: re.Match[str]) -> Words:
    """What a spec's own pattern found: `step`, `epoch` and values by the names of its groups."""
    found = {name: text for name, text in match.groupdict().items() if text is not None}
    values = {
        name: read_value(text) for name, text in found.items() if name not in {"step", "epoch"}
    }
    return Words(step=_whole(found.get("step")), epoch=_whole(found.get("epoch")), values=values)


def _whole(text: str | None) -> Count | None:
    digits = "" if text is None else text.replace(",", "").strip()
    return Count(read_count(digits), None) if digits.isdecimal() else None
