"""What people type for a run: its own id, or its ticket's."""

from orchestrator.actions.run_list import current_runs, list_runs
from orchestrator.errors import NotFoundError
from orchestrator.ids import ticket_id, ticket_number
from orchestrator.workspace import RunFolder, Workspace


def run_named(workspace: Workspace, text: str) -> RunFolder:
    """The run of `R-000042` or `42`, or the one that tells of ticket `T-0017` now.

    Raises:
        UsageError: the text is no id.
        NotFoundError: there is no such run, or the ticket has none.
    """
    if not text.strip().upper().startswith("T"):
        return workspace.run(text)
    ticket = ticket_id(ticket_number(text))
    run = current_runs(list_runs(workspace, ticket=ticket)).get(ticket)
    if run is None:
        raise NotFoundError(f"{ticket} has no run yet", hint=f"exp ticket start {ticket}")
    return workspace.run(run.id)
