"""What the shell offers behind `exp …` and a tab: ids and names from the files and the index.

Nothing here may be slow, or say a word: where something goes wrong there is nothing to offer.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from orchestrator.errors import ExpError
from orchestrator.ids import TICKET_ID, ticket_id, ticket_number

if TYPE_CHECKING:
    from orchestrator.store import Reader
    from orchestrator.workspace import Workspace

Offer = tuple[str, str]  # what would be typed, and what it is
_TITLED = 60  # tickets are offered with their titles, which stand in their files, up to so many
_RUNS = 300  # the newest; nobody looks through more
_BREAKS = ("@", ":", "=")  # here bash cuts a word: `pass@1` comes as three


def tickets(incomplete: str) -> list[Offer]:
    """Tickets with their titles."""
    return _quietly(lambda workspace: _fitting(_tickets(workspace, incomplete), incomplete))


def runs(incomplete: str) -> list[Offer]:
    """The newest runs with their tickets and states."""
    return _quietly(lambda workspace: _fitting(_runs(workspace), incomplete))


def tickets_and_runs(incomplete: str) -> list[Offer]:
    """Both, where a command takes either."""
    return tickets(incomplete) + runs(incomplete)


def metrics(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Series of the run, or of the ticket's newest run, that the command names already."""
    name, before = str(ctx.params.get("name") or ""), list(ctx.params.get("series") or ())
    typed = "".join(_same_word(before))
    found = _quietly(lambda workspace: _fitting(_series(workspace, name), typed + incomplete))
    return [(text[len(typed) :], what) for text, what in found]


def _same_word(before: list[str]) -> list[str]:
    """The pieces of the present word that bash has cut off at its end."""
    if not before or before[-1] not in _BREAKS:
        return []
    return before[-2:]


def _quietly(ask: Callable[["Workspace"], list[Offer]]) -> list[Offer]:
    from orchestrator.workspace import find_workspace

    try:
        return ask(find_workspace())
    except (ExpError, OSError, ValueError):
        return []


def _fitting(offers: Iterable[Offer], incomplete: str) -> list[Offer]:
    """Those that begin like what was typed; ids in small letters, and their numbers alone, too."""
    start = incomplete.upper()
    if start.isdecimal():
        short = ((text[2:].lstrip("0"), what) for text, what in offers)
        return [(text, what) for text, what in short if text.startswith(start.lstrip("0"))]
    return [(text, what) for text, what in offers if text.upper().startswith(start)]


def _tickets(workspace: "Workspace", incomplete: str) -> Iterator[Offer]:
    entries = {
        match[0]: path
        for path in workspace.tickets.iterdir()
        if path.suffix == ".md" and (match := TICKET_ID.match(path.name))
    }
    likely = [name for name in sorted(entries) if _fitting([(name, "")], incomplete)]
    for name in likely:
        yield name, _title(entries[name]) if len(likely) <= _TITLED else ""


def _title(path: Path) -> str:
    """The first heading of a ticket, without its id."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        heading = next((line for line in file if line.startswith("# ")), "")
    return _harmless(heading.partition(":")[2])


def _runs(workspace: "Workspace") -> list[Offer]:
    names = [folder.id for folder in workspace.run_folders()][: -_RUNS - 1 : -1]
    with _reader(workspace) as reader:
        known = {row.id: row for row in reader.runs(limit=_RUNS)}
    told = {
        name: f"{row.outcome or row.status}  {row.ticket or ''} {row.title or ''}"
        for name, row in known.items()
    }
    return [(name, _harmless(told.get(name, ""))) for name in names]


def _series(workspace: "Workspace", name: str) -> list[Offer]:
    with _reader(workspace) as reader:
        if name.upper().startswith("T"):
            newest = reader.runs(ticket=ticket_id(ticket_number(name)), limit=1)
            run = newest[0].id if newest else ""
        else:
            run = workspace.run(name).id
        return [
            (row.name, f"{row.count:,} points, latest {row.latest.value:g}")
            for row in reader.series(run).values()
        ]


def _reader(workspace: "Workspace") -> "Reader":
    from orchestrator.store import Reader

    return Reader(workspace.database)


def _harmless(text: str) -> str:
    """Somebody's text in one line, for a shell that draws it."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
