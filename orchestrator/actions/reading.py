"""What the commands that only look show: tickets, runs, verdicts."""

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator import tickets
from orchestrator.actions.follow import require_record
from orchestrator.actions.rows import CriterionRow, TicketRow, ticket_row
from orchestrator.actions.run_list import RunSummary, current_runs, list_runs, summary_of
from orchestrator.codec import read_record_if_present
from orchestrator.domain.criterion import Criterion, Verdict
from orchestrator.domain.finding import Finding
from orchestrator.domain.run import Published
from orchestrator.domain.ticket import Ticket
from orchestrator.errors import NotFoundError
from orchestrator.store import Reader
from orchestrator.store.rows import LatestValue
from orchestrator.tickets import Document
from orchestrator.watch.findings import open_findings
from orchestrator.watch.live import state_of
from orchestrator.watch.stories import AttemptStory, stories
from orchestrator.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDetail:
    """`exp run show`, and the end of `--follow`."""

    id: str
    ticket: str | None
    title: str | None
    experiment: str | None
    status: str
    outcome: str | None
    why: str
    attempts: int
    step: int | None
    planned_steps: int | None
    started: float | None
    ended: float | None
    story: tuple[AttemptStory, ...]
    params: dict[str, object]
    commands: tuple[str, ...]
    criteria: tuple[CriterionRow, ...]
    latest: dict[str, LatestValue]
    folder: str
    log: str
    commit: str | None
    report: str | None
    problems: tuple[str, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyTicket:
    """One line of `exp ticket next`."""

    id: str
    title: str
    unblocks: tuple[str, ...]


def list_tickets(
    workspace: Workspace, *, statuses: tuple[str, ...] = (), text: str | None = None
) -> list[TicketRow]:
    """Tickets by id, with the run that judged them last."""
    wanted = {status.upper() for status in statuses}
    chosen = [
        ticket
        for ticket in load_tickets(workspace)
        if (not wanted or ticket.status.upper() in wanted)
        and (text is None or text.casefold() in ticket.title.casefold())
    ]
    return ticket_rows(workspace, chosen, list_runs(workspace))


def ticket_rows(
    workspace: Workspace, chosen: Iterable[Ticket], runs: Iterable[RunSummary]
) -> list[TicketRow]:
    """Tickets beside those of `runs` that tell of them now."""
    current = current_runs(runs)
    with Reader(workspace.database) as reader:
        tallies = reader.tallies([run.id for run in current.values()])
        return [
            ticket_row(workspace, ticket, run, tallies.get(run.id) if run else None)
            for ticket in chosen
            for run in [current.get(ticket.id)]
        ]


def load_tickets(workspace: Workspace) -> list[Ticket]:
    """Every ticket of the workspace; files that the index knows unchanged are not read again."""
    with Reader(workspace.database) as reader:
        known = {row.ticket.path: row for row in reader.tickets()}
    return tickets.load_all(workspace.tickets, known=known)


def criterion_rows(
    workspace: Workspace,
    claims: tuple[Criterion, ...],
    run: str | None,
    document: Document | None,
) -> tuple[CriterionRow, ...]:
    """Criteria beside their verdicts; what was edited since the run began has none."""
    verdicts: dict[str, Verdict] = {}
    if run is not None:
        with Reader(workspace.database) as reader:
            verdicts = {row.key: row.verdict for row in reader.verdicts(run)}
    boxes = document.ticket.checkboxes if document else ()
    checked = {box.key for box in boxes if box.checked}
    reviews = tickets.reviews_of(document) if document else ()
    return tuple(
        CriterionRow(
            text=claim.text,
            section=claim.section,
            required=claim.required,
            checked=claim.key in checked,
            predicate=claim.reading.predicate,
            why_not=claim.reading.why,
            verdict=verdicts.get(claim.key),
            polarity=claim.reading.polarity,
            tickable=claim.tickable,
            must=claim.reading.tier == "must",
            reviews=tickets.said_of_line(
                reviews, claim.key, claim.text, run, verdicts.get(claim.key)
            ),
        )
        for claim in claims
    )


def run_detail(workspace: Workspace, text: str) -> RunDetail:
    """One run with everything the index and its files know.

    Raises:
        NotFoundError: there is no such run.
    """
    folder = workspace.run(text)
    record = require_record(folder)
    with Reader(workspace.database) as reader:
        row = reader.run(folder.id)
        latest = reader.latest([folder.id]).get(folder.id, {})
        story = stories(folder, record, reader)
    summary = summary_of(folder, record, row)
    published = read_record_if_present(Published, folder.published_file)
    ticket = _ticket_now(workspace, record.ticket.id) if record.ticket else None
    attempts = folder.attempts()
    request = state_of(folder, record).attempt.request
    return RunDetail(
        id=folder.id,
        ticket=record.ticket.id if record.ticket else None,
        title=record.ticket.title if record.ticket else None,
        experiment=record.experiment,
        status=summary.status,
        outcome=summary.outcome,
        why=summary.why,
        attempts=len(attempts),
        step=summary.step,
        planned_steps=record.planned_steps,
        started=summary.started,
        ended=summary.ended,
        story=story,
        params=record.params | (request.settings if request else {}),
        commands=tuple(" ".join(command.argv) for command in record.commands),
        criteria=criterion_rows(workspace, record.criteria, folder.id, ticket),
        latest=latest,
        folder=str(folder.path),
        log=str(attempts[-1].log) if attempts else "—",
        commit=published.commit if published else None,
        report=published.report if published else None,
        problems=published.problems if published else (),
        findings=open_findings(folder),
    )


def _ticket_now(workspace: Workspace, ticket_id: str) -> Document | None:
    """The ticket as it stands, or None if somebody removed it."""
    try:
        return tickets.find(workspace.tickets, ticket_id)
    except NotFoundError:
        return None


def ready_tickets(workspace: Workspace) -> list[ReadyTicket]:
    """READY tickets whose dependencies are DONE, with what they would free."""
    everything = load_tickets(workspace)
    return [
        ReadyTicket(
            id=ticket.id, title=ticket.title, unblocks=tickets.unblocks(everything, ticket.id)
        )
        for ticket in tickets.ready(everything)
    ]


def ticket_graph(workspace: Workspace, *, mermaid: bool) -> str:
    """The dependencies as a text tree or as a Mermaid flowchart.

    Raises:
        RefusedError: they run in a circle, which is named.
    """
    everything = load_tickets(workspace)
    return tickets.mermaid(everything) if mermaid else tickets.tree(everything)
