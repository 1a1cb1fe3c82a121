"""Ticket files of a workspace: found by id, loaded all, edited beside other writers."""

import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Protocol

from orchestrator.domain.ticket import Ticket
from orchestrator.errors import ConflictError, EnvironmentFailure, NotFoundError
from orchestrator.fsio import locked, replace_if_same
from orchestrator.ids import ticket_id, ticket_number
from orchestrator.tickets.document import Document, file_id, parse
from orchestrator.workspace import Workspace

# A file saved this shortly before it was read may be saved again within the same time stamp.
_FRESH_NS = 50_000_000
_TRIES = 50


Edit = Callable[[Document], Document]


class Known(Protocol):
    """A ticket as it was read before, with the size and time of change of its file then."""

    @property
    def ticket(self) -> Ticket: ...  # noqa: D102 - the class says it
    @property
    def mtime_ns(self) -> int: ...  # noqa: D102 - the class says it
    @property
    def size(self) -> int: ...  # noqa: D102 - the class says it


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedTicket:
    """A ticket and its file's stamp; `mtime_ns` is 0 if the file was too new to be trusted."""

    ticket: Ticket
    mtime_ns: int
    size: int


def ticket_files(folder: Path) -> list[Path]:
    """Files named like tickets, directly in the folder, ordered by number and name.

    A symbolic link that leads out of the workspace is no ticket.
    """
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if _is_ticket(entry, folder)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unreadable(folder, error) from error
    return [folder / name for name in sorted(names, key=_order)]


def locate(folder: Path, text: str) -> Path:
    """The file of the ticket that a person named: `T-0017`, `t-17` or `17`.

    Raises:
        UsageError: the text is no ticket id.
        NotFoundError: there is no such file; the hint names the nearest ids.
        ConflictError: several files have this id.
    """
    wanted = ticket_id(ticket_number(text))
    files = ticket_files(folder)
    found = [path for path in files if file_id(path.name) == wanted]
    if len(found) > 1:
        raise ConflictError(
            f"{wanted} is the id of {len(found)} files: {', '.join(map(str, found))}",
            hint=f"git mv {found[-1]} to an id of its own",
        )
    if not found:
        near = _nearest(wanted, [file_id(path.name) or "" for path in files])
        raise NotFoundError(
            f"there is no ticket {wanted} in {folder}",
            hint=f"did you mean {', '.join(near)}?" if near else "exp ticket list",
        )
    return found[0]


def find(folder: Path, text: str) -> Document:
    """The ticket that a person named: `T-0017`, `t-17` or `17`.

    Raises:
        UsageError: the text is no ticket id.
        NotFoundError: there is no such file; the hint names the nearest ids.
        ConflictError: several files have this id.
        EnvironmentFailure: the file cannot be read.
    """
    return load_file(locate(folder, text))


def load_file(path: Path) -> Document:
    """Read one ticket file.

    Raises:
        NotFoundError: it is not there any more.
        EnvironmentFailure: it cannot be read.
    """
    return parse(_read(path), workspace_path(path))


def load_documents(folder: Path) -> list[Document]:
    """Every ticket file, ordered by id; duplicates of an id are all there.

    Raises:
        EnvironmentFailure: a file cannot be read.
    """
    documents = []
    for path in ticket_files(folder):
        with suppress(NotFoundError):  # removed since the folder was listed
            documents.append(load_file(path))
    return documents


def load_all(folder: Path, known: Mapping[str, Known] | None = None) -> list[Ticket]:
    """Every ticket, ordered by id; duplicates of an id are all there.

    `known` holds, by path, tickets that were read before: files that did not change since are not
    read again.

    Raises:
        EnvironmentFailure: a file cannot be read.
    """
    return [loaded.ticket for loaded in refresh(folder, known or {})]


def refresh(folder: Path, known: Mapping[str, Known]) -> list[Known]:
    """Every ticket with its stamp, ordered by id; an unchanged one is the very object of `known`.

    Raises:
        EnvironmentFailure: a file cannot be read.
    """
    loaded: list[Known] = []
    for path in ticket_files(folder):
        with suppress(FileNotFoundError, NotFoundError):  # removed since the folder was listed
            status = path.stat()
            before = known.get(workspace_path(path))
            if before and (before.mtime_ns, before.size) == (status.st_mtime_ns, status.st_size):
                loaded.append(before)
                continue
            fresh = time.time_ns() - status.st_mtime_ns < _FRESH_NS
            loaded.append(
                LoadedTicket(
                    ticket=load_file(path).ticket,
                    mtime_ns=0 if fresh else status.st_mtime_ns,
                    size=status.st_size,
                )
            )
    return loaded


def workspace_path(path: Path) -> str:
    """A ticket's path as records hold it, relative to the workspace: `tickets/T-0017.md`."""
    return f"{path.parent.name or path.resolve().parent.name}/{path.name}"


def edit_file(path: Path, edit: Edit) -> bool:
    """Apply an edit to a ticket file and say whether its bytes changed.

    Other `exp` processes wait on a lock in `.exp/locks`. Editors know no locks, so the file is read
    once more when the new bytes are on the disk and only their renaming is left; if it changed, the
    edit is made anew on what is there now. What remains is the moment between that second reading
    and the renaming, some ten microseconds in which an editor's save would be lost. `edit` may run
    several times and must do nothing but edit.

    Raises:
        NotFoundError: the file is gone.
        ConflictError: somebody kept changing the file at every try.
        EnvironmentFailure: it cannot be read or written.
        ExpError: whatever `edit` raises; the file is unchanged then.
    """
    workspace = Workspace(path.absolute().parent.parent)
    workspace.prepare_state()
    with locked(workspace.lock_file("tickets"), busy=f"{path} is being edited", wait=True):
        for _ in range(_TRIES):
            before = _read(path)
            after = edit(parse(before, workspace_path(path))).raw
            if after == before:
                return False
            if replace_if_same(path, before, after):
                return True
    raise ConflictError(
        f"{path} is changed by another program all the time", hint=f"fuser -v {path}"
    )


def _is_ticket(entry: "os.DirEntry[str]", folder: Path) -> bool:
    if file_id(entry.name) is None or not entry.is_file():
        return False
    return not entry.is_symlink() or Path(entry.path).resolve().is_relative_to(
        folder.resolve().parent
    )


def _order(name: str) -> tuple[int, str]:
    return ticket_number(file_id(name) or ""), name


def _nearest(wanted: str, ids: list[str]) -> list[str]:
    """Up to three ids that look like the wanted one, else those with the nearest numbers."""
    close = get_close_matches(wanted, ids, n=3, cutoff=0.8)
    number = ticket_number(wanted)
    return close or sorted(ids, key=lambda one: abs(ticket_number(one) - number))[:3]


def _read(path: Path) -> bytes:
    try:
        with path.open("rb", buffering=0) as file:  # whole files: a buffer only costs time
            return file.read()
    except FileNotFoundError as error:
        raise NotFoundError(f"{path} is gone", hint="exp ticket list") from error
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> EnvironmentFailure:
    return EnvironmentFailure(f"cannot read {path}: {error.strerror}", hint=f"ls -ld {path}")
