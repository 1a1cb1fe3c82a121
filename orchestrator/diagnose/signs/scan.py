"""Reads a log as it grows and keeps the lines that mean something; memory is bounded.

Most lines of a log differ from others only in their numbers. So a piece of it is first reduced to
letters: what is left of its lines are a few shapes, each of which is looked at once. Only lines
whose shape holds a word of a sign are read as text.
"""

import copy
import re
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from orchestrator.diagnose.case import Hit, Hits
from orchestrator.diagnose.signs.kinds import SIGNS

_KEPT = 20  # of each kind, of the first and of the last
_SHOWN = 2_000  # characters of a hit
_LONGEST = 16_384  # bytes of a line that are looked at
_PIECE = 1 << 20  # characters that are looked at at a time
_SHORT = 300  # bytes of a shape that is remembered

_LETTERS = b"abcdefghijklmnopqrstuvwxyz"
_LOWER = bytes(range(256)).lower()
_NO_LETTERS = bytes(set(range(256)) - set(_LETTERS + _LETTERS.upper() + b"\n"))
_ESCAPE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\))")
_UNSEEN = bytes((*range(9), *range(11, 32), 127))

# Each word with the kinds of lines that hold it, and with the probe that finds them, if it has one.
_WORDS: dict[bytes, list[tuple[str, re.Pattern[bytes] | None]]] = {}
for _name, _sign in SIGNS.items():
    for _word in _sign.words:
        _WORDS.setdefault(_word.encode(), []).append((_name, None))
    for _word, _probe in _sign.probes.items():
        _WORDS.setdefault(_word.encode(), []).append((_name, _probe))
_FLOODS = [name for name, sign in SIGNS.items() if sign.flood]
_ANY_WORD = re.compile(b"|".join(_WORDS))


@dataclass(slots=True, kw_only=True)
class _Found:
    """A hit that may still take lines behind it."""

    kind: str
    attempt: int
    source: str
    line: int
    text: str
    wants: int

    def takes(self, text: str, kinds: frozenset[str]) -> bool:
        """Add a line that belongs to it; False if it is complete."""
        if self.kind in kinds:
            return False
        if not text.strip():  # also what a carriage return before a newline makes
            return True
        self.text = f"{self.text}\n{text}"[:_SHOWN]
        self.wants -= 1
        return self.wants > 0


@dataclass(slots=True, kw_only=True)
class _Kind:
    """What is kept of one kind."""

    total: int = 0
    first: list[_Found] = field(default_factory=list)
    last: deque[_Found] = field(default_factory=lambda: deque(maxlen=_KEPT))

    def add(self, found: _Found) -> None:
        self.total += 1
        (self.first if len(self.first) < _KEPT else self.last).append(found)


@dataclass(slots=True, kw_only=True)
class _Place:
    """How far a log was read: `rest` is the begin of the line `line`, whose end did not come yet.

    `open` are hits that wait for lines behind them.
    """

    line: int = 1
    rest: bytes = b""
    open: list[_Found] = field(default_factory=list)


