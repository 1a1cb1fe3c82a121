"""`exp doctor` on the terminal."""

from rich.console import Group, RenderableType
from rich.text import Text

from orchestrator.actions.doctor import Examination, Looked
from orchestrator.cli.views.findings import bullet, finding_view
from orchestrator.cli.views.words import plain, word


def examination(seen: Examination) -> RenderableType:
    """One run of `exp doctor`."""
    title = f"{seen.ticket}: {seen.title}" if seen.ticket else (seen.title or "")
    parts: list[RenderableType] = [
        Text.assemble((seen.run, "bold"), " ", word(seen.status), "  ", plain(title))
    ]
    if seen.why and seen.why != seen.status:
        parts.append(Text(plain(seen.why).plain, style="dim"))
    for finding in seen.findings:
        parts += [Text(""), finding_view(finding, seen.since.get(finding.key))]
    if not seen.findings:
        parts += [Text(""), Text("✔ nothing found", style="green")]
    parts += [Text(""), Text(_looked(seen.looked), style="dim")]
    parts += [bullet("not known: ", gap) for gap in seen.gaps]
    return Group(*parts, Text(""))


def _looked(looked: Looked) -> str:
    logs = f"{looked.logs} log{'s' * (looked.logs != 1)} ({_size(looked.log_bytes)})"
    return (
        f"looked at {looked.series:,} series, {looked.points:,} points, "
        f"{looked.events:,} events, {logs}; {looked.rules} rules"
    )


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 100_000 else f"{count:,} bytes"
