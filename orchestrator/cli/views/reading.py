"""Lines beside their readings."""

from collections.abc import Sequence

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from orchestrator.actions.criteria import ReadLine
from orchestrator.cli.views.words import plain
from orchestrator.domain.criterion import Decidable, Reading


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
    if reading.polarity == "inverted":
        words.append("alarm: ", style="red")
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
