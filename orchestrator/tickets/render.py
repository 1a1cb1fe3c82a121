"""The text of a new ticket, from the workspace's template or the shipped one."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.domain.ticket import Ticket, TicketStatus
from orchestrator.errors import InvalidFileError, UsageError
from orchestrator.templates import sandbox
from orchestrator.tickets.document import Document, parse

TEMPLATE = "ticket.md.j2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a new ticket shall say. `experiment` is a path relative to the workspace."""

    title: str
    after: tuple[str, ...] = ()
    experiment: str | None = None
    status: TicketStatus = TicketStatus.READY
    criteria: tuple[str, ...] = ()
    context: str = ""


def render_ticket(draft: Draft, path: str, templates: Path | None) -> Document:
    """Render a draft as the ticket file `path` (`tickets/T-0018.md`).

    `templates` is the workspace's own folder of templates, if it has one. What comes out is read
    back: a template that loses the title, the status or an edge is refused.

    Raises:
        UsageError: the title is empty.
        InvalidFileError: the template is broken, or what it makes is no such ticket.
    """
    from jinja2 import TemplateError  # noqa: PLC0415 - slow, and needed for new tickets only

    blank = parse(b"", path).ticket
    values = {
        "id": blank.id,
        "title": _one_line(draft.title),
        "status": draft.status.value,
        "after": list(draft.after),
        "experiment": draft.experiment,
        "criteria": [_one_line(line) for line in draft.criteria],
        "context": draft.context.strip(),
    }
    if not values["title"]:
        raise UsageError("a ticket needs a title", hint='exp ticket new "Train on 5% of the data"')
    try:
        text = sandbox(templates).get_template(TEMPLATE).render(values)
    except (TemplateError, OSError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise InvalidFileError(
            f"template {TEMPLATE} cannot be rendered: {error}",
            hint=f"mend or remove it{_in(templates)}",
        ) from error
    document = parse(text.encode("utf-8", "replace"), path)
    lost = _lost(values, document.ticket)
    if lost or document.title_id not in {None, blank.id}:
        raise InvalidFileError(
            f"template {TEMPLATE} makes a ticket without its {lost or 'own id'}",
            hint=f"compare it with the shipped template{_in(templates)}",
        )
    return document


def _lost(values: Mapping[str, object], ticket: Ticket) -> str | None:
    """The first value that the rendered ticket does not give back."""
    for name in ("title", "status", "after", "experiment"):
        read = getattr(ticket, name)
        if (list(read) if name == "after" else read) != values[name]:
            return name
    return None


def _one_line(text: str) -> str:
    """Text on one line, without control characters: it goes into a heading."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _in(templates: Path | None) -> str:
    return f" in {templates}" if templates is not None else ""
