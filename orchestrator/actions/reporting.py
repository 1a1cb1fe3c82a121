"""`exp report`: the status document, now."""

import time
from dataclasses import dataclass

from orchestrator import tickets
from orchestrator.errors import RefusedError
from orchestrator.watch.committing import repository_for_commits
from orchestrator.watch.daemon import ensure_watcher
from orchestrator.watch.live import has_pending
from orchestrator.watch.reporting import write_report
from orchestrator.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenReport:
    """The page as it was written; `commit` is None unless this call committed something."""

    path: str
    text: str
    commit: str | None


def report_ticket(workspace: Workspace, text: str, *, commit: bool) -> WrittenReport:
    """Write the report of a ticket, and commit it with the ticket if asked to.

    Raises:
        NotFoundError: there is no such ticket.
        RefusedError: a commit was asked for and git is not in a state for it.
    """
    ticket = tickets.find(workspace.tickets, text).ticket
    if workspace.state.is_dir() and has_pending(workspace):
        ensure_watcher(workspace)
    paths = write_report(workspace, ticket.id, now=time.time())
    made = _commit(workspace, ticket.id, [ticket.path, *paths]) if commit else None
    page = (workspace.root / paths[0]).read_text(errors="replace")
    return WrittenReport(path=paths[0], text=page, commit=made)


def _commit(workspace: Workspace, ticket_id: str, paths: list[str]) -> str | None:
    repository = repository_for_commits(workspace)
    if repository is None:
        raise RefusedError("no git repository here: nothing committed", hint="git init")
    return repository.commit(
        [workspace.root / path for path in paths],
        subject=f"{ticket_id}: status report",
        trailers={"Ticket": ticket_id},
    )
