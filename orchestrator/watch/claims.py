"""The criteria of a ticket, read from its checkboxes."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TypeAlias

from orchestrator import criteria, tickets
from orchestrator.domain.criterion import Criterion, Reading
from orchestrator.domain.ticket import Checkbox, Ticket

# What [criteria] of a spec says: predicates by the key of the line that they stand for.
Said: TypeAlias = Mapping[str, str]

# Judged like all criteria, but a ticket can be DONE without them.
_BESIDE = "verification plan"
_NOTHING: Said = {}


def criteria_of(ticket: Ticket, said: Said = _NOTHING) -> tuple[Criterion, ...]:
    """Read every checkbox that states a condition of the ticket.

    The must lines gate the ticket; those of the Verification Plan do not, and no alarm does.
    """
    return tuple(
        _criterion(box, reading_of(box, said))
        for box in ticket.checkboxes
        if tickets.is_criterion(box)
    )


def reading_of(box: Checkbox, said: Said = _NOTHING) -> Reading:
    """Read one checkbox; a predicate in its line wins over the spec's, and that over the words."""
    predicate = said.get(tickets.line_key(box.text)) if said else None
    if predicate is None or tickets.has_predicate(box.text):
        return criteria.read(box.text, box.heading)
    return criteria.read(f"{box.text} <!-- exp: {predicate} -->", box.heading)


def _criterion(box: Checkbox, reading: Reading) -> Criterion:
    goal = reading.tier == "must" and reading.polarity != "inverted"
    gates = goal and box.section.casefold() != _BESIDE
    return Criterion(
        key=box.key, text=box.text, section=box.section, required=gates, reading=reading
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
