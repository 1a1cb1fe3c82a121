"""The criteria of a ticket, read from its checkboxes and from the rows of its tables."""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TypeAlias

from orchestrator import criteria, tickets
from orchestrator.criteria.lines.document import Found
from orchestrator.domain.criterion import Criterion, Reading
from orchestrator.domain.ticket import Checkbox, Ticket
from orchestrator.tickets import Document

# What [criteria] of a spec says: predicates by the key of the line that they stand for.
Said: TypeAlias = Mapping[str, str]

# Judged like all criteria, but a ticket can be DONE without them.
_BESIDE = "verification plan"
_NOTHING: Said = {}
_OTHER_ENDS = re.compile("[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_BOX = re.compile(r"^\s*(?:[-*+]|\d{1,9}[.)])\s+\[[ xX]\]\s+")


def criteria_of(document: Document, said: Said = _NOTHING) -> tuple[Criterion, ...]:
    """Read every checkbox and every row of a table that states a condition of the ticket.

    The must lines gate the ticket; those of the Verification Plan do not, nor alarms and rules.
    """
    return tuple(_criterion(box, reading) for box, reading in readings_of(document, said))


def readings_of(document: Document, said: Said = _NOTHING) -> list[tuple[Checkbox, Reading]]:
    """Each criterion of a ticket with its reading, in the light of all that stands around it.

    A predicate in the line wins over the one that the spec says, and that over the words.
    """
    # Of the characters that end a line for Python, only these of Markdown may count lines.
    found = {one.line: one for one in criteria.read_document(_OTHER_ENDS.sub(" ", document.text))}
    rows = (_row(one) for one in found.values() if one.text.startswith("|"))
    every = sorted([*document.ticket.checkboxes, *rows], key=lambda box: box.line)
    return [
        (box, _reading(box, found.get(box.line), said))
        for box in every
        if tickets.is_criterion(box)
    ]


def _row(found: Found) -> Checkbox:
    """The row of a table that can be tested; it has no box."""
    headings = (found.heading or "").split(" / ")
    return Checkbox(
        key=" ".join(found.text.split()),
        text=found.text,
        checked=False,
        section=headings[0],
        heading=headings[-1],
        line=found.line,
        tickable=False,
    )


def _reading(box: Checkbox, found: Found | None, said: Said) -> Reading:
    heading = box.heading if found is None else found.heading
    predicate = said.get(tickets.line_key(box.text)) if said else None
    if predicate is not None and not tickets.has_predicate(box.text):
        return criteria.read(f"{box.text} <!-- exp: {predicate} -->", heading)
    if found is not None and not box.tickable:
        return found.reading
    if found is not None and " ".join(_BOX.sub("", found.text).split()) == box.text:
        return found.reading
    return criteria.read(box.text, heading)


def _criterion(box: Checkbox, reading: Reading) -> Criterion:
    goal = reading.tier == "must" and reading.is_goal
    gates = goal and box.section.casefold() != _BESIDE
    return Criterion(
        key=box.key,
        text=box.text,
        section=box.section,
        required=gates,
        reading=reading,
        tickable=box.tickable,
    )


def said_by(table: Mapping[str, str]) -> Said:
    """[criteria] of a spec by the keys of its lines."""
    return {tickets.line_key(line): predicate for line, predicate in table.items()}


def unknown_lines(table: Iterable[str], ticket: Ticket) -> list[str]:
    """Lines of a spec's [criteria] that the ticket does not have."""
    keys = {tickets.line_key(b.text) for b in ticket.checkboxes if tickets.is_criterion(b)}
    return [line for line in table if tickets.line_key(line) not in keys]


def nearest_line(line: str, ticket: Ticket) -> str | None:
    """The criterion of a ticket that was probably meant by a line it does not have."""
    lines = {tickets.line_key(b.text): b.text for b in ticket.checkboxes if tickets.is_criterion(b)}
    close = get_close_matches(tickets.line_key(line), lines, n=1, cutoff=0.5)
    return lines[close[0]] if close else None
