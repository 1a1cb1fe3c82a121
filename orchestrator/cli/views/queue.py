"""`exp queue` on the terminal."""

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from orchestrator.actions.queue import HoldingRun, Queue, WaitingRun
from orchestrator.cli.views.words import ago, plain, word


def queue(seen: Queue) -> RenderableType:
    """Who waits, in the order of their turns, and who has what."""
    if not seen.waiting and not seen.holding:
        return Text("nothing waits and nothing runs", style="dim")
    parts: list[RenderableType] = [Text("waiting", style="bold")]
    parts.append(_waiting(seen) if seen.waiting else _nobody("nobody waits"))
    parts.append(Text.assemble(("running", "bold"), (_slots(seen), "dim")))
    parts.append(_holding(seen) if seen.holding else _nobody("nobody holds anything"))
    return Group(*parts)


def _nobody(text: str) -> RenderableType:
    return Padding(Text(text, style="dim"), (0, 2))


def _slots(seen: Queue) -> str:
    return "" if seen.slots is None else f"  {seen.slots_free} of {seen.slots} CPU slots free"


def _waiting(seen: Queue) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("#", "run", "ticket", "needs", "asked for"):
        table.add_column(name, no_wrap=True)
    table.add_column("waits for", ratio=1, overflow="fold")
    for row in seen.waiting:
        priority = Text(f" ({row.priority:+d})", style="cyan") if row.priority else Text()
        table.add_row(
            str(row.position),
            Text.assemble((row.run, "bold"), priority),
            row.ticket or "—",
            _needs(row),
            ago(row.since),
            plain(row.why.removeprefix("waits for ")),
        )
    return table


def _holding(seen: Queue) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("run", "ticket", "state", "has", "since"):
        table.add_column(name, no_wrap=True)
    table.add_column("GPUs", ratio=1, overflow="fold")
    for row in seen.holding:
        table.add_row(
            Text(row.run, "bold"),
            row.ticket or "—",
            word(row.status),
            _has(row),
            ago(row.since),
            plain(", ".join(row.gpus) or "—"),
        )
    return table


def _needs(row: WaitingRun) -> str:
    return _amount(row.gpus, row.slots)


def _has(row: HoldingRun) -> str:
    return _amount(len(row.gpus), row.slots)


def _amount(gpus: int, slots: int | None) -> str:
    """`2 GPU, 4 CPU`; a dash for a run that needs nothing that is counted."""
    amounts = [f"{gpus} GPU"] if gpus else []
    amounts += [f"{slots} CPU"] if slots else []
    return ", ".join(amounts) or "—"
