r"""A program's output → points: what it prints for people, read with care.

A piece ends with `\n` or with `\r`, by which progress bars redraw themselves; the line of a point
counts pieces, so that `tr '\r' '\n' < out.log | sed -n 12p` shows line 12.

The step of a point is the one that its line names; else that of the epoch, as long as the file
names no steps; else the last step that was named by a line with values, by a heading or by a bar
that counts training. Values before any of these are configuration, and no points. A counter that
begins anew with the next epoch, or whose bar is drawn anew, goes on from where it was.

A line that `tqdm.write` puts above a bar stands at the bar's next drawing, which follows at once:
the one before may be old, since a bar is drawn ten times a second at most.
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
_PLACE_GROUPS = {"step", "epoch"}  # of a spec's own patterns
_NEWLINE = 10
_CLEARED = b" \r"  # how tqdm overwrites a bar
_MOST_ABOVE = 16  # lines above a bar that wait for it
# A traceback's place, and a warning's: the line below is a line of a program.
_SHOWS_CODE = re.compile(rb'File "[^"]*", line \d|:\d+: \w*Warning: ')
_PROGRESS = {"progress", "rate"}  # series of the bars themselves
_LAST = "last"  # memory: name → [step, value] of its last point

# Only lines with one of these marks are decoded. They are looked for in a whole bite at once, by
# patterns that begin with what the engine finds quickest; none of them reaches into another line.
_MARKS = tuple(
    re.compile(mark)
    for mark in (
        rb"[=:](?=[ \t]{0,8}['\"]?[-+]?(?:\.?\d|[Nn][Aa][Nn]|[Ii][Nn][Ff]))(?<!\d\d[=:])",
        rb"%\|",
        rb"/s[\],]",
        rb"s/it[\],]",
        rb"poch['\" :=\[#]",
        rb"POCH ",
        rb"tep['\" :=\[#]",
        rb"TEP ",
        rb"ter(?:ation)?['\" :=\[#]",
        rb"atch['\" :=\[#]",
        rb"oss [-+.\dn]",
        rb"cc [.\dn]",
        rb"acy [.\dn]",
        rb"\x1b\[",
        rb'File "',
        rb"Warning: ",
    )
)
# What may give a step: before the first, values are configuration and need not be read.
_PLACES = re.compile(rb"(?i)step|epoch|iter|batch|update|\bit ?[=:]|%\||/s|s/it")


def decode(cursor: Cursor, data: bytes | None, rules: Rules) -> Iterator[Found]:
    """Points of whole pieces. A piece without its end is part of one that is too long to read."""
    reader = _Reader(cursor, rules)
    for piece, cleared, ends_line in _pieces(cursor, data or b"", every=bool(rules.patterns)):
        yield from reader.read(piece, cleared=cleared, ends_line=ends_line)


def _pieces(cursor: Cursor, data: bytes, *, every: bool) -> Iterator[tuple[bytes, bool, bool]]:
    """Pieces that may say something, their line in the cursor.

    Each with whether a bar was cleared before it, and whether a newline ends it.
    """
    before = cursor.memory.pop("cleared", False)
    if data.endswith(_CLEARED):
        cursor.memory["cleared"] = True
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
    for start, after in _whole(text, at, end) if every else _marked(text, at, end):
        cursor.line += text.count(b"\n", at, after)
        at = after
        if after - start <= LONGEST:
            cleared = before if start == 0 else data[start - 2 : start] == _CLEARED
            yield text[start : after - 1], cleared, data[after - 1] == _NEWLINE
    cursor.line += text.count(b"\n", at, end)


def _whole(text: bytes, at: int, end: int) -> Iterator[tuple[int, int]]:
    """Every piece, as its begin and the begin of the next one."""
    while at < end:
        start, at = at, text.index(b"\n", at) + 1
        yield start, at


def _marked(text: bytes, at: int, end: int) -> Iterator[tuple[int, int]]:
    """Pieces with a mark in them."""
    marks = (match.start() for mark in _MARKS for match in mark.finditer(text, at, end))
    for place in sorted(marks):
        if place >= at:
            start = text.rfind(b"\n", at, place) + 1 or at
            at = text.index(b"\n", place) + 1
            yield start, at


class _Reader:
    """Reads pieces in the light of what the memory of the cursor says of those before."""

    def __init__(self, cursor: Cursor, rules: Rules) -> None:
        self._cursor = cursor
        self._memory = cursor.memory
        self._rules = rules
        self._patterns = _compiled(rules.patterns)

    def read(self, piece: bytes, *, cleared: bool, ends_line: bool) -> Iterator[Found]:
        """Points of one piece, and those that were held until it came."""
        line = self._cursor.line
        if _SHOWS_CODE.search(piece):
            self._memory["code"] = line + 1
        if line <= self._memory.get("code", 0):
            return
        if not self._patterns and "step" not in self._memory and not _PLACES.search(piece):
            return
        text = plain_text(piece)
        words = self._by_patterns(text)
        if words is None and (bar := read_bar(text)) is not None:
            yield from self._draw(bar, ends_line=ends_line)
            return
        words = words or read_line(text)
        if words.values or words.heading:
            if cleared and words.step is None and "bar" in self._memory:
                yield from self._put_above(words.values)
                return
            yield from self._give_above()
            step = self._step_of(words)
            yield from self._offer(step, words.values, "", ends_line=ends_line)

    def _by_patterns(self, text: str) -> Words | None:
        for pattern in self._patterns:
            match = pattern.search(text[:_PATTERN_LONGEST])
            if match is not None:
                return _words_of(match)
        return None

    def _step_of(self, words: Words) -> int | None:
        """The step of a line, taken note of for those that come after it."""
        memory = self._memory
        step: int | None
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
            at = 0 if epoch is None else epoch.count
            counted = self._counter("batch", step.count, step.total, restarts=at, inner=True)
        elif epoch is not None:
            counted = self._counter("", step.count, step.total, restarts=epoch.count)
        else:
            counted = None
        return step.count if counted is None else counted

    def _counter(
        self, key: str, count: int, total: int | None, restarts: int = 0, *, inner: bool = False
    ) -> int | None:
        """Count on from where a counter of this name began anew; None if there are too many.

        `restarts` is the epoch, 0 if none is named. In the next one a batch that is not beyond the
        last is a new one; a step that is named again may be the same.
        """
        counters: dict[str, list[int]] = self._memory.setdefault("counters", {})
        if key not in counters and len(counters) >= _MOST_COUNTERS:
            return None
        base, last, of, epoch = counters.get(key, [0, 0, 0, restarts])
        behind = count < last or (inner and count == last and restarts > epoch)
        if behind and (restarts == 0 or restarts > epoch):
            base += of or last
        counters[key] = [base, count, total or 0, max(epoch, restarts)]
        return base + count

    def _put_above(self, values: dict[str, float]) -> Iterator[Found]:
        """Keep the values of a line until the bar is drawn again below it."""
        above = self._memory.setdefault("above", [])
        if len(above) >= _MOST_ABOVE:
            yield from self._give_above()
            above = self._memory.setdefault("above", [])
        above.append([self._cursor.line, values])

    def _give_above(self) -> Iterator[Found]:
        """Values of the lines above a bar, at the step that it tells."""
        for line, values in self._memory.pop("above", ()):
            yield from self._give(line, self._memory["step"], values)

    def _draw(self, bar: Bar, *, ends_line: bool) -> Iterator[Found]:
        """Values of one drawing of a bar, and how far it is where it counts training."""
        trains = bar.trains and self._is_main(bar)
        step = self._memory.get("step")
        if trains:
            step = self._counter(bar.key, bar.count, bar.total)
            if step is None:
                return
            self._memory.update(step=step, by="step", bar=True)
            yield from self._give_above()
        values = {name: value for name, value in bar.values.items() if name not in _PROGRESS}
        yield from self._offer(step, values, bar.key or "bar", ends_line=ends_line)
        if trains and step is not None:
            yield from self._progress(bar, step)

    def _is_main(self, bar: Bar) -> bool:
        """Whether a bar counts the steps of the run, rather than files or examples."""
        planned = self._rules.planned
        if bar.values or (bar.total is not None and bar.total == planned):
            return True
        if bar.total is None or planned is not None:
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
        values |= {} if bar.rate is None else {"rate": bar.rate}
        yield from self._give(self._cursor.line, step, values)

    def _offer(
        self, step: int | None, values: dict[str, float], key: str, *, ends_line: bool
    ) -> Iterator[Found]:
        """What is redrawn is held until its line ends or it moves on: the last drawing is true."""
        held = self._memory.pop("held", None)
        if held is not None:
            if (held[1], held[3]) == (step, key):
                values = {**held[2], **values}
            else:
                yield from self._give(*held[:3])
        if step is None or not values:
            return
        if ends_line:
            yield from self._give(self._cursor.line, step, values)
        else:
            self._memory["held"] = [self._cursor.line, step, values, key]

    def _give(self, line: int, step: int, values: dict[str, float]) -> Iterator[Found]:
        """Values that are not told already: a bar is drawn many times at one step."""
        told: dict[str, list[Any]] = self._memory.setdefault(_LAST, {})
        fresh = {}
        for name, value in values.items():
            last = told.get(name)
            if last is None and len(told) >= _MOST_NAMES:
                continue
            if last is not None and self._rules.many and step <= last[0]:
                continue  # another rank was there first
            if repr(last) != repr([step, value]):
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
    read = {name: read_value(text) for name, text in found.items() if name not in _PLACE_GROUPS}
    values = {name: value for name, value in read.items() if value is not None}
    return Words(step=_place(found.get("step")), epoch=_place(found.get("epoch")), values=values)


def _place(text: str | None) -> Count | None:
    digits = "" if text is None else text.replace(",", "").strip()
    count = read_count(digits) if digits.isdecimal() else None
    return None if count is None else Count(count, None)
