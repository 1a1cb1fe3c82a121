"""Lines beside their readings."""

from collections.abc import Collection, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchestrator.actions.criteria import ReadLine
from orchestrator.actions.linting import LineReading
from orchestrator.cli.views.words import plain
from orchestrator.domain.criterion import Decidable, Reading
from orchestrator.domain.run import RunRecord
from orchestrator.tickets import without_predicate
from orchestrator.watch.bindings import Bound, bound_names

_SHOWN = 40  # criteria told of at a start


def reading_table(rows: Sequence[ReadLine]) -> RenderableType:
    """`exp criteria read --table`: line, what it says, and what the machine makes of it."""
    if not rows:
        return Text("no criteria", style="dim")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("line", justify="right", style="dim", no_wrap=True)
    table.add_column("criterion", ratio=1, overflow="fold")
    table.add_column("kind", no_wrap=True, max_width=18, overflow="ellipsis")
    table.add_column("reading", ratio=1, overflow="fold")
    for row in rows:
        reading = row.reading
        table.add_row(
            str(row.number), plain(row.line), plain(str(reading.kind)), reading_text(reading)
        )
    return table


def reading_text(reading: Reading) -> Text:
    """The predicate of a definite reading, else the question, with what is suggested."""
    words = Text()
    if not reading.is_goal:
        red = reading.is_alarm
        words.append("alarm: " if red else "rule: ", style="red" if red else "cyan")
    if reading.tier != "must":
        words.append(f"{reading.tier}: ", style="dim")
    if reading.decidable is Decidable.YES:
        words.append(plain(reading.predicate or "").plain)
        return words
    words.append(f"{reading.decidable}: ", style="yellow")
    words.append(plain(reading.why or "a person decides").plain)
    if reading.predicate:
        words.append(f"\nperhaps: {plain(reading.predicate).plain}", style="dim")
    return words


def lint_readings(rows: Sequence[LineReading]) -> RenderableType:
    """`exp ticket lint --readings`: place, line, and what it is read as."""
    if not rows:
        return Text("no criteria", style="dim")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("where", style="cyan", no_wrap=True)
    table.add_column("criterion", ratio=1, overflow="fold")
    table.add_column("reading", ratio=1, overflow="fold")
    for row in rows:
        table.add_row(
            plain(f"{row.path}:{row.line}"),
            plain(without_predicate(row.text)),
            reading_text(row.reading),
        )
    return table


def start_readings(record: RunRecord, known: Collection[str]) -> RenderableType:
    """What a run will be judged by: each line, its reading, and the series it is bound to."""
    table = Table.grid(padding=(0, 2))
    table.add_column(ratio=1, overflow="fold")
    table.add_column(ratio=1, overflow="fold")
    for criterion in record.criteria[:_SHOWN]:
        words = reading_text(criterion.reading)
        for bound in bound_names(criterion.reading, record.metrics, known):
            words.append_text(_series(bound))
        table.add_row(Text("  ").append_text(plain(without_predicate(criterion.text))), words)
    more = len(record.criteria) - _SHOWN
    if more <= 0:
        return table
    ticket = record.ticket.id if record.ticket else ""
    return Group(table, Text(f"  and {more:,} more: exp ticket check {ticket}", style="dim"))


def _series(bound: Bound) -> Text:
    """One line on a series: which it is and why, or when that will be known."""
    if bound.series is not None:
        name = "" if bound.series == bound.name else f"{bound.name} is "
        return Text(f"\n{plain(f'{name}{bound.series} ({bound.how})').plain}", style="dim")
    if bound.near:
        near = f"{bound.how}: {', '.join(bound.near)}"
        return Text(f"\n{plain(near).plain}", style="yellow")
    return Text(f"\n{plain(bound.name).plain} binds when first logged", style="dim")
