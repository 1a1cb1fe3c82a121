"""Findings on the terminal."""

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from orchestrator.cli.views.words import plain
from orchestrator.clock import format_utc
from orchestrator.domain.finding import Finding, Quote, Severity

_MARKS = {
    Severity.ERROR: ("✘ error", "bold red"),
    Severity.WARN: ("▲ warning", "yellow"),
    Severity.INFO: ("· note", "cyan"),
}
_QUOTES = 4  # of a finding
_LINES, _LINE = 4, 240  # of a quote, and characters of each
_RETRY = {True: "the same again may go well", False: "the same again would end no better"}


def severity_mark(severity: Severity) -> Text:
    """`✘ error`, `▲ warning`, `· note`."""
    mark, style = _MARKS[severity]
    return Text(mark, style=style)


def finding_view(finding: Finding, since: float | None = None) -> RenderableType:
    """A finding whole: title, evidence, sum, meaning, action, whether a retry may help."""
    body = Table.grid(padding=(0, 1))
    body.add_column(style="dim", no_wrap=True)
    body.add_column(overflow="fold")
    for quote in finding.evidence[:_QUOTES]:
        body.add_row("│", _quote(quote))
    if len(finding.evidence) > _QUOTES:
        body.add_row("│", Text(f"and {len(finding.evidence) - _QUOTES} more", style="dim"))
    body.add_row("=", plain(finding.arithmetic))
    body.add_row("", plain(finding.meaning))
    body.add_row(Text("→", style="cyan"), Text(plain(finding.action).plain, style="cyan"))
    body.add_row("", Text(" · ".join(_notes(finding, since)), style="dim"))
    return Group(_head(finding, style="bold"), Padding(body, (0, 0, 0, 2)))


def finding_lines(findings: Sequence[Finding]) -> Iterator[RenderableType]:
    """Findings in short: title and action."""
    for finding in findings:
        yield _head(finding)
        yield Padding(bullet("→ ", finding.action, style="cyan"), (0, 0, 0, 2))


def _head(finding: Finding, style: str = "") -> RenderableType:
    line = Table.grid(padding=(0, 2, 0, 0))
    line.add_column(no_wrap=True)
    line.add_column(style=style, overflow="fold")
    line.add_row(severity_mark(finding.severity), plain(finding.title))
    return line


def bullet(mark: str, text: str, style: str = "dim") -> RenderableType:
    """A line whose text hangs behind its mark."""
    line = Table.grid()
    line.add_column(style=style, no_wrap=True)
    line.add_column(style=style, overflow="fold")
    line.add_row(mark, plain(text))
    return line


def _quote(quote: Quote) -> Text:
    place = quote.source if quote.line is None else f"{quote.source}:{quote.line}"
    lines = quote.text.splitlines()
    shown = [line if len(line) <= _LINE else f"{line[:_LINE]}…" for line in lines[:_LINES]]
    if len(lines) > _LINES:
        shown.append("…")
    return Text.assemble((plain(place).plain, "cyan"), "  ", plain("\n".join(shown)))


def _notes(finding: Finding, since: float | None) -> Iterator[str]:
    yield finding.id if not finding.subject else f"{finding.id} of {plain(finding.subject).plain}"
    if finding.retry is not None:
        yield _RETRY[finding.retry]
    if since is not None:
        yield f"since {format_utc(since)}"
