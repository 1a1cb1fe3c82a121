"""`exp ticket new`."""

from pathlib import Path

from orchestrator import tickets
from orchestrator.errors import RefusedError
from orchestrator.git import Repository
from orchestrator.ids import ticket_id, ticket_number
from orchestrator.workspace import Workspace


def new_ticket(
    workspace: Workspace, title: str, *, after: tuple[str, ...], experiment: Path | None
) -> str:
    """Write a ticket with the next id that no branch and no worktree uses; return its path.

    Raises:
        NotFoundError: a ticket of `after` does not exist.
        RefusedError: the experiment lies outside of the workspace.
    """
    before = [tickets.find(workspace.tickets, name).ticket for name in after]
    repository = Repository.find(workspace.root)
    relative = str(workspace.tickets.relative_to(repository.root)) if repository else ""
    return tickets.new_ticket(
        workspace.tickets,
        tickets.NewTicket(
            title=title,
            after=tuple(before),
            experiment=_inside(workspace, experiment) if experiment else None,
        ),
        lock=(repository.common_dir / "exp-ticket-ids.lock") if repository else workspace.lock_file("ids"),
        ids_elsewhere=(lambda: repository.ticket_ids_everywhere(relative)) if repository else set,
        templates=workspace.templates,
    )


def _inside(workspace: Workspace, experiment: Path) -> str:
    path = experiment.absolute().resolve()
    if not path.is_relative_to(workspace.root.resolve()):
        raise RefusedError(
            f"experiment {experiment} lies outside of {workspace.root}",
            hint="name a file below experiments/",
        )
    return str(path.relative_to(workspace.root.resolve()))
