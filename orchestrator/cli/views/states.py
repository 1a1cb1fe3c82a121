"""Tickets by state: those that are worked on first."""

from collections import Counter
from collections.abc import Iterable

from orchestrator.actions.rows import TicketRow
from orchestrator.cli.console import clean

_ORDER = {"ONGOING": 0, "READY": 1, "BLOCKED": 2, "FAILED": 3, "IDEA": 4, "DONE": 5}


def by_state(tickets: Iterable[TicketRow]) -> list[TicketRow]:
    """Tickets in the order in which they concern people, else in that of their ids."""
    return sorted(tickets, key=lambda row: _place(row.status))


def states(tickets: Iterable[TicketRow]) -> str:
    """`3 ONGOING · 1 READY · 12 DONE`."""
    counts = Counter(row.status for row in tickets)
    order = sorted(counts, key=lambda status: (_place(status), status))
    return clean(" · ".join(f"{counts[status]:,} {status}" for status in order))


def _place(status: str) -> int:
    return _ORDER.get(status.upper(), len(_ORDER))
