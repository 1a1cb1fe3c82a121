"""`exp ticket check`: what each criterion of a ticket was read as, and what a run says of it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum

from orchestrator import tickets
from orchestrator.actions.commands import CommandRun, run_commands
from orchestrator.actions.follow import require_record
from orchestrator.actions.judging import Judged, judged, judged_afresh, refresh
from orchestrator.actions.nearby import NearPoint, points_around
from orchestrator.actions.run_list import RunSummary, current_runs, list_runs
from orchestrator.actions.specs import said_of
from orchestrator.actions.wording import in_words
from orchestrator.domain.criterion import Criterion, State, Verdict
from orchestrator.domain.review import Standing, waits
from orchestrator.domain.run import RunRecord
from orchestrator.domain.ticket import Checkbox, Ticket
from orchestrator.errors import RefusedError
from orchestrator.tickets import Change, Document
from orchestrator.watch.bindings import Bound, bound_names
from orchestrator.watch.claims import criteria_of, readings_of
from orchestrator.watch.daemon import ensure_watcher
from orchestrator.watch.live import has_pending
from orchestrator.workspace import RunFolder, Workspace


class Result(IntEnum):
    """What a check comes to; the numbers are exit codes."""

    MET = 0
    FAILED = 1
    OPEN = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedCriterion:
    """One criterion as the run was started with it, or as it stands where no run has judged it.

    `words` is its reading, `line` where it stands in the ticket now, None if it is gone. `change`
    tells of an edit after the start. `against` marks a box that a person ticked although the
    evidence says no, `added` a line that the run was not started with. `points` and `series` are
    filled in for an explanation only. `number` counts the criteria of the ticket as it stands (C1,
    C2, …), None for one that stands there no more; `key` and `line_text` are those of its line now.
    `reviews` are what people say of it, `waits` is why a person has to.
    """

    key: str
    number: int | None
    line_text: str
    text: str
    section: str
    line: int | None
    required: bool
    polarity: str
    tickable: bool
    tier: str
    checked: bool
    words: str
    decidable: str
    predicate: str | None
    note: str | None
    verdict: Verdict | None
    was: str | None
    became: str | None
    change: str | None
    added: bool
    against: bool
    series: tuple[Bound, ...] = ()
    points: tuple[NearPoint, ...] = ()
    reviews: tuple[Standing, ...] = ()
    waits: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketCheck:
    """A ticket checked against one run; `run` is None if it was never started.

    `status` is the ticket's own, `live` says that the run has not ended.
    """

    ticket: str
    title: str
    status: str
    path: str
    run: str | None
    run_status: str | None
    live: bool
    why: str | None
    result: Result
    criteria: tuple[CheckedCriterion, ...]


def check_ticket(
    workspace: Workspace,
    text: str,
    *,
    run: str | None = None,
    explain: bool = False,
    afresh: bool = False,
) -> TicketCheck:
    """Judge a ticket by its newest run, or by the one that is named.

    With `afresh` the index is not asked: something was written that it may not know yet.

    Raises:
        NotFoundError: there is no such ticket or run.
        RefusedError: the run is another ticket's.
    """
    document = tickets.find(workspace.tickets, text)
    ticket = document.ticket
    if workspace.state.is_dir() and has_pending(workspace):
        ensure_watcher(workspace)
    chosen = _chosen(workspace, ticket, run)
    claims = _claims(workspace, document)
    if chosen is None:
        rows = tuple(_row(box, claim) for box, claim in claims)
        return _check(ticket, None, _reviewed(document, claims, rows, None))
    folder = workspace.run(chosen.id)
    record = require_record(folder)
    found = (judged_afresh if afresh else judged)(workspace, folder, record)
    rows = tuple(_judged_rows(ticket, record, found))
    if explain:
        pairs = zip(rows, record.criteria, strict=True)
        rows = tuple(_explained(row, folder, claim, record, found) for row, claim in pairs)
    rows = (*rows, *_added_rows(claims, ticket, record))
    return _check(ticket, chosen, _reviewed(document, claims, rows, chosen.id))


def _reviewed(
    document: Document,
    claims: list[tuple[Checkbox, Criterion]],
    rows: tuple[CheckedCriterion, ...],
    run: str | None,
) -> tuple[CheckedCriterion, ...]:
    """The rows with their numbers, and what people say of the lines as they stand now."""
    reviews = tickets.reviews_of(document)
    numbers = {box.key: number for number, (box, _) in enumerate(claims, 1)}
    found = []
    for row in rows:
        verdict = judged_as_it_stands(row)
        said = tickets.said_of_line(reviews, row.key, row.line_text, run, verdict)
        number = numbers.get(row.key)
        needed = waits(verdict, said, polarity=row.polarity, checked=row.checked)
        needed = needed if run and number and row.tier == "must" else None
        found.append(replace(row, number=number, reviews=said, waits=needed))
    return tuple(found)


def judged_as_it_stands(row: CheckedCriterion) -> Verdict | None:
    """The verdict on a line, None if it was edited since it was judged."""
    return row.verdict if row.was is None else None


def check_commands(
    workspace: Workspace, text: str, *, run: str | None = None
) -> Iterator[CommandRun]:
    """Run the commands that the criteria of a run name, and record how each ended.

    Raises:
        NotFoundError: there is no such ticket or run.
        RefusedError: the workspace is not trusted, or there is no run to record it with.
        EnvironmentFailure: a result cannot be written.
    """
    document = tickets.find(workspace.tickets, text)
    chosen = _chosen(workspace, document.ticket, run)
    if chosen is None:
        raise RefusedError(
            f"{document.ticket.id} was never started: there is no run to record with",
            hint=f"exp ticket start {document.ticket.id}",
        )
    folder = workspace.run(chosen.id)
    record = require_record(folder)
    current = criteria_of(document, said_of(workspace, document.ticket))
    yield from run_commands(workspace, folder, record, current)
    refresh(workspace, folder, record)


def _chosen(workspace: Workspace, ticket: Ticket, run: str | None) -> RunSummary | None:
    if run is None:
        return current_runs(list_runs(workspace, ticket=ticket.id)).get(ticket.id)
    folder = workspace.run(run)
    record = require_record(folder)
    owner = record.ticket.id if record.ticket else None
    if owner != ticket.id:
        whose = f"a run of {owner}" if owner else "a run without a ticket"
        raise RefusedError(
            f"{folder.id} is {whose}, not of {ticket.id}",
            hint=f"exp run list --ticket {ticket.id}",
        )
    return next(row for row in list_runs(workspace) if row.id == folder.id)


def _claims(workspace: Workspace, document: Document) -> list[tuple[Checkbox, Criterion]]:
    said = said_of(workspace, document.ticket)
    boxes = {box.key: box for box, _ in readings_of(document, said)}
    return [(boxes[claim.key], claim) for claim in criteria_of(document, said)]


def _judged_rows(ticket: Ticket, record: RunRecord, found: Judged) -> Iterator[CheckedCriterion]:
    boxes = {box.key: box for box in ticket.checkboxes}
    changes = {c.criterion.key: c for c in tickets.changes_since(ticket, record.criteria)}
    for claim, verdict in zip(record.criteria, found.verdicts, strict=True):
        change = changes.get(claim.key)
        box = change.now if change else boxes.get(claim.key)
        yield _row(box, claim, verdict=verdict, change=change)


def _added_rows(
    claims: list[tuple[Checkbox, Criterion]], ticket: Ticket, record: RunRecord
) -> Iterator[CheckedCriterion]:
    """Lines that the run was not started with; one that replaced another stands beside it."""
    known = {claim.key for claim in record.criteria}
    changes = tickets.changes_since(ticket, record.criteria)
    known |= {change.now.key for change in changes if change.now is not None}
    for box, claim in claims:
        if claim.key not in known:
            yield _row(box, claim, added=True)


def _row(
    box: Checkbox | None,
    claim: Criterion,
    *,
    verdict: Verdict | None = None,
    change: Change | None = None,
    added: bool = False,
) -> CheckedCriterion:
    reading, checked = claim.reading, box is not None and box.checked
    failed = verdict is not None and verdict.state is State.FAILED
    return CheckedCriterion(
        key=box.key if box else claim.key,
        number=None,
        line_text=box.text if box else claim.text,
        text=claim.text,
        section=claim.section,
        line=box.line if box else None,
        required=claim.required,
        polarity=reading.polarity,
        tickable=claim.tickable,
        tier=reading.tier,
        checked=checked,
        words=in_words(reading),
        decidable=str(reading.decidable),
        predicate=reading.predicate,
        note=reading.note,
        verdict=verdict,
        was=change.was if change else None,
        became=change.became if change else None,
        change=change.numbers if change else None,
        added=added,
        against=checked and failed and reading.is_goal,
    )


def _explained(
    row: CheckedCriterion, folder: RunFolder, claim: Criterion, record: RunRecord, found: Judged
) -> CheckedCriterion:
    """The row with the series it was bound to, and the points around the one that decided."""
    series = bound_names(claim.reading, record.metrics, found.series, claim.bindings)
    names = [bound.series for bound in series if bound.series is not None]
    evidence = row.verdict.evidence if row.verdict else None
    points = points_around(folder, evidence, names or found.series)
    return replace(row, series=series, points=points)


def _check(
    ticket: Ticket, run: RunSummary | None, rows: tuple[CheckedCriterion, ...]
) -> TicketCheck:
    return TicketCheck(
        ticket=ticket.id,
        title=ticket.title,
        status=ticket.status,
        path=ticket.path,
        run=run.id if run else None,
        run_status=(run.outcome or run.status) if run else None,
        live=run is not None and run.status != "ended",
        why=run.why if run else None,
        result=_result(rows),
        criteria=rows,
    )


def _result(rows: tuple[CheckedCriterion, ...]) -> Result:
    """Met only if every required criterion is, in the words that the ticket has now."""
    required = [row for row in rows if row.required]
    states = [row.verdict.state if row.verdict else None for row in required]
    lasting = [row.verdict is not None and row.verdict.final for row in required]
    if any(s is State.FAILED and final for s, final in zip(states, lasting, strict=True)):
        return Result.FAILED
    met = all(state in {State.MET, State.WAIVED} for state in states)
    edited = any(row.was is not None for row in required)
    return Result.MET if required and met and not edited else Result.OPEN
