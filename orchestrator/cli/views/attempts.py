"""The attempts of a run on the terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from orchestrator.cli.views.words import plain, took

if TYPE_CHECKING:
    from orchestrator.watch.stories import AttemptStory


def attempts_table(attempts: Sequence["AttemptStory"]) -> RenderableType:
    """One line an attempt: steps, end, cause, and what followed."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("attempt", justify="right")
    for name in ("took", "steps", "ended", "cause"):
        table.add_column(name, no_wrap=name in {"took", "steps"})
    table.add_column("what followed", ratio=1)
    for told in attempts:
        table.add_row(
            str(told.number),
            took(told.started, told.ended),
            steps_of(told),
            plain(told.ending),
            plain(f"{told.cause}: {told.evidence}" if told.cause else "—"),
            plain(told.decision or "—"),
        )
    return table


def attempt_lines(attempts: Sequence["AttemptStory"]) -> RenderableType:
    """The same for a narrow place: a line an attempt, why it ended and what followed below."""
    text = Text()
    for told in attempts:
        text.append(f"{told.number}", "bold")
        text.append(f"  {took(told.started, told.ended)}, steps {steps_of(told)}, ")
        text.append_text(plain(told.ending)).append("\n")
        cause = f"{told.cause}: {told.evidence}" if told.cause else None
        for line in filter(None, (cause, told.decision)):
            text.append("   ").append_text(plain(line)).append("\n")
    text.rstrip()
    return text


def steps_of(told: "AttemptStory") -> str:
    """`1 to 1,200`, or a dash."""
    if told.first_step is None or told.last_step is None:
        return "—"
    return f"{told.first_step:,} to {told.last_step:,}"
