"""The criteria of a ticket, read from its checkboxes."""

from orchestrator import criteria
from orchestrator.domain.criterion import Criterion
from orchestrator.domain.ticket import Checkbox, Ticket

GATING_SECTION = "acceptance criteria"
_CHECKED_HEADING = "manual verification"


def criteria_of(ticket: Ticket) -> tuple[Criterion, ...]:
    """Read the checkboxes under Acceptance Criteria and Manual Verification.

    Only must lines of Acceptance Criteria gate the ticket.
    """
    return tuple(_criterion(box) for box in ticket.checkboxes if is_claim(box))


def is_claim(box: Checkbox) -> bool:
    """Whether a checkbox is a criterion that runs are judged by."""
    return box.section.casefold() == GATING_SECTION or box.heading.casefold() == _CHECKED_HEADING


def _criterion(box: Checkbox) -> Criterion:
    reading = criteria.read(box.text, box.heading)
    gates = box.section.casefold() == GATING_SECTION and reading.tier == "must"
    return Criterion(
        key=box.key, text=box.text, section=box.section, required=gates, reading=reading
    )
