"""Every ticket of a workspace, from one look to the next."""

import time

from orchestrator import tickets
from orchestrator.domain.ticket import Ticket
from orchestrator.listing import Listing, Listings
from orchestrator.store import Reader
from orchestrator.workspace import Workspace

_SHORTEST = 1.0  # seconds between two looks at all files
_SHARE = 0.004  # of a core, that looking at all files may take


class TicketShelf:
    """Tickets as their files are, without reading again what did not change.

    A file that is written anew in place, as some editors do, does not change its folder: for these
    all files are looked at every now and then, the less often the more there are.
    """

    def __init__(self, workspace: Workspace, reader: Reader) -> None:
        self._workspace = workspace
        self._reader = reader
        self._listings = Listings()
        self._listing: Listing | None = None
        self._known: dict[str, tickets.Known] | None = None
        self._tickets: list[Ticket] = []
        self._due = 0.0  # monotonic

    def look(self) -> list[Ticket]:
        """All tickets by id; an unchanged one is the same object as before.

        Raises:
            EnvironmentFailure: a file cannot be read.
        """
        listing = self._listings.list(str(self._workspace.tickets))
        begun = time.monotonic()
        if listing is not self._listing or begun >= self._due:
            spent = time.thread_time()
            self._listing = listing
            self._refresh()
            self._due = begun + max(_SHORTEST, (time.thread_time() - spent) / _SHARE)
        return self._tickets

    def _refresh(self) -> None:
        if self._known is None:
            self._known = {row.ticket.path: row for row in self._reader.tickets()}
        found = tickets.refresh(self._workspace.tickets, self._known)
        self._known = {row.ticket.path: row for row in found}
        self._tickets = [row.ticket for row in found]
