"""The parts of a ticket's text and the characters they take: fields, headings, boxes, blocks."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from orchestrator.domain.ticket import Checkbox
from orchestrator.tickets.front_matter import front_matter_end, read_entries
from orchestrator.tickets.scan import (
    Block,
    Mark,
    content,
    continuation,
    pair_blocks,
    scan,
    split_lines,
)
from orchestrator.tickets.words import box_keys

_CLOSING_HASHES = re.compile(r"(?:^|[ \t])#+$")


# Named tuples, made three times as fast as frozen dataclasses: ten thousand tickets hold a
# quarter of a million of them.
class Field(NamedTuple):
    """A header field or a key of the front matter; the span covers the value as it is written.

    `style` is header, or the front matter's scalar, flow, block or other. `line` counts from 1.
    """

    name: str
    value: str
    start: int
    end: int
    line: int
    style: str


class Heading(NamedTuple):
    """A heading; `start` and `end` span its line without the ending. `line` counts from 1."""

    level: int
    text: str
    start: int
    end: int
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where everything stands in a text, in characters from its beginning.

    `box_marks` holds, for each of `boxes`, the place of the character between its brackets.
    `blocks` maps the names of our blocks to their spans, markers included. `title` is the first
    `#` heading. `front_end` is where the front matter's closing line begins. `unclosed` is the
    line of a fence or comment that never ends, `block_problem` what is wrong with our markers.
    """

    fields: tuple[Field, ...] = ()
    headings: tuple[Heading, ...] = ()
    title: Heading | None = None
    boxes: tuple[Checkbox, ...] = ()
    box_marks: tuple[int, ...] = ()
    blocks: dict[str, tuple[int, int]]
    front_end: int | None = None
    unclosed: int | None = None
    block_problem: str | None = None


def lay_out(text: str) -> Layout:
    """Find the parts of a ticket; any text has a layout, an empty one if need be."""
    lines = split_lines(text)
    starts = [0, *accumulate(map(len, lines))]
    front = front_matter_end(lines)
    found = scan(lines, 0 if front is None else front + 1)
    blocks, problem = pair_blocks(found.marks)
    marks = _outside(found.marks, blocks)
    headings = [_heading(mark, starts) for mark in marks if mark.kind == "heading"]
    title = next((heading for heading in headings if heading.level == 1), None)
    fields = [] if front is None else _front_fields(lines, starts, front)
    fields += _header_fields(marks, starts)
    boxes, box_marks = _boxes(marks, headings, lines, starts)
    return Layout(
        fields=tuple(fields),
        headings=tuple(headings),
        title=title,
        boxes=boxes,
        box_marks=box_marks,
        blocks={
            block.name: (starts[block.first], starts[block.last] + len(content(lines[block.last])))
            for block in blocks
        },
        front_end=None if front is None else starts[front],
        unclosed=None if found.unclosed is None else found.unclosed + 1,
        block_problem=problem,
    )


def _outside(marks: list[Mark], blocks: list[Block]) -> list[Mark]:
    """The marks that people wrote: those in our blocks are quotations."""
    if not blocks:
        return marks
    ours = {line for block in blocks for line in range(block.first, block.last + 1)}
    return [mark for mark in marks if mark.line not in ours]


def _heading(mark: Mark, starts: list[int]) -> Heading:
    level, text = mark.match.groups(default="")
    text = text.strip(" \t")
    if text.endswith("#"):
        text = _CLOSING_HASHES.sub("", text).rstrip(" \t")
    start = starts[mark.line]
    return Heading(len(level), text, start, start + mark.match.end(), mark.line + 1)


def _front_fields(lines: Sequence[str], starts: list[int], front: int) -> list[Field]:
    return [
        Field(
            name=entry.key,
            value=entry.value,
            start=starts[entry.line] + entry.start,
            end=starts[entry.end_line] + entry.end,
            line=entry.line + 1,
            style=entry.style,
        )
        for entry in read_entries(lines, front)
    ]


def _header_fields(marks: list[Mark], starts: list[int]) -> list[Field]:
    """Bold fields above the first heading that is not the title."""
    fields = []
    titled = False
    for mark in marks:
        if mark.kind == "heading":
            if titled or len(mark.match["level"]) > 1:
                break
            titled = True
        elif mark.kind == "field":
            value = mark.match["text"].rstrip(" \t")
            start = starts[mark.line] + mark.match.start("text")
            fields.append(
                Field(
                    name=mark.match["name"],
                    value=value,
                    start=start,
                    end=start + len(value),
                    line=mark.line + 1,
                    style="header",
                )
            )
    return fields


def _boxes(
    marks: list[Mark], headings: list[Heading], lines: Sequence[str], starts: list[int]
) -> tuple[tuple[Checkbox, ...], tuple[int, ...]]:
    """Boxes with their headings, and where their ticks stand."""
    found: list[tuple[Mark, str, str, str]] = []
    upcoming = iter(headings)
    section = heading = ""
    for index, mark in enumerate(marks):
        if mark.kind == "heading":
            current = next(upcoming)
            heading = current.text
            if current.level <= 2:
                section = current.text if current.level == 2 else ""
        elif mark.kind == "box":
            end = marks[index + 1].line if index + 1 < len(marks) else len(lines)
            first = (mark.match["text"] or "").rstrip(" \t")
            more = continuation(lines, mark.line + 1, end) if end > mark.line + 1 else []
            text = " ".join([first, *more]).strip() if more else first
            found.append((mark, text, section, heading))
    keys = box_keys([text for _, text, _, _ in found])
    boxes = tuple(
        Checkbox(
            key=key,
            text=text,
            checked=mark.match["mark"] != " ",
            section=section,
            heading=heading,
            line=mark.line + 1,
        )
        for key, (mark, text, section, heading) in zip(keys, found, strict=True)
    )
    return boxes, tuple(starts[mark.line] + mark.match.start("mark") for mark, *_ in found)
