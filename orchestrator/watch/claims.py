"""The criteria of a ticket, read from its checkboxes."""

from orchestrator import criteria, tickets
from orchestrator.domain.criterion import Criterion
from orchestrator.domain.ticket import Checkbox, Ticket

# Judged like all criteria, but a ticket can be DONE without them.
_BESIDE = "verification plan"


def criteria_of(ticket: Ticket) -> tuple[Criterion, ...]:
    """Read every checkbox that states a condition of the ticket.

    The must lines gate the ticket; those of the Verification Plan do not, and no alarm does.
    """
    return tuple(_criterion(box) for box in ticket.checkboxes if tickets.is_criterion(box))


def _criterion(box: Checkbox) -> Criterion:
    reading = criteria.read(box.text, box.heading)
    goal = reading.tier == "must" and reading.polarity != "inverted"
    gates = goal and box.section.casefold() != _BESIDE
    return Criterion(
        key=box.key, text=box.text, section=box.section, required=gates, reading=reading
    )
