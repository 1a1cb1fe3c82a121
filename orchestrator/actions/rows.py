"""Rows of tickets and of criteria, from what was read already."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator import tickets
from orchestrator.actions.run_list import RunSummary
from orchestrator.codec import read_record_if_present
from orchestrator.domain.criterion import Verdict
from orchestrator.domain.review import Review, Standing
from orchestrator.domain.run import Published
from orchestrator.domain.ticket import Ticket
from orchestrator.store.rows import Tally, VerdictRow
from orchestrator.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketRow:
    """One line of `exp ticket list`; `waits` says, where asked for, what a person must judge."""

    id: str
    title: str
    status: str
    phase: str
    after: tuple[str, ...]
    met: int
    criteria: int
    run: str | None
    run_status: str | None
    run_problem: str | None
    waits: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CriterionRow:
    """A criterion with its box, its reading and, after a run, its verdict.

    `number` counts the criteria of a ticket as it stands, `must` says that it is more than nice to
    have; `reviews` are what people say of it.
    """

    text: str
    section: str
    required: bool
    checked: bool
    predicate: str | None
    why_not: str | None
    verdict: Verdict | None
    polarity: str = "positive"
    tickable: bool = True
    number: int | None = None
    must: bool = True
    reviews: tuple[Standing, ...] = ()


def ticket_row(
    workspace: Workspace, ticket: Ticket, run: RunSummary | None, tally: Tally | None
) -> TicketRow:
    """Met criteria come from the newest run's verdicts, before any run from the boxes."""
    claims = [box for box in ticket.checkboxes if tickets.is_criterion(box)]
    met = sum(box.checked for box in claims)
    total = len(claims)
    if tally is not None:
        met, total = tally
    is_open = ticket.status == "ONGOING" and run is not None and run.status == "ended"
    return TicketRow(
        id=ticket.id,
        title=ticket.title,
        status=ticket.status,
        phase=ticket.phase,
        after=ticket.after,
        met=met,
        criteria=total,
        run=run.id if run else None,
        run_status=(run.outcome or run.status) if run else None,
        run_problem=_problem(workspace, run) if run and is_open else None,
    )


def _problem(workspace: Workspace, run: RunSummary) -> str | None:
    """What stood in the way when the end of a run was written down."""
    published = read_record_if_present(Published, workspace.run(run.id).published_file)
    return published.problems[0] if published and published.problems else None


def judged_rows(
    rows: Sequence[VerdictRow], run: str, ticket: Ticket | None, reviews: Sequence[Review]
) -> tuple[CriterionRow, ...]:
    """The criteria of a run as last judged, from the index, with the boxes as they stand."""
    boxes = ticket.checkboxes if ticket else ()
    checked = {box.key for box in boxes if box.checked}
    texts = {box.key: box.text for box in boxes}
    return tuple(
        CriterionRow(
            text=row.text,
            section=row.section,
            required=row.required,
            checked=row.key in checked,
            predicate=None,
            why_not=None,
            verdict=row.verdict,
            polarity=row.polarity,
            tickable=not row.text.startswith("|"),
            reviews=tickets.said_of_line(
                reviews, row.key, texts.get(row.key, row.text), run, row.verdict
            ),
        )
        for row in rows
    )
