"""New tickets: the next free id over all branches and worktrees, each given out once."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.domain.ticket import TicketStatus
from orchestrator.errors import (
    ConflictError,
    EnvironmentFailure,
    InvalidFileError,
    RefusedError,
)
from orchestrator.fsio import locked, write_atomic, write_once
from orchestrator.ids import ticket_id, ticket_number
from orchestrator.tickets.document import file_id, parse
from orchestrator.tickets.files import load_all, locate, ticket_files, workspace_path
from orchestrator.tickets.graph import by_id, cycles, waits_for
from orchestrator.tickets.render import Draft, render_ticket

_LARGEST = 999_999_999


@dataclass(frozen=True, slots=True, kw_only=True)
class IdSource:
    """Where ids are kept apart.

    `lock` is `exp-ticket-ids.lock` in git's common folder, which all worktrees share, or in the
    tickets folder without git. The highest number ever given stands beside it, in a file with the
    ending `.high`, so that the id of a removed ticket is not given again. `elsewhere` returns the
    numbers that other branches and worktrees use.
    """

    lock: Path
    elsewhere: Callable[[], set[int]] = set

    @property
    def mark(self) -> Path:
        """File of the highest number given so far."""
        return self.lock.with_suffix(".high")


def new_ticket(folder: Path, draft: Draft, ids: IdSource, templates: Path | None = None) -> Path:
    """Write a new ticket file and return its path.

    A READY draft after a ticket that is not DONE becomes BLOCKED; ids in `after` may be written as
    people type them.

    Raises:
        UsageError: the title is empty or an id is none.
        NotFoundError: a ticket of `after` does not exist.
        RefusedError: the new ticket would close a circle.
        ConflictError: the file exists already.
        InvalidFileError: the template, or the file of the highest number, is broken.
        EnvironmentFailure: the folder cannot be written.
    """
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise EnvironmentFailure(
            f"cannot create {folder}: {error.strerror}", hint="exp init"
        ) from error
    after = tuple(dict.fromkeys(ticket_id(ticket_number(one)) for one in draft.after))
    for one in after:
        locate(folder, one)
    draft = replace(draft, after=after)
    with locked(ids.lock, busy="another ticket is being made", wait=True):
        number = _next_number(folder, ids)
        path = folder / f"{ticket_id(number)}.md"
        document = render_ticket(
            _in_order(folder, draft, ticket_id(number)), workspace_path(path), templates
        )
        # The mark comes first: a crash here leaves a gap in the numbers, never a number twice.
        write_atomic(ids.mark, b"%d\n" % number)
        if not write_once(path, document.raw):
            raise ConflictError(f"{path} exists already", hint="exp ticket lint")
    return path


def _next_number(folder: Path, ids: IdSource) -> int:
    here = {ticket_number(file_id(path.name) or "") for path in ticket_files(folder)}
    number = max(here | ids.elsewhere() | {_highest(ids.mark)}) + 1
    if number > _LARGEST:
        raise RefusedError(
            f"a ticket has the last number there is, {_LARGEST}", hint="rename it: exp ticket list"
        )
    return number


def _highest(mark: Path) -> int:
    """The number in the mark's file, 0 if there is none yet."""
    try:
        text = mark.read_text(encoding="ascii")
    except FileNotFoundError:
        return 0
    except (OSError, ValueError) as error:
        raise _broken_mark(mark) from error
    if not text.strip().isdecimal():
        raise _broken_mark(mark)
    return int(text)


def _broken_mark(mark: Path) -> InvalidFileError:
    return InvalidFileError(f"{mark} does not hold the highest ticket number", hint=f"rm {mark}")


def _in_order(folder: Path, draft: Draft, one: str) -> Draft:
    """The draft with the status that its place among the other tickets gives it.

    Tickets may already name the new id in their `After`, which can close a circle.
    """
    if not draft.after:
        return draft
    blank = replace(parse(b"", f"tickets/{one}.md").ticket, after=draft.after)
    tickets = by_id([*load_all(folder), blank])
    circle = next((path for path in cycles(tickets.values()) if one in path), None)
    if circle is not None:
        raise RefusedError(
            f"tickets would wait for each other: {' after '.join(circle)}",
            hint=f"remove one of them from an **After**: {', '.join(circle[:-1])}",
        )
    if draft.status is TicketStatus.READY and waits_for(blank, tickets):
        return replace(draft, status=TicketStatus.BLOCKED)
    return draft
