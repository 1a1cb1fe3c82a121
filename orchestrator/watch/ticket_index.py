"""The tickets' part of the index: parsed again only where a file changed."""

from orchestrator import tickets
from orchestrator.store import Reader
from orchestrator.store.index import Index
from orchestrator.store.rows import CachedTicket
from orchestrator.workspace import Workspace


def index_tickets(workspace: Workspace, index: Index, reader: Reader) -> int:
    """Bring the index up to date with tickets/; return how many tickets there are."""
    known = {row.ticket.path: row for row in reader.tickets()}
    loaded = tickets.refresh(workspace.tickets, known)
    fresh = [
        CachedTicket(ticket=row.ticket, mtime_ns=row.mtime_ns, size=row.size)
        for row in loaded
        if row is not known.get(row.ticket.path)
    ]
    gone = known.keys() - {row.ticket.path for row in loaded}
    if fresh:
        index.put_tickets(fresh)
    if gone:
        index.forget_tickets(gone)
    return len(loaded)
