"""Criteria with their verdicts and evidence."""

from collections.abc import Sequence

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from orchestrator.actions.rows import CriterionRow
from orchestrator.cli.views.words import box_of, plain, review_lines, verdict_mark
from orchestrator.domain.criterion import State
from orchestrator.tickets import without_predicate


def criteria_table(rows: Sequence[CriterionRow]) -> RenderableType:
    """One line a criterion: box, verdict, text, evidence."""
    if not rows:
        return Text("no criteria", style="dim")
    table = Table(box=box.SIMPLE_HEAD, expand=False, pad_edge=False)
    table.add_column("box", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("criterion", ratio=2)
    table.add_column("evidence", ratio=3, overflow="fold")
    section = None
    for row in rows:
        if section is not None and row.section != section:
            table.add_section()
        section = row.section
        text = (
            plain(without_predicate(row.text))
            if row.required or row.polarity != "positive"
            else Text.assemble(plain(without_predicate(row.text)), ("  optional", "dim"))
        )
        table.add_row(
            Text(f"{f'C{row.number} ' if row.number else ''}{_box(row)}"),
            verdict_mark(row.verdict, row.polarity),
            text,
            _with_reviews(evidence(row), row),
        )
    for column in table.columns[:1]:
        column.style = "dim"
    return table


def _box(row: CriterionRow) -> str:
    return box_of(checked=row.checked, tickable=row.tickable)


def evidence(row: CriterionRow) -> Text:
    """Why the verdict is what it is; before any run, how the line was read."""
    if row.verdict is None or (row.verdict.state is State.MANUAL and row.why_not):
        reason = row.why_not or (f"reads: {row.predicate}" if row.predicate else "")
        return Text.assemble((plain(reason).plain, "dim"))
    text = plain(row.verdict.why)
    found = row.verdict.evidence
    if found is not None and found.source:
        place = plain(f"{found.source}:{found.line}" if found.line else found.source).plain
        if place not in text.plain:
            text.append(f"\n{place}", style="dim cyan")
    for companion in row.verdict.companions:
        text.append(f"\nwarning: {plain(companion).plain}", style="yellow")
    return text


def _with_reviews(text: Text, row: CriterionRow) -> Text:
    for said in review_lines(row.reviews):
        text.append("\n").append_text(said)
    return text
