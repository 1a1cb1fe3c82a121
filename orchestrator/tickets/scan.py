"""One pass over the lines of a ticket: where headings, fields, boxes, fences and markers stand."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from typing import NamedTuple

# Texts are taken to the end of the line and stripped in code: a lazy match before trailing spaces
# takes quadratic time on a hostile line.
_HEADING = re.compile(r" {0,3}(?P<level>#{1,6})(?:[ \t]+(?P<text>.*))?")
_FIELD = re.compile(
    r" {0,3}\*\*(?P<name>[^*:]{1,40}?)[ \t]*(?:\*\*[ \t]*:|:[ \t]*\*\*)[ \t]*(?P<text>.*)"
)
_BOX = re.compile(r"[ \t]*(?:[-*+]|\d{1,9}[.)])[ \t]+\[(?P<mark>[ xX])\](?:[ \t]+(?P<text>.*))?")
_FENCE = re.compile(r"[ \t]*(?P<fence>`{3,}(?=[^`]*$)|~{3,}).*")
_MARKER = re.compile(
    r" {0,3}<!--[ \t]*exp:(?P<edge>begin|end)[ \t]+(?P<name>[A-Za-z0-9][\w.-]*)[ \t]*-->[ \t]*",
    re.ASCII,
)
# What ends a paragraph, so that a box's text does not continue over it.
_INTERRUPT = re.compile(
    r"[ \t]*(?:[-*+][ \t]|\d{1,9}[.)][ \t]|>|\||<|#{1,6}[ \t]|([-*_])[ \t]*(?:\1[ \t]*){2,}$)"
)
_BULLETS = frozenset("*-+0123456789")
_PATTERNS = {
    "#": ("heading", _HEADING),
    "`": ("fence", _FENCE),
    "~": ("fence", _FENCE),
    "<": ("marker", _MARKER),
    "**": ("field", _FIELD),
} | dict.fromkeys(_BULLETS, ("box", _BOX))
_BLANKS = " \t\ufeff"
_LOOK = frozenset("#`~<" + _BLANKS)
_NOTHING = ("", _BOX)


class Mark(NamedTuple):
    """A line that means something: `kind` is heading, field, box, fence or marker."""

    kind: str
    line: int
    match: re.Match[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Text of ours between two markers; lines count from 0, both marker lines included."""

    name: str
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What the pass found; `unclosed` is the line of a fence or comment that never ends."""

    marks: list[Mark]
    unclosed: int | None


def split_lines(text: str) -> list[str]:
    r"""Lines with their own endings; only \n, \r\n and \r end a line, as in Markdown."""
    return StringIO(text, newline="").readlines()


def content(line: str) -> str:
    """A line without its ending."""
    return line.rstrip("\r\n")


def scan(lines: Sequence[str], first: int = 0) -> Scan:
    """Find the marks of all lines from `first` on; what stands in fences or comments is no mark."""
    marks: list[Mark] = []
    unclosed = None
    fence = ""  # the characters that opened the fence we are in
    resume = 0  # the line behind a comment
    header = True  # bold fields are looked for above the first section only
    for number in _candidates(lines, first):
        line = lines[number]
        body = line.lstrip(_BLANKS) if line[0] in _BLANKS else line
        if fence:
            if body.startswith(fence) and not body.strip().strip(fence[0]):
                fence = ""
            continue
        kind, pattern = _PATTERNS.get(body[:2] if body[:2] == "**" else body[:1], _NOTHING)
        if kind == "" or number < resume or (kind == "field" and not header):
            continue
        match = pattern.fullmatch(line.rstrip("\r\n"), number == 0 and line[0] == "\ufeff")
        if match:
            marks.append(Mark(kind, number, match))
            if kind == "fence":
                fence, unclosed = match["fence"], number
            elif kind == "heading" and header:
                header = len(match["level"]) == 1
        elif kind == "marker" and body.startswith("<!--"):
            resume, unclosed = _comment_end(lines, number) + 1, number
    open_end = fence != "" or resume > len(lines)
    return Scan(marks=marks, unclosed=unclosed if open_end else None)


def _candidates(lines: Sequence[str], first: int) -> list[int]:
    """The lines worth a look. Most are prose or plain list items, and this is the fastest way."""
    return [
        number
        for number, line in enumerate(lines[first:], first)
        if line[0] in _LOOK or (line[0] in _BULLETS and ("[" in line or line[:2] == "**"))
    ]


def _comment_end(lines: Sequence[str], first: int) -> int:
    """The line where the comment begun on line `first` ends; behind the last one if it does not."""
    return next((n for n in range(first, len(lines)) if "-->" in lines[n]), len(lines))


def continuation(lines: Sequence[str], first: int, end: int) -> list[str]:
    """Lines that continue the paragraph begun above `first`, up to line `end`, stripped."""
    texts = []
    for line in lines[first:end]:
        text = line.strip()
        if not text or _INTERRUPT.match(content(line)):
            break
        texts.append(text)
    return texts


def pair_blocks(marks: Sequence[Mark]) -> tuple[list[Block], str | None]:
    """Blocks between balanced markers, and what is wrong with the markers if they do not balance.

    A begin without its end, an end without its begin, nesting and a repeated name are wrong.
    """
    blocks: dict[str, Block] = {}
    problems: list[str] = []
    opened: Mark | None = None
    for mark in (mark for mark in marks if mark.kind == "marker"):
        name, line = mark.match["name"], mark.line + 1
        if mark.match["edge"] == "begin":
            problems += _unended(opened)
            opened = mark
        elif opened is None or opened.match["name"] != name:
            problems.append(f"block {name} ends on line {line} but does not begin")
        else:
            if name in blocks:
                problems.append(f"block {name} stands a second time on line {opened.line + 1}")
            blocks.setdefault(name, Block(name=name, first=opened.line, last=mark.line))
            opened = None
    problems += _unended(opened)
    return list(blocks.values()), problems[0] if problems else None


def _unended(opened: Mark | None) -> list[str]:
    if opened is None:
        return []
    return [f"block {opened.match['name']} begins on line {opened.line + 1} but does not end"]
