"""`exp status` on the terminal."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.actions.overview import Overview, RunOverview
from orchestrator.cli.views.criteria import criteria_table
from orchestrator.cli.views.findings import severity_mark
from orchestrator.cli.views.tickets import ticket_table
from orchestrator.cli.views.words import ago, plain, progress, took, word
from orchestrator.domain.finding import Severity

_BAR = 24  # characters
_NAMES = {Severity.ERROR: "error", Severity.WARN: "warning", Severity.INFO: "note"}


def dashboard(seen: Overview) -> RenderableType:
    """Runs with their criteria, then tickets, then what needs a person."""
    parts: list[RenderableType] = [Text.assemble(("runs", "bold"), ("  " + seen.root, "dim"))]
    if not seen.runs:
        parts.append(Padding(Text("no runs yet: exp ticket start", style="dim"), (0, 2)))
    for run in seen.runs:
        parts.append(_run_head(run))
        if run.findings:
            parts.append(Padding(_findings(run), (0, 2)))
        parts.append(Padding(criteria_table(run.criteria), (0, 4)))
    parts += [Text("tickets", style="bold"), ticket_table(seen.tickets)]
    if seen.needs:
        parts.append(Text("needs a person", style="bold yellow"))
        parts += [Padding(plain(need), (0, 2)) for need in seen.needs]
    return Group(*parts)


def _findings(seen: RunOverview) -> Text:
    """How many findings of each severity there are, and the worst of them."""
    worst = seen.findings[0]
    counts = ", ".join(_counts(seen))
    line = Text.assemble(severity_mark(worst.severity), "  ", plain(worst.title))
    return line.append(f"  ({counts}: exp doctor {seen.run.id})", style="dim")


def _counts(seen: RunOverview) -> Iterator[str]:
    """`1 error`, `2 warnings`."""
    for severity, name in _NAMES.items():
        count = sum(finding.severity is severity for finding in seen.findings)
        if count:
            yield f"{count} {name}{'s' * (count != 1)}"


def _run_head(seen: RunOverview) -> RenderableType:
    run = seen.run
    title = f"{run.ticket}: {seen.title}" if run.ticket else seen.title
    name = Text.assemble((run.id, "bold"), " ", word(run.outcome or run.status), "  ", plain(title))
    if run.started is None:
        return Padding(Group(name, Text(plain(run.why).plain, style="dim")), (0, 2))
    spent = f"{took(run.started, run.ended)}, started {ago(run.started)}"
    done = Text(f"{progress(run.step, run.planned_steps)}  {spent}", style="dim")
    if not run.planned_steps:
        return Padding(Group(name, done), (0, 2))
    line = Table.grid(padding=(0, 1))
    line.add_column(width=_BAR)
    line.add_column()
    line.add_row(ProgressBar(total=run.planned_steps, completed=run.step or 0, width=_BAR), done)
    return Padding(Group(name, line), (0, 2))
