"""Runs on the terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchestrator.actions.run_list import RunSummary
from orchestrator.cli.views.attempts import attempts_table
from orchestrator.cli.views.criteria import criteria_table
from orchestrator.cli.views.findings import finding_lines
from orchestrator.cli.views.words import ago, number, plain, progress, took, word
from orchestrator.domain.hardware import is_sampled
from orchestrator.domain.run import RunStatus

if TYPE_CHECKING:
    from orchestrator.actions.reading import RunDetail


def run_table(rows: Sequence[RunSummary]) -> RenderableType:
    """`exp run list`."""
    if not rows:
        return Text("no runs", style="dim")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("run", "state", "ticket", "progress", "started", "took"):
        table.add_column(name, no_wrap=True)
    waiting = []
    for row in rows:
        table.add_row(
            Text(row.id, "bold"),
            word(row.outcome or row.status),
            row.ticket or "—",
            progress(row.step, row.planned_steps),
            ago(row.started),
            took(row.started, row.ended),
        )
        if row.status == RunStatus.QUEUED:
            waiting.append(Text.assemble((row.id, "bold"), " ", plain(row.why)))
    return Group(table, *waiting)


def run_end(detail: "RunDetail") -> RenderableType:
    """The end of `--follow`: outcome, verdicts, where they were written."""
    state = detail.outcome or detail.status
    head = Text.assemble("\n", (detail.id, "bold"), " ", word(state))
    head.append(f" after {took(detail.started, detail.ended)}: ")
    head.append_text(plain(detail.why))
    lines: list[RenderableType] = [head]
    if detail.criteria:
        lines.append(criteria_table(detail.criteria))
    if detail.report:
        lines.append(Text.assemble("report  ", (plain(detail.report).plain, "cyan")))
    if detail.commit:
        lines.append(Text.assemble("commit  ", (detail.commit[:10], "cyan")))
    return Group(*lines)


def run_detail(detail: "RunDetail") -> RenderableType:
    """`exp run show`."""
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    ticket = f"{detail.ticket}: {detail.title}" if detail.ticket else "—"
    began = [told for told in detail.story if told.started is not None]
    rows = {
        "ticket": ticket,
        "experiment": detail.experiment or "—",
        "why": detail.why,
        "progress": progress(detail.step, detail.planned_steps),
        "attempts": str(len(began) or "none yet"),
        "started": ago(detail.started),
        "took": took(detail.started, detail.ended),
        "params": ", ".join(f"{key}={value}" for key, value in detail.params.items()) or "—",
        "commands": "\n".join(detail.commands),
        "folder": detail.folder,
        "log": detail.log,
        "commit": detail.commit or "—",
        "report": detail.report or "—",
    }
    rows |= {f"problem {number}": text for number, text in enumerate(detail.problems, 1)}
    for name, value in rows.items():
        facts.add_row(name, plain(value))
    head = Text.assemble((detail.id, "bold"), " ", word(detail.outcome or detail.status))
    parts: list[RenderableType] = [head, facts]
    if detail.findings:
        parts += [Text(""), *finding_lines(detail.findings)]
    if any(told.cause is not None for told in detail.story):
        parts.append(attempts_table(detail.story))
    if not all(map(is_sampled, detail.latest)):
        parts.append(_metrics(detail))
    if detail.criteria:
        parts.append(criteria_table(detail.criteria))
    return Group(*parts)


def _metrics(detail: "RunDetail") -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("metric")
    table.add_column("latest", justify="right")
    table.add_column("step", justify="right")
    for name, latest in sorted(detail.latest.items()):
        if is_sampled(name):
            continue  # dozens; --json has them
        table.add_row(plain(name), number(latest.value), f"{latest.step:,}")
    return table
