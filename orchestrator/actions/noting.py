"""`exp note`: what a person has to say of a ticket, in the ticket."""

import time
from functools import partial

from orchestrator import tickets
from orchestrator.domain.remark import Remark, RemarkKind
from orchestrator.errors import RefusedError, UsageError
from orchestrator.git import author_of
from orchestrator.watch.lifecycle import read_run
from orchestrator.workspace import Workspace

_LONGEST = 20_000  # characters: more is a file that a note can name


def add_note(
    workspace: Workspace, ticket: str, text: str, *, kind: RemarkKind, run: str | None = None
) -> tuple[str, Remark]:
    """Write what a person said into the ticket; return the ticket's path and the remark.

    Raises:
        NotFoundError: there is no such ticket, or no such run.
        UsageError: nothing was said, too much, or the run is another ticket's.
        RefusedError: git knows no name that it could be said by.
        InvalidFileError: the markers in the ticket do not balance.
        EnvironmentFailure: it cannot be written.
    """
    found = tickets.find(workspace.tickets, ticket).ticket
    about = None if run is None else _run_of(workspace, found.id, run)
    said = tickets.remark_text(text)
    if not said:
        raise UsageError("an empty note: nothing written", hint=f'exp note {found.id} "…"')
    if len(said) > _LONGEST:
        raise UsageError(
            f"a note of {len(said):,} characters; {_LONGEST:,} is the most",
            hint="put the text into a file and name that in the note",
        )
    by = author_of(workspace.root)
    if by is None:
        raise RefusedError(
            "git does not know who you are: a note needs a name",
            hint='git config user.name "Your Name" && git config user.email you@example.org',
        )
    remark = Remark(kind=kind, by=by, time=int(time.time()), text=said, run=about)
    tickets.edit_file(workspace.root / found.path, partial(tickets.add_remark, remark=remark))
    return found.path, remark


def ticket_for_note(workspace: Workspace, text: str) -> str:
    """The id and title of the ticket that a note is asked for, in one line.

    Raises:
        NotFoundError: there is no such ticket.
    """
    ticket = tickets.find(workspace.tickets, text).ticket
    return f"{ticket.id}: {ticket.title}"


def _run_of(workspace: Workspace, ticket: str, text: str) -> str:
    folder = workspace.run(text)
    record = read_run(folder)
    if record is None or record.ticket is None or record.ticket.id != ticket:
        raise UsageError(
            f"{folder.id} is no run of {ticket}", hint=f"exp run list --ticket {ticket}"
        )
    return folder.id
