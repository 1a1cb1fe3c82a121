"""What the last run of a ticket can tell the next one."""

from dataclasses import dataclass

from orchestrator.domain.run import RunStatus
from orchestrator.domain.ticket import Ticket
from orchestrator.store import Reader
from orchestrator.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class LastRun:
    """The newest run of the ticket that has ended, and what it logged."""

    id: str | None = None
    series: tuple[str, ...] = ()


def last_run(workspace: Workspace, ticket: Ticket) -> LastRun:
    """The newest run of a ticket that has ended, if one has."""
    with Reader(workspace.database) as reader:
        ended = reader.runs(ticket=ticket.id, status=RunStatus.ENDED, limit=1)
        if not ended:
            return LastRun()
        return LastRun(id=ended[0].id, series=tuple(reader.series(ended[0].id)))
