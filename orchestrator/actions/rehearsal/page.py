"""The page of a rehearsal beside the ticket's report, written and committed on request."""

from pathlib import Path

from orchestrator import tickets
from orchestrator.domain.rehearsal import Rehearsal
from orchestrator.errors import RefusedError
from orchestrator.fsio import write_atomic
from orchestrator.report.rehearsal import PAGE, render_rehearsal, verdict_words
from orchestrator.watch.committing import repository_for_commits
from orchestrator.workspace import Workspace


def commit_page(workspace: Workspace, result: Rehearsal) -> str | None:
    """Write the page and commit it with nothing else; the commit's id, None if it is there already.

    Raises:
        RefusedError: there is no git repository, or it is not in a state for a commit.
        InvalidFileError: the workspace's template is wrong.
    """
    repository = repository_for_commits(workspace)
    if repository is None:
        raise RefusedError("no git repository here: nothing committed", hint="git init")
    ticket = tickets.find(workspace.tickets, result.ticket).ticket
    folder = workspace.root / Path(result.experiment).parent / "reports" / ticket.id
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / PAGE
    write_atomic(page, render_rehearsal(result, workspace.templates))
    return repository.commit(
        [page],
        subject=f"{ticket.id}: rehearsal {verdict_words(result).partition(':')[0]}",
        trailers={"Ticket": ticket.id},
    )
