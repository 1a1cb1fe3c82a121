"""`exp ticket rehearse` on the terminal."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.constrain import Constrain
from rich.table import Table
from rich.text import Text

from orchestrator.cli.views.words import plain
from orchestrator.clock import format_duration
from orchestrator.domain.finding import Finding, Severity
from orchestrator.domain.rehearsal import Rehearsal, RehearsalStep, StepState
from orchestrator.report.rehearsal import MARKS, forecast_rows, verdict_words

_WIDEST = 120  # characters
_STYLES = {
    StepState.PASSED: "green",
    StepState.WARNED: "yellow",
    StepState.FAILED: "bold red",
    StepState.SKIPPED: "dim",
}
_SEVERITIES = {Severity.INFO: "dim", Severity.WARN: "yellow", Severity.ERROR: "bold red"}
_LOUD = {StepState.FAILED, StepState.WARNED}


def rehearsal(result: Rehearsal) -> RenderableType:
    """Each step with mark, time and reason; then the forecast and the findings."""
    parts: list[RenderableType] = [
        Text.assemble((result.ticket, "bold"), ": rehearsal of ", plain(result.experiment)),
        Text(),
        _steps(result),
        Text(),
        Text("Forecast", style="bold"),
        _pairs(forecast_rows(result.forecast)),
    ]
    if result.findings:
        parts += [Text(), Text("Findings", style="bold")]
        parts += [line for finding in result.findings for line in _finding(finding)]
    style = "bold red" if result.failed else "green"
    parts += [Text(), Text.assemble((plain(verdict_words(result)).plain, style))]
    return Constrain(Group(*parts), _WIDEST)


def step_line(step: RehearsalStep) -> Text:
    """A step that has just ended, on one line."""
    return Text.assemble(
        (f"{MARKS[step.state]} {step.number} {step.name}", _STYLES[step.state]),
        ("  " + _took(step), "dim"),
        "  ",
        plain(step.why),
    )


def _steps(result: Rehearsal) -> Table:
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(width=1)
    table.add_column(justify="right", width=1)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True, style="dim")
    table.add_column(ratio=1, overflow="fold")
    for step in result.steps:
        style = _STYLES[step.state]
        name, why = Text(step.name, style=style), plain(step.why)
        if step.state is StepState.SKIPPED:
            why.stylize("dim")
        mark = Text(MARKS[step.state], style=style)
        table.add_row(mark, str(step.number), name, _took(step), why)
        for line in _remarks(step):
            table.add_row("", "", "", "", line)
    return table


def _remarks(step: RehearsalStep) -> Iterator[Text]:
    """What a person must read of a step that did not pass plainly."""
    if step.state not in _LOUD:
        return
    for detail in step.details if step.state is StepState.FAILED else ():
        yield Text(plain(detail).plain, style="dim")
    for quote in step.evidence:
        place = f"{quote.source}:{quote.line}" if quote.line else quote.source
        yield Text.assemble((plain(quote.text).plain, "italic"), (f"  {place}", "dim cyan"))
    if step.action:
        yield Text.assemble(("→ ", "cyan"), (plain(step.action).plain, "cyan"))


def _took(step: RehearsalStep) -> str:
    if step.state is StepState.SKIPPED:
        return ""
    return f"{step.seconds:.1f} s" if step.seconds < 60 else format_duration(step.seconds)


def _pairs(rows: list[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(plain(name), plain(value))
    return table


def _finding(finding: Finding) -> Iterator[Text]:
    yield Text.assemble(
        (str(finding.severity), _SEVERITIES[finding.severity]),
        f"  {plain(finding.title).plain}",
        (f"  {finding.id}", "dim"),
    )
    yield Text(f"  {plain(finding.arithmetic).plain}", style="dim")
    yield Text.assemble(("  → ", "cyan"), (plain(finding.action).plain, "cyan"))
