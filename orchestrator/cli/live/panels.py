"""The smaller panels of the board as texts: what needs a person, GPUs, queue, commits."""

from rich.text import Text

from orchestrator.actions.hardware import GpuRow
from orchestrator.actions.overview import Overview
from orchestrator.cli.views import gpu as words
from orchestrator.cli.views.surroundings import commit_lines, queue_lines
from orchestrator.cli.views.words import plain

NAMES = {
    "needs": "needs a person",
    "gpus": "GPUs",
    "queue": "queue",
    "commits": "last commits",
}


def texts(seen: Overview) -> dict[str, Text]:
    """What each panel says; an empty one need not be shown."""
    return {
        "needs": _needs(seen),
        "gpus": _gpus(seen),
        "queue": queue_lines(seen.queue),
        "commits": commit_lines(seen.commits),
    }


def _needs(seen: Overview) -> Text:
    if not seen.needs:
        return Text("✔ nothing waits for a person", style="green")
    return Text("\n").join(Text.assemble(("! ", "bold yellow"), plain(need)) for need in seen.needs)


def _gpus(seen: Overview) -> Text:
    if seen.gpus is None:
        return Text("asking the driver …", style="dim")
    if not seen.gpus.gpus:
        return words.no_gpus(seen.gpus)
    return Text("\n").join(_gpu(row) for row in seen.gpus.gpus)


def _gpu(row: GpuRow) -> Text:
    """Index, memory, load, power, temperature, who holds it: on one line."""
    gpu = row.gpu
    name = "└ MIG" if gpu.parent else str(gpu.index if gpu.index is not None else "—")
    facts = (words.percent(gpu.utilization), words.power(gpu), words.temperature(gpu))
    return Text.assemble(
        (f"{name} ", "bold"),
        words.memory(gpu),
        *(part for fact in facts for part in ("  ", fact)),
        "  ",
        Text(" ").join(words.holders(row).split("\n")),
    )
