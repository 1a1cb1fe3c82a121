"""`exp ticket new`."""

from pathlib import Path

from orchestrator import tickets
from orchestrator.errors import NotFoundError, RefusedError
from orchestrator.git import Repository
from orchestrator.workspace import Workspace


def new_ticket(
    workspace: Workspace, title: str, *, after: tuple[str, ...], experiment: Path | None
) -> str:
    """Write a ticket with the next id that no branch and no worktree uses; return its path.

    Raises:
        NotFoundError: a ticket of `after` does not exist.
        RefusedError: the experiment lies outside of the workspace.
    """
    repository = Repository.find(workspace.root)
    ids = tickets.IdSource(lock=workspace.lock_file("ticket-ids"))
    if repository is not None:
        folder = str(workspace.tickets.resolve().relative_to(repository.root.resolve()))
        ids = tickets.IdSource(
            lock=repository.common_dir / "exp-ticket-ids.lock",
            elsewhere=lambda: repository.ticket_ids_everywhere(folder),
        )
    spec = _inside(workspace, experiment) if experiment is not None else None
    draft = tickets.Draft(title=title, after=after, experiment=spec)
    path = tickets.new_ticket(workspace.tickets, draft, ids, workspace.templates)
    return str(path.relative_to(workspace.root))


def _inside(workspace: Workspace, experiment: Path) -> str:
    path = experiment.absolute().resolve()
    if not path.is_file():
        raise NotFoundError(f"no experiment {experiment}", hint=f"create {experiment} first")
    if not path.is_relative_to(workspace.root.resolve()):
        raise RefusedError(
            f"experiment {experiment} lies outside of {workspace.root}",
            hint="name a file below experiments/",
        )
    return str(path.relative_to(workspace.root.resolve()))
