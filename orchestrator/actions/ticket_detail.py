"""`exp ticket show`: apart from the lists, which do without the reader of criteria."""

from dataclasses import dataclass, replace

from orchestrator import tickets
from orchestrator.actions.reading import criterion_rows, load_tickets
from orchestrator.actions.rows import CriterionRow
from orchestrator.actions.run_list import current_runs, list_runs
from orchestrator.actions.specs import said_of
from orchestrator.domain.ticket import Ticket
from orchestrator.watch.claims import criteria_of
from orchestrator.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketDetail:
    """`exp ticket show`."""

    ticket: Ticket
    text: str
    criteria: tuple[CriterionRow, ...]
    run: str | None
    run_status: str | None
    why: str | None
    unblocks: tuple[str, ...]


def show_ticket(workspace: Workspace, text: str) -> TicketDetail:
    """A ticket with its criteria and what the newest run says of each.

    Raises:
        NotFoundError: there is no such ticket.
    """
    document = tickets.find(workspace.tickets, text)
    ticket = document.ticket
    run = current_runs(list_runs(workspace, ticket=ticket.id)).get(ticket.id)
    said = said_of(workspace, ticket)
    rows = criterion_rows(workspace, criteria_of(document, said), run.id if run else None, document)
    rows = tuple(replace(row, number=number) for number, row in enumerate(rows, 1))
    return TicketDetail(
        ticket=ticket,
        text=document.text,
        criteria=rows,
        run=run.id if run else None,
        run_status=(run.outcome or run.status) if run else None,
        why=run.why if run else None,
        unblocks=tickets.unblocks(load_tickets(workspace), ticket.id),
    )