class LogScan:
    """The lines of a run's logs that mean something, by kind of sign."""

    def __init__(self) -> None:
        self._places: dict[tuple[int, str], _Place] = {}
        self._kinds: dict[str, _Kind] = {}

    def feed(self, attempt: int, source: str, first_line: int, text: str) -> None:
        """Read on in a log.

        `text` may begin and end within a line. `first_line` is the number of the line in which it
        begins, from 1; each newline and each carriage return ends a line. Where text was left out,
        the number jumps, and what came before counts as complete.
        """
        place = self._places.setdefault((attempt, source), _Place(line=first_line))
        if first_line != place.line:
            self._end(place, attempt, source)
            place.line = first_line
        for at in range(0, len(text), _PIECE):
            self._read(place, attempt, source, text[at : at + _PIECE])

    def hits(self) -> Mapping[str, Hits]:
        """What was found so far, in the order in which it was fed; kinds without hits are absent.

        A last line without its end counts as it stands.
        """
        ended = LogScan()
        ended._places, ended._kinds = copy.deepcopy((self._places, self._kinds))
        for (attempt, source), place in ended._places.items():
            ended._end(place, attempt, source)
        return {
            kind: Hits(
                total=kept.total,
                first=tuple(map(_hit, kept.first)),
                last=tuple(map(_hit, kept.last)),
            )
            for kind, kept in ended._kinds.items()
        }

    def _end(self, place: _Place, attempt: int, source: str) -> None:
        if place.rest:
            self._read(place, attempt, source, "\n")
        place.open = []

    def _read(self, place: _Place, attempt: int, source: str, text: str) -> None:
        raw = place.rest + text.encode(errors="replace").replace(b"\r", b"\n")
        whole = raw.rfind(b"\n") + 1
        place.rest = raw[whole:][:_LONGEST]
        if not whole:
            return
        raw = raw[:whole]
        marks = self._thinned(_marks(raw))
        lines = raw.split(b"\n")[:-1] if marks or place.open else ()
        at = 0
        for mark in (*sorted(marks), len(lines)):
            while place.open and at < mark:
                _look(place, _clean(lines[at]), frozenset())
                at += 1
            if mark < len(lines):
                text = _clean(lines[mark])
                kinds = frozenset(kind for kind in marks[mark] if SIGNS[kind].means(text))
                _look(place, text, kinds)
                for kind in sorted(kinds):
                    found = _Found(
                        kind=kind,
                        attempt=attempt,
                        source=source,
                        line=place.line + mark,
                        text=text[:_SHOWN],
                        wants=SIGNS[kind].more,
                    )
                    self._kinds.setdefault(kind, _Kind()).add(found)
                    if found.wants:
                        place.open.append(found)
                at = mark + 1
        place.line += raw.count(b"\n")

    def _thinned(self, marks: dict[int, set[str]]) -> dict[int, set[str]]:
        """Without those of a flood that nobody would keep, which are counted."""
        for name in _FLOODS:
            kept = self._kinds.get(name)
            if kept is None or len(kept.first) < _KEPT:
                continue
            places = sorted(at for at, kinds in marks.items() if name in kinds)
            for at in places[: -2 * _KEPT]:  # some of the last may only look like it
                kept.total += 1
                marks[at].discard(name)
        return {at: kinds for at, kinds in marks.items() if kinds}


def _look(place: _Place, text: str, kinds: frozenset[str]) -> None:
    place.open = [found for found in place.open if found.takes(text, kinds)]


def _hit(found: _Found) -> Hit:
    return Hit(attempt=found.attempt, source=found.source, line=found.line, text=found.text)


def _clean(line: bytes) -> str:
    """A line as text, without escape sequences and other characters that nobody sees."""
    plain = _plain(line[:_LONGEST]).translate(None, _UNSEEN)
    return plain.decode(errors="replace").rstrip()


def _plain(raw: bytes) -> bytes:
    return _ESCAPE.sub(b"", raw) if b"\x1b" in raw else raw


def _marks(raw: bytes) -> dict[int, set[str]]:
    """Of whole lines, the index of each that may be a sign, with the kinds that it may be."""
    plain = _plain(raw)
    shapes = plain.translate(_LOWER, _NO_LETTERS).split(b"\n")[:-1]
    words = {shape: _words_of(shape) for shape in set(shapes)}
    marks: dict[int, set[str]] = defaultdict(set)
    direct = {shape: kinds for shape, held in words.items() if (kinds := _direct(held))}
    if direct:
        for index, shape in enumerate(shapes):
            if shape in direct:
                marks[index] |= direct[shape]
    held = frozenset().union(*words.values())
    probes = {(kind, probe) for word in held for kind, probe in _WORDS[word] if probe}
    low = plain.translate(_LOWER) if probes else b""
    for kind, probe in probes:
        index = at = 0
        for match in probe.finditer(low):
            index += low.count(b"\n", at, match.start())
            at = match.start()
            marks[index].add(kind)
    return marks


def _direct(words: frozenset[bytes]) -> frozenset[str]:
    return frozenset(kind for word in words for kind, probe in _WORDS[word] if probe is None)


def _words_of(shape: bytes) -> frozenset[bytes]:
    """The words that a line holds, by its letters alone."""
    return _remembered(shape) if len(shape) <= _SHORT else _words_in(shape)


def _words_in(shape: bytes) -> frozenset[bytes]:
    if _ANY_WORD.search(shape) is None:
        return frozenset()
    return frozenset(word for word in _WORDS if word in shape)


_remembered = lru_cache(maxsize=20_000)(_words_in)
