"""Every criterion of a Markdown document, each read with what stands around it.

Headings tell the tier, the time and whether a line is an alarm; a table's header tells which
column holds the bound; a column of actions makes its rows decisions rather than conditions.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from orchestrator.criteria.lines.reading import read
from orchestrator.criteria.lines.table import cells_of, is_rule, row_claim
from orchestrator.domain.criterion import Kind, Reading

_FENCE = re.compile(r"^\s{0,3}(```+|~~~+)")
_HEADING = re.compile(r"^\s{0,3}(#{1,6})\s+(.*?)\s*#*\s*$")
# A bold line alone, or one that announces a list: people use them as headings.
_ANNOUNCES = re.compile(
    r"^\s{0,3}(?:\*\*(?P<bold>[^*]+)\*\*:?|(?P<plain>[A-Z][^|`<>=]{2,80}:))\s*$"
)
_BOX = re.compile(r"^\s*(?:[-*+]|\d{1,3}[.)])\s+\[[ xX~-]?\]\s+\S")
_ITEM = re.compile(r"^(\s*)(?:[-*+•]|\d{1,3}[.)])\s+\S")
_OURS = re.compile(r"<!--\s*exp:(begin|end)\b")
_CRITERIA = re.compile(
    r"criteri|definition of (?:done|success)|targets?\b|goals?\b|gates?\b|red flags?|"
    r"warning signs?|expected|\bkpis?\b|requirements?|success|acceptance|milestones?|"
    r"benchmarks?|metrics|checklist|exit|go/no-go|done when|abort|stop if|hypothes[ie]s",
    re.IGNORECASE,
)
_ACTION = re.compile(
    r"^(?:actions?|decisions?|then|verdict|interpretation|meaning|means|what to do|"
    r"next steps?|response)$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A criterion of a document: where it stands (`line` from 1), under what, and its reading."""

    line: int
    heading: str | None
    text: str
    reading: Reading


@dataclass(slots=True)
class _Place:
    """Where the scan is: the headings above, the header of the table, the fence that is open."""

    headings: list[tuple[int, str]] = field(default_factory=list)
    announced: str | None = None
    header: tuple[str, ...] = ()
    fence: str | None = None
    ours: bool = False

    @property
    def heading(self) -> str | None:
        """The headings from the second level on, joined; the title says nothing of a line."""
        names = [text for level, text in self.headings if level > 1]
        names = names or [text for _, text in self.headings]
        return " / ".join([*names, *([self.announced] if self.announced else [])]) or None

    @property
    def about_criteria(self) -> bool:
        """Whether plain items and rows here are criteria."""
        return self.heading is not None and _CRITERIA.search(self.heading) is not None


def read_document(text: str) -> Iterator[Found]:
    """Read every checkbox, and under headings about criteria also items and rows of tables.

    An item or a row without a box counts only if something in it can be tested.
    """
    place = _Place()
    lines = text.splitlines()
    for position, line in enumerate(lines):
        if _passed_over(place, line) or _moved(place, line, lines[position + 1 : position + 2]):
            continue
        found = _found(place, position, lines)
        if found is not None:
            yield found


def _passed_over(place: _Place, line: str) -> bool:
    """Code and our own blocks hold no criteria of people."""
    fence = _FENCE.match(line)
    if place.fence is not None:
        if fence and fence[1].startswith(place.fence):
            place.fence = None
        return True
    if fence:
        place.fence = fence[1]
        return True
    if ours := _OURS.search(line):
        place.ours = ours[1] == "begin"
        return True
    return place.ours


def _moved(place: _Place, line: str, following: list[str]) -> bool:
    """Take note of a heading or of a table's header; True if the line was one."""
    if heading := _HEADING.match(line):
        level = len(heading[1])
        place.headings = [known for known in place.headings if known[0] < level]
        place.headings.append((level, heading[2]))
        place.announced, place.header = None, ()
        return True
    row = line.strip()
    if not row.startswith("|"):
        place.header = ()
    elif following and following[0].strip().startswith("|") and is_rule(following[0].strip()):
        place.header = cells_of(row)
        return True
    elif is_rule(row):
        return True
    if announced := _ANNOUNCES.match(line):
        place.announced = (announced["bold"] or announced["plain"]).strip(": ")
        return True
    return False


def _found(place: _Place, position: int, lines: list[str]) -> Found | None:
    line = lines[position]
    row = line.strip()
    if _BOX.match(line):
        text = _whole(position, lines)
        return _at(place, position, text, read(text, place.heading))
    if not place.about_criteria:
        return None
    if row.startswith("|") and row.endswith("|") and place.header:
        reading = read_row(row, place.header, place.heading)
        return _if_testable(_at(place, position, row, reading))
    if _ITEM.match(line):
        text = _whole(position, lines)
        return _if_testable(_at(place, position, text, read(text, place.heading)))
    return None


def _at(place: _Place, position: int, text: str, reading: Reading) -> Found:
    return Found(line=position + 1, heading=place.heading, text=text, reading=reading)


def read_row(row: str, header: tuple[str, ...], heading: str | None) -> Reading:
    """Read a row of a table by its header; with a column of actions it is a decision."""
    reading = read(row_claim(row, header), heading)
    decides = any(_ACTION.match(name) for name in header)
    if decides and reading.polarity == "positive":
        return replace(reading, polarity="conditional")
    return reading


def _whole(position: int, lines: list[str]) -> str:
    """An item with the lines that continue it."""
    indent = len(lines[position]) - len(lines[position].lstrip())
    parts = [lines[position]]
    for line in lines[position + 1 : position + 20]:
        inside = len(line) - len(line.lstrip()) > indent
        if not line.strip() or not inside or _ITEM.match(line) or _FENCE.match(line):
            break
        parts.append(line.strip())
    return " ".join(parts).strip()


def _if_testable(found: Found) -> Found | None:
    return None if found.reading.kind is Kind.MANUAL else found
