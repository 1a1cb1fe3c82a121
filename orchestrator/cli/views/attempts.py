"""The attempts of a run on the terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from orchestrator.cli.views.words import plain, took

if TYPE_CHECKING:
    from orchestrator.watch.stories import AttemptStory


def attempts_table(attempts: Sequence["AttemptStory"]) -> RenderableType:
    """An attempt a row: steps, and below its end the cause and what followed.

    These two are sentences: in columns of their own none could be read at 80 columns.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("attempt", justify="right", no_wrap=True)
    for name in ("took", "steps"):
        table.add_column(name, no_wrap=True)
    table.add_column("ended", ratio=1)
    for told in attempts:
        took_so_far = took(told.started, told.ended)
        table.add_row(str(told.number), took_so_far, steps_of(told), _ending(told))
    return table


def attempt_lines(attempts: Sequence["AttemptStory"]) -> RenderableType:
    """The same where there is no room for a table: what an attempt did, and below how it ended."""
    parts: list[RenderableType] = []
    for told in attempts:
        done = f"  {took(told.started, told.ended)}, steps {steps_of(told)}"
        parts.append(Text.assemble((f"attempt {told.number}", "bold"), done))
        parts.append(Padding(_ending(told), (0, 0, 0, 2)))
    return Group(*parts)


def _ending(told: "AttemptStory") -> Text:
    lines = [plain(told.ending)]
    if told.cause:
        lines.append(plain(f"{told.cause}: {told.evidence}"))
    if told.decision:
        lines.append(Text.assemble(("→ ", "dim"), plain(told.decision)))
    return Text("\n").join(lines)


def steps_of(told: "AttemptStory") -> str:
    """`1 to 1,200`, or a dash."""
    if told.first_step is None or told.last_step is None:
        return "—"
    return f"{told.first_step:,} to {told.last_step:,}"
