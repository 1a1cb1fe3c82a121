"""States as words, marks and colours; each is readable without colour."""

import time
from collections.abc import Iterable, Iterator

from rich.text import Text

from orchestrator.cli.console import clean
from orchestrator.clock import format_duration, format_utc
from orchestrator.domain.criterion import State, Verdict
from orchestrator.domain.review import Decision, Standing

_STATE = {
    State.MET: ("✔", "green"),
    State.FAILED: ("✘", "bold red"),
    State.PENDING: ("…", "yellow"),
    State.NO_DATA: ("?", "yellow"),
    State.MANUAL: ("☞", "cyan"),
    State.WAIVED: ("~", "dim"),
}
_ALARM = {
    State.MET: ("✘", "true", "bold red"),
    State.FAILED: ("✔", "not true", "green"),
    State.PENDING: ("…", "not so far", "dim"),
    State.NO_DATA: ("?", "no data", "yellow"),
    State.MANUAL: ("☞", "a person", "cyan"),
    State.WAIVED: ("~", "waived", "dim"),
}
_REVIEWS = {
    Decision.ACCEPT: ("green", "✎ accepted"),
    Decision.REJECT: ("bold red", "✎ rejected"),
    Decision.WAIVE: ("cyan", "✎ waived"),
    Decision.NOTE: ("", "✎ noted"),
}
_LABEL = {State.NO_DATA: "no data", State.MANUAL: "a person"}
_STYLE = {
    "DONE": "green",
    "ONGOING": "cyan",
    "READY": "bold",
    "BLOCKED": "yellow",
    "FAILED": "red",
    "IDEA": "dim",
    "completed": "green",
    "running": "cyan",
    "queued": "yellow",
    "starting": "cyan",
    "stopping": "yellow",
    "stopped": "yellow",
    "incomplete": "yellow",
    "failed": "red",
    "lost": "red",
    "error": "red",
    "warning": "yellow",
}


_NAMES = {"inverted": "alarm", "conditional": "rule"}


def box_of(*, checked: bool, tickable: bool) -> str:
    """The box of a criterion; the row of a table has none."""
    if not tickable:
        return " | "
    return "[x]" if checked else "[ ]"


def word(text: str) -> Text:
    """A status word in its colour."""
    return Text(clean(text), style=_STYLE.get(text, ""))


def plain(text: str) -> Text:
    """Somebody's text: no markup, no control characters."""
    return Text(clean(text))


def verdict_mark(verdict: Verdict | None, polarity: str = "positive") -> Text:
    """`✔ met`, `✔ met so far`, `✘ failed`, …; an alarm is red when its condition is true."""
    name = _NAMES.get(polarity)
    if verdict is None:
        return Text(f"· {name}" if name else "· no run", style="dim")
    if name is not None:
        mark, label, style = _ALARM[verdict.state]
        if polarity == "conditional":
            mark, style = "·", "cyan"
        return Text(f"{mark} {name}: {label}", style=style)
    mark, style = _STATE[verdict.state]
    label = _LABEL.get(verdict.state, str(verdict.state))
    if verdict.state in {State.MET, State.FAILED} and not verdict.final:
        label += " so far"
    return Text(f"{mark} {label}", style=style)


def review_lines(said: Iterable[Standing]) -> Iterator[Text]:
    """`✎ accepted by Ada <…> on 2026-01-31: looks fine`, and what has made it expire."""
    for one in said:
        told = one.review
        style, mark = _REVIEWS[told.decision]
        line = Text.assemble((f"{mark} by {plain(told.by).plain}", style))
        line.append(f", {format_utc(told.time)}", "dim")
        if told.reason:
            line.append(f": {plain(told.reason).plain}")
        if one.expired:
            line.append(f"  expired: {plain(one.expired).plain}", "yellow")
        yield line


def number(value: float | None) -> str:
    """A number as short as it stays honest: 0.0512, 12.3, 41,960, 1.2e-05."""
    if value is None:
        return "—"
    if value == int(value) if abs(value) < 1e15 else False:
        return f"{int(value):,}"
    if 1e-4 <= abs(value) < 1e6:
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.1f}"
    return f"{value:.3g}"


def progress(step: int | None, planned: int | None) -> str:
    """`1,200 / 1,500 (80%)`, or what is known of it."""
    if step is None:
        return "—"
    if not planned:
        return f"step {step:,}"
    return f"{step:,} / {planned:,} ({min(step / planned, 1):.0%})"


def ago(when: float | None) -> str:
    """How long since a moment."""
    return "—" if when is None else f"{format_duration(time.time() - when)} ago"


def took(started: float | None, ended: float | None) -> str:
    """How long something has taken, up to now if it goes on."""
    if started is None:
        return "—"
    return format_duration((time.time() if ended is None else ended) - started)


def spent(started: float | None, ended: float | None) -> str:
    """`3 s, started 12 s ago`; `for 3 s` of what goes on, where both are the same."""
    if started is None:
        return "—"
    if ended is None:
        return f"for {took(started, ended)}"
    return f"{took(started, ended)}, started {ago(started)}"
