"""`exp ticket check` on the terminal."""

from collections.abc import Iterator

from rich import box
from rich.console import Group, RenderableType
from rich.constrain import Constrain
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from orchestrator.actions.checking import CheckedCriterion, Result, TicketCheck
from orchestrator.actions.nearby import NearPoint
from orchestrator.cli.views.words import box_of, number, plain, review_lines, verdict_mark, word
from orchestrator.domain.criterion import Projection, State, Verdict
from orchestrator.tickets import without_predicate

_WIDEST = 120  # characters
_RESULTS = {
    Result.MET: ("every required criterion is met", "green"),
    Result.FAILED: ("a required criterion has failed", "bold red"),
    Result.OPEN: ("not decided", "yellow"),
}


def ticket_check(check: TicketCheck, *, explain: bool) -> RenderableType:
    """Each criterion with box, verdict and margin; with `explain` all that led there."""
    head = Text.assemble((check.ticket, "bold"), ": ", plain(check.title))
    parts: list[RenderableType] = [head, _run_line(check), Text()]
    if not check.criteria:
        parts.append(Text("no criteria", style="dim"))
    section = None
    for row in check.criteria:
        if row.section != section:
            parts.append(Text(plain(row.section).plain or "(no section)", style="bold"))
            section = row.section
        parts.append(_criterion(row, explain=explain))
        if explain:
            parts.append(Text())
    said, style = _RESULTS[check.result]
    if not explain:
        parts.append(Text())
    parts.append(Text.assemble((said, style), f": {_tally(check)}"))
    # On a wide screen the margins would stand far from the lines they belong to.
    return Constrain(Group(*parts), _WIDEST)


def _run_line(check: TicketCheck) -> Text:
    if check.run is None:
        return Text("never started: only how the lines are read", style="dim")
    why = f"  {plain(check.why).plain}" if check.why else ""
    return Text.assemble(check.run, " ", word(check.run_status or ""), (why, "dim"))


def _tally(check: TicketCheck) -> str:
    required = [row for row in check.criteria if row.required]
    met = sum(row.verdict is not None and row.verdict.state is State.MET for row in required)
    return f"{met} of {len(required)} required criteria met"


def explained(row: CheckedCriterion) -> RenderableType:
    """One criterion with all that led to its verdict."""
    return _criterion(row, explain=True)


def _criterion(row: CheckedCriterion, *, explain: bool) -> RenderableType:
    head = Table.grid(padding=(0, 1), expand=True)
    head.add_column(min_width=3, no_wrap=True, style="bold")
    head.add_column(width=3)
    head.add_column(width=18)
    head.add_column(ratio=1, overflow="fold")
    head.add_column(justify="right", no_wrap=True)
    mark = verdict_mark(row.verdict, row.polarity)
    text = plain(without_predicate(row.text))
    if not row.required and row.polarity == "positive":
        text.append(f"  {row.tier if row.tier != 'must' else 'does not gate'}", "dim")
    tick = Text(box_of(checked=row.checked, tickable=row.tickable), style="dim")
    head.add_row(f"C{row.number}" if row.number else "—", tick, mark, text, margin(row.verdict))
    lines = Table.grid(padding=(0, 1))
    lines.add_column(style="dim", no_wrap=True)
    lines.add_column(overflow="fold")
    for name, value in _remarks(row):
        lines.add_row(name, value)
    if explain:
        for name, value in _explanation(row):
            lines.add_row(name, value)
    elif row.verdict is None or row.verdict.state is not State.MET:
        lines.add_row("", Text(_short_reason(row), style="dim"))
    parts: list[RenderableType] = [head]
    if lines.row_count:
        parts.append(Padding(lines, (0, 0, 0, 4)))
    if explain and row.points:
        parts.append(Padding(_points(row.points), (0, 0, 0, 4)))
    return Group(*parts)


def _short_reason(row: CheckedCriterion) -> str:
    if row.verdict is not None:
        return plain(row.verdict.why).plain
    return plain(row.predicate if row.decidable == "yes" and row.predicate else row.words).plain


def _remarks(row: CheckedCriterion) -> Iterator[tuple[str, Text]]:
    """What a person must see even without an explanation."""
    for said in review_lines(row.reviews):
        yield "review", said
    if row.was is not None:
        now = plain(row.became).plain if row.became is not None else "gone"
        numbers = f"  ({row.change})" if row.change else ""
        yield "edited", Text(f"after the start{numbers}; now: {now}", style="yellow")
    if row.added:
        yield "added", Text("after the start: this run does not judge it", style="yellow")
    if row.against:
        yield "ticked", Text("although this evidence says no", style="bold red")
    for companion in row.verdict.companions if row.verdict else ():
        yield "warning", Text(plain(companion).plain, style="yellow")


def _explanation(row: CheckedCriterion) -> Iterator[tuple[str, Text]]:
    decided = row.decidable == "yes"
    lead = {"inverted": "alarm if ", "conditional": "rule: if "}.get(row.polarity, "")
    yield "reads" if decided else row.decidable, plain(lead + row.words)
    if row.note:
        yield "note", plain(row.note)
    if row.predicate:
        yield "predicate" if decided else "perhaps", plain(row.predicate)
    for bound in row.series:
        near = f"; near: {', '.join(bound.near)}" if bound.near else ""
        known = f"{bound.series or 'none'} ({bound.how}){near}"
        yield "series", plain(known if bound.series == bound.name else f"{bound.name} → {known}")
    verdict = row.verdict
    if verdict is None:
        return
    if verdict.why != row.words:  # of a line for a person they are the same
        yield "because", plain(verdict.why)
    found = verdict.evidence
    if found is not None and found.source and not row.points:
        place = f"{found.source}:{found.line}" if found.line else found.source
        yield "evidence", Text(plain(place).plain, style="cyan")
    if verdict.projection is not None:
        yield "projection", plain(projection(verdict.projection))


def _points(points: tuple[NearPoint, ...]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column("step", justify="right", no_wrap=True)
    table.add_column(plain(points[0].series).plain, justify="right", no_wrap=True)
    table.add_column("where", overflow="fold", style="dim cyan")
    for point in points:
        value = number(point.value) if isinstance(point.value, float | int) else str(point.value)
        table.add_row(
            Text("→" if point.decides else "", "cyan"),
            "—" if point.step is None else f"{point.step:,}",
            plain(value),
            plain(f"{point.source}:{point.line}"),
        )
    return table


def margin(verdict: Verdict | None) -> Text:
    """`+0.4`, `-2.1 pp`: how far on the good or the bad side."""
    if verdict is None or verdict.margin is None:
        return Text("")
    value, unit = verdict.margin, verdict.unit
    if unit == "%":
        value, unit = value * 100, "pp"
    sign = "+" if value >= 0 else ""
    style = "green" if value >= 0 else "red"
    return Text(f"{sign}{number(value)}{f' {unit}' if unit else ''}", style=style)


def projection(found: Projection) -> str:
    """When a pending bound would be crossed, with its interval and how that was reckoned."""
    if found.step is None:
        return f"not at this trend ({found.method})"
    if found.low is None:
        return f"about step {found.step:,} ({found.method})"
    high = "?" if found.high is None else f"{found.high:,}"
    return f"about step {found.step:,}, {found.low:,} to {high} ({found.method})"
