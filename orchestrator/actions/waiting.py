"""`exp ticket list --needs-review`: tickets whose runs have ended and whose criteria wait."""

from collections.abc import Iterator
from dataclasses import replace

from orchestrator import tickets
from orchestrator.actions.rows import CriterionRow, TicketRow
from orchestrator.actions.ticket_detail import show_ticket
from orchestrator.domain.review import undone, waits
from orchestrator.domain.run import Outcome
from orchestrator.domain.ticket import TicketPhase, TicketStatus
from orchestrator.workspace import Workspace

_STATUSES = {TicketStatus.ONGOING, TicketStatus.DONE}
# What went wrong asks for another run, and not for a judgement of this one.
_ENDS = {Outcome.COMPLETED, Outcome.STOPPED}


def needing_review(workspace: Workspace, rows: list[TicketRow]) -> list[TicketRow]:
    """Those of `rows` that wait for a person's word, with what it is about.

    An ONGOING ticket waits when its run has ended and a criterion is not decided, a DONE one when
    a review that it rests on has expired, or a criterion was rejected since.
    """
    found = []
    for row in rows:
        if row.run is None or row.status not in _STATUSES:
            continue
        reasons = tuple(
            _done(workspace, row) if row.status == TicketStatus.DONE else _open(workspace, row)
        )
        if reasons:
            found.append(replace(row, waits=reasons))
    return found


def _open(workspace: Workspace, row: TicketRow) -> Iterator[str]:
    if row.run_status not in _ENDS:
        return
    reasons = [*_reasons(show_ticket(workspace, row.id).criteria)]
    yield from reasons
    if not reasons and row.phase == TicketPhase.VERIFYING:
        yield "the ticket is not decided"


def _reasons(criteria: tuple[CriterionRow, ...]) -> Iterator[str]:
    for each in criteria:
        why = waits(each.verdict, each.reviews, polarity=each.polarity, checked=each.checked)
        if why and (each.must or each.reviews):
            yield f"C{each.number}: {why}"


def _done(workspace: Workspace, row: TicketRow) -> Iterator[str]:
    """Only a ticket that holds reviews is looked at: there may be thousands that are DONE."""
    reviews = tickets.reviews_at(tickets.locate(workspace.tickets, row.id))
    if not reviews:
        return
    detail = show_ticket(workspace, row.id)
    there = {tickets.plain_key(box.key) for box in detail.ticket.checkboxes}
    there |= {" ".join(each.text.split()) for each in detail.criteria if not each.tickable}
    for key in dict.fromkeys(review.key for review in reviews if review.key not in there):
        yield f"a reviewed line stands there no more: {key}"
    for each in detail.criteria:
        if why := undone(each.reviews):
            yield f"C{each.number}: {why}"
