"""How a run goes, in few characters: progress, time left, criteria, the next that decides."""

import time

from rich.text import Text

from orchestrator.actions.overview import RunOverview
from orchestrator.actions.pulse import Measured, Pulse
from orchestrator.actions.rows import CriterionRow
from orchestrator.cli.views.words import number, plain, verdict_mark
from orchestrator.domain.criterion import Projection, State
from orchestrator.domain.figures import margin
from orchestrator.domain.finding import Severity
from orchestrator.spark import sparkline
from orchestrator.tickets import without_predicate

_MARKS = {
    "queued": ("◷", "yellow"),
    "starting": ("▷", "cyan"),
    "running": ("▶", "cyan"),
    "stopping": ("■", "yellow"),
    "completed": ("✔", "green"),
    "incomplete": ("◐", "yellow"),
    "stopped": ("■", "yellow"),
    "failed": ("✘", "bold red"),
    "lost": ("✘", "bold red"),
    "unreadable": ("✘", "bold red"),
}
_FINDINGS = {Severity.ERROR: ("✘", "bold red"), Severity.WARN: ("▲", "yellow")}
_SILENT = 120.0  # seconds without a point that are worth saying


def state_mark(state: str) -> Text:
    """One character for a status or an outcome; each has a shape of its own."""
    return Text(*_MARKS.get(state, ("·", "dim")))


def brief(seconds: float) -> str:
    """A duration in at most six characters: `45s`, `12m`, `2h05`, `3d04h`."""
    total = max(0, round(seconds))
    if total < 60:
        return f"{total}s"
    if total < 3600:
        return f"{total // 60}m"
    if total < 86400:
        return f"{total // 3600}h{total % 3600 // 60:02d}"
    return f"{total // 86400}d{total % 86400 // 3600:02d}h"


def time_left(pulse: Pulse) -> str:
    """`2h05 to 2h40 left`, or nothing where nobody can tell."""
    if pulse.ends is None:
        return ""
    low, high = (brief(end - time.time()) for end in pulse.ends)
    return f"{low} left" if low == high else f"{low} to {high} left"


def pace(pulse: Pulse) -> str:
    """`12.3 steps/s`, or seconds a step where one takes longer."""
    if not pulse.speed:
        return ""
    if pulse.speed < 1:
        return f"{1 / pulse.speed:.3g} s/step"
    return f"{pulse.speed:.3g} steps/s" if pulse.speed < 1000 else f"{pulse.speed:,.0f} steps/s"


def silence(seen: RunOverview) -> Text:
    """How long a running program has logged nothing, if that is long."""
    last = seen.pulse.last_point
    if last is None or seen.run.status != "running" or time.time() - last < _SILENT:
        return Text("")
    return Text(f"▲ silent {brief(time.time() - last)}", style="yellow")


def loss_line(pulse: Pulse, width: int) -> Text:
    """The loss from the first step to the last as a sparkline, and its newest value."""
    if pulse.loss is None:
        return Text("")
    value = number(pulse.loss.value)
    curve = sparkline(pulse.curve, max(1, width - len(value) - 1))
    return Text.assemble((curve, "cyan"), " ", value)


def measured(point: Measured | None) -> Text:
    """`val/pass@1 0.1125 at 20,000`."""
    if point is None:
        return Text("")
    return Text.assemble(
        (plain(point.metric).plain, "dim"),
        f" {number(point.value)} ",
        (f"at {point.step:,}", "dim"),
    )


def ticks(rows: tuple[CriterionRow, ...]) -> Text:
    """A mark for each goal in the ticket's order, then how many are met: `✔✔…☞ 2/4`."""
    goals = [row for row in rows if row.polarity == "positive"]
    if not goals:
        return Text("no criteria", style="dim")
    met = sum(row.verdict is not None and row.verdict.state is State.MET for row in goals)
    marks = Text("")
    for row in goals:
        mark = verdict_mark(row.verdict)
        marks.append(mark.plain[:1], style=mark.style)
    return marks.append(f" {met}/{len(goals)}")


def finding_counts(seen: RunOverview) -> Text:
    """`✘1 ▲2`: findings of a run that matter."""
    counts = Text("")
    for severity, (mark, style) in _FINDINGS.items():
        count = sum(finding.severity is severity for finding in seen.findings)
        if count:
            counts.append(f"{' ' if counts.plain else ''}{mark}{count}", style=style)
    return counts


def next_line(row: CriterionRow | None) -> Text:
    """The criterion that decides next: mark, distance, what it asks, when it would be crossed.

    The distance comes first: it is what a narrow screen must not cut off.
    """
    if row is None:
        return Text("")
    mark, verdict = verdict_mark(row.verdict), row.verdict
    line = Text.assemble((mark.plain[:1], mark.style), " ")
    if verdict is not None and verdict.margin is not None:
        line.append(f"{margin(verdict)}  ")
    line.append_text(plain(without_predicate(row.text)))
    if verdict is not None and verdict.projection is not None:
        line.append(f"  {projected(verdict.projection)}", style="dim")
    return line


def projected(projection: Projection) -> str:
    """`→ step 20,722 (18,100 to 25,300)`, `not at this trend`."""
    if projection.step is None:
        return "not at this trend"
    ends = ""
    if projection.low is not None:
        high = "later" if projection.high is None else f"{projection.high:,}"
        ends = f" ({projection.low:,} to {high})"
    return f"→ step {projection.step:,}{ends}"
