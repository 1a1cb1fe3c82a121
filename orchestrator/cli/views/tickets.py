"""Tickets on the terminal."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchestrator.actions.rows import TicketRow
from orchestrator.cli.views.criteria import criteria_table
from orchestrator.cli.views.words import plain, word

if TYPE_CHECKING:
    from orchestrator.actions.reading import ReadyTicket
    from orchestrator.actions.ticket_detail import TicketDetail
    from orchestrator.tickets import LintFinding


def ticket_table(rows: Sequence[TicketRow]) -> RenderableType:
    """`exp ticket list`."""
    if not rows:
        return Text("no tickets", style="dim")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("ticket", "status", "phase", "met"):
        table.add_column(name, no_wrap=True)
    table.add_column("run")
    table.add_column("title", ratio=1)
    for row in rows:
        run = (
            Text.assemble(row.run, " ", word(row.run_status or "")) if row.run else Text("—", "dim")
        )
        met = f"{row.met}/{row.criteria}" if row.criteria else "—"
        # The text is cut, not the column: that would claim its whole width and leave others none.
        title = plain(row.title)
        title.no_wrap, title.overflow = True, "ellipsis"
        table.add_row(Text(row.id, "bold"), word(row.status), plain(row.phase), met, run, title)
        for reason in row.waits or ():
            table.add_row("", "", "", "", "", Text(plain(reason).plain, "yellow"))
    return table


def ticket_detail(detail: "TicketDetail") -> RenderableType:
    """`exp ticket show`: head, the ticket's own text, then its criteria."""
    from rich.markdown import Markdown
    from rich.rule import Rule

    from orchestrator.cli.console import clean

    ticket = detail.ticket
    head = Text.assemble((f"{ticket.id} ", "bold"), (plain(ticket.title).plain, "bold"))
    facts = Text.assemble(word(ticket.status), "  ", plain(ticket.phase))
    if ticket.after:
        facts.append(f"  after {', '.join(ticket.after)}")
    if detail.unblocks:
        facts.append(f"  before {', '.join(detail.unblocks)}")
    lines: list[RenderableType] = [head, facts, Text(plain(ticket.path).plain, style="cyan")]
    if detail.run:
        why = f"  {detail.why}" if detail.why else ""
        lines.append(Text.assemble(f"{detail.run} ", word(detail.run_status or ""), plain(why)))
    else:
        lines.append(Text("never started", style="dim"))
    # What decides stands last: it is what remains on the screen.
    lines += [
        Markdown(clean(_body(detail.text))),
        Rule(style="dim"),
        criteria_table(detail.criteria),
    ]
    return Group(*lines)


def _body(text: str) -> str:
    """The ticket from its first section on: title and header fields are shown above it."""
    found = re.search(r"^## ", text, re.MULTILINE)
    return text[found.start() :] if found else text


def ready_table(rows: Sequence["ReadyTicket"]) -> RenderableType:
    """`exp ticket next`."""
    if not rows:
        return Text("nothing is ready: see exp ticket graph", style="dim")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("ticket", style="bold", no_wrap=True)
    table.add_column("title", ratio=1)
    table.add_column("unblocks")
    for row in rows:
        table.add_row(row.id, plain(row.title), ", ".join(row.unblocks) or "—")
    return table


def findings(rows: "Sequence[LintFinding]") -> RenderableType:
    """`exp ticket lint`: place first, as compilers print it."""
    lines = []
    for row in rows:
        place = f"{row.path}:{row.line}" if row.line else row.path
        lines.append(
            Text.assemble(
                (plain(place).plain, "cyan"),
                " ",
                word(row.severity),
                f" [{row.rule}] ",
                plain(row.message),
            )
        )
        if row.hint:
            lines.append(Text(f"  → {plain(row.hint).plain}", style="dim"))
    return Group(*lines)
