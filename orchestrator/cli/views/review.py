"""`exp ticket review` on the terminal: one criterion with all that a person needs to judge it."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.text import Text

from orchestrator.actions.checking import CheckedCriterion, TicketCheck
from orchestrator.actions.evidence import LogLine, Surroundings
from orchestrator.cli.views.chart import chart
from orchestrator.cli.views.check import explained
from orchestrator.cli.views.words import plain, review_lines, verdict_mark, word
from orchestrator.tickets import without_predicate

_HEIGHT = 10  # lines of the chart, with its heading
_WIDEST = 100  # characters
_TITLE = 160  # characters of a title: two lines
_LONGEST = 200  # characters of a log line


def review_head(check: TicketCheck) -> Text:
    """Which ticket, how it stands, and by which run it is judged."""
    title = plain(check.title)
    title.truncate(_TITLE, overflow="ellipsis")
    head = Text.assemble((check.ticket, "bold"), ": ", title, "  ", word(check.status), "\n")
    head.append_text(Text.assemble(check.run or "", " ", word(check.run_status or "")))
    if check.why:
        head.append(f"  {plain(check.why).plain}", "dim")
    return head


def review_screen(
    row: CheckedCriterion, count: int, around: Surroundings, *, width: int
) -> RenderableType:
    """One criterion: reading, verdict, evidence with the points around it, chart, log lines."""
    title = Text.assemble((f"C{row.number} of {count}", "bold"), f"  {plain(row.section).plain}")
    parts: list[RenderableType] = [Rule(title, align="left", style="dim"), explained(row)]
    if around.curve is not None:
        drawn = chart(around.curve, width=min(width - 4, _WIDEST), height=_HEIGHT)
        parts.append(Padding(drawn, (1, 0, 0, 4)))
    if around.lines:
        parts.append(Padding(_log(around.log or "", around.lines), (1, 0, 0, 4)))
    if row.waits:
        parts.append(Padding(Text(f"waits: {plain(row.waits).plain}", "yellow"), (1, 0, 0, 4)))
    return Group(*parts)


def review_summary(rows: Sequence[CheckedCriterion]) -> RenderableType:
    """Each criterion in one line, with what people say of it below."""
    lines = Text()
    for row in rows:
        lines.append(f"  C{row.number:<3}")
        lines.append_text(verdict_mark(row.verdict, row.polarity))
        lines.append(f"  {plain(without_predicate(row.text)).plain}\n")
        for said in review_lines(row.reviews):
            lines.append("        ").append_text(said).append("\n")
    lines.rstrip()
    return lines


def _log(log: str, lines: Sequence[LogLine]) -> Text:
    text = Text(plain(log).plain, "cyan")
    for line in lines:
        mark = "→" if line.decides else " "
        number = "" if line.number is None else f"{line.number:>6} "
        text.append(f"\n{mark} {number}{plain(line.text).plain[:_LONGEST]}", "dim")
    return text
