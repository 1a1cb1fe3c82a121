"""`exp ticket lint --fix`: predicates that say exactly what a line was read as."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from orchestrator import tickets
from orchestrator.actions.last_run import last_run
from orchestrator.actions.specs import Specs
from orchestrator.criteria import predicate_text
from orchestrator.domain.criterion import Decidable, Reading
from orchestrator.domain.ticket import Checkbox, TicketStatus
from orchestrator.tickets import Document
from orchestrator.watch.bindings import bound_names, renamed, tree_of
from orchestrator.watch.live import live_runs
from orchestrator.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """A predicate that could stand in a line, and why it is offered.

    `sure` says that the line was read definitely; a guess is only ever written one by one.
    """

    path: str
    line: int
    key: str
    text: str
    predicate: str
    why: str
    sure: bool


def fixes(workspace: Workspace, chosen: tuple[str, ...]) -> list[Fix]:
    """What could be written into the chosen tickets (all, if none is named).

    Tickets that are DONE are history, and the criteria of a live run are fixed: both stay.

    Raises:
        NotFoundError: a chosen ticket does not exist.
    """
    paths = {tickets.find(workspace.tickets, text).path for text in chosen}
    everything = tickets.load_documents(workspace.tickets)
    specs = Specs(workspace, [document.ticket for document in everything])
    live = {record.ticket.id for _, record, _ in live_runs(workspace) if record.ticket}
    return [
        fix
        for document in everything
        if (not paths or document.path in paths)
        and document.ticket.status != TicketStatus.DONE
        and document.ticket.id not in live
        for fix in _fixes(workspace, document, specs)
    ]


def _fixes(workspace: Workspace, document: Document, specs: Specs) -> Iterator[Fix]:
    ticket = document.ticket
    names = last_run(workspace, ticket).series
    metrics = specs.metrics(ticket)
    for box, reading in _without(document, specs):
        tree = tree_of(reading.predicate)
        if tree is None or reading.decidable is Decidable.MANUAL:
            continue
        # What is only suggested is looked up as well: it shall be as exact as it can be.
        bound = bound_names(replace(reading, decidable=Decidable.YES), metrics, names)
        series = {b.name: b.series for b in bound if b.series and b.series != b.name}
        exact = ", ".join(f"{b.name} is {b.series}: {b.how}" for b in bound if b.name in series)
        predicate = predicate_text(renamed(tree, series))
        asked = reading.decidable is not Decidable.YES
        if (asked or series) and "-->" not in predicate:
            yield Fix(
                path=ticket.path,
                line=box.line,
                key=box.key,
                text=box.text,
                predicate=predicate,
                why=(reading.why or exact) if asked else exact,
                sure=not asked,
            )


def _without(document: Document, specs: Specs) -> Iterator[tuple[Checkbox, Reading]]:
    """Criteria that neither their line nor the spec says exactly; lines alike cannot be told."""
    claims = specs.readings(document)
    alike = Counter(tickets.line_key(box.text) for box, _ in claims)
    for box, reading in claims:
        said = specs.says(document.ticket, box) or tickets.has_predicate(box.text)
        if not said and alike[tickets.line_key(box.text)] == 1:
            yield box, reading


def write_fixes(workspace: Workspace, accepted: Iterable[Fix]) -> int:
    """Write predicates into their lines; return how many tickets changed.

    A line that was reworded meanwhile, or got a predicate, is left as it is.

    Raises:
        InvalidFileError: it cannot be done without harm to another line.
        EnvironmentFailure: a ticket cannot be written.
    """
    files: dict[str, dict[str, str]] = {}
    for fix in accepted:
        files.setdefault(fix.path, {})[fix.key] = fix.predicate
    return sum(
        tickets.edit_file(workspace.root / path, partial(_written, wanted))
        for path, wanted in files.items()
    )


def _written(wanted: dict[str, str], document: Document) -> Document:
    open_keys = {b.key for b in document.ticket.checkboxes if not tickets.has_predicate(b.text)}
    return document.set_predicates({key: wanted[key] for key in wanted.keys() & open_keys})
