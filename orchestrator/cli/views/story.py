"""`exp run explain` on the terminal: one screen, the answer first."""

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from orchestrator.actions.explaining import Explanation, NextStep
from orchestrator.cli.views.attempts import steps_of
from orchestrator.cli.views.findings import finding_lines, finding_view
from orchestrator.cli.views.words import plain, took, word
from orchestrator.clock import format_duration, format_utc
from orchestrator.domain.finding import Severity
from orchestrator.watch.stories import AttemptStory

_WHOLE = 3  # attempts that are told whole; of earlier ones a line each, all of them in --json
_EVIDENCE = 200  # characters of what tells a cause


def run_story(told: Explanation) -> RenderableType:
    """Why it ended, what is wrong with it, what to do next; then its attempts."""
    head = Text.assemble((told.run, "bold"), " ", word(told.status), ": ", plain(told.why))
    parts: list[RenderableType] = [head, *_findings(told), Text("")]
    if told.next_steps:
        parts += [_next_steps(told.next_steps), Text("")]
    checkpoint: int | None = None
    for attempt in told.attempts:
        brief = attempt.cause is None or attempt.number <= len(told.attempts) - _WHOLE
        parts += [_line(attempt)] if brief else _attempt(attempt, checkpoint)
        checkpoint = attempt.checkpoint if attempt.cause else checkpoint
    return Group(*parts, Text(""), *_limits(told))


def _findings(told: Explanation) -> Iterator[RenderableType]:
    """The worst finding whole, the others in short; notes are left to `exp doctor`."""
    loud = [each for each in told.findings if each.severity is not Severity.INFO]
    if loud:
        yield Text("")
        yield finding_view(loud[0])
        yield from finding_lines(loud[1:])
    notes = len(told.findings) - len(loud)
    if notes:
        yield Text(f"{notes} note{'s' * (notes != 1)}: exp doctor {told.run}", style="dim")


def _next_steps(steps: Sequence[NextStep]) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    for step in steps:
        table.add_row(step.command, plain(step.why))
    return Group(Text("what to do next", style="bold"), Padding(table, (0, 0, 0, 2)))


def _line(told: AttemptStory) -> Text:
    """An attempt with nothing to tell, or one of many."""
    line = Text.assemble((f"attempt {told.number}", "bold"), f": {', '.join(told.phases)}, ")
    if told.delay:
        line.append(f"after a pause of {told.delay:.1f} s, ")
    if told.started is not None:
        line.append(f"steps {steps_of(told)} in {took(told.started, told.ended)}, ")
    line.append_text(plain(told.ending))
    if told.cause is not None:
        line.append(f" ({told.cause}), {_step(told.checkpoint)} at its end")
    return line


def _attempt(told: AttemptStory, checkpoint: int | None) -> list[RenderableType]:
    """What an attempt was asked to do, how far it got, and what was made of its end."""
    asked = "launched" if told.asked_by is None else f"by {told.asked_by}"
    head = Text(f"attempt {told.number}: {', '.join(told.phases)}", "bold")
    rows = {"asked for": f"{asked}: {told.asked_why}" if told.asked_why else asked}
    if told.delay:
        rows["pause"] = f"{told.delay:.1f} s, doubled with each failure, with jitter"
    rows["began"] = format_utc(told.started) if told.started is not None else "not yet"
    if told.started is not None:
        gpus = f" on {told.gpus} GPU{'s' * (told.gpus != 1)}" if told.gpus else ""
        rows["ran"] = f"{took(told.started, told.ended)}{gpus}, steps {steps_of(told)}"
    rows["now" if told.ended is None and told.cause is None else "ended"] = told.ending
    if told.cause is not None:
        rows["cause"] = f"{told.cause}: {_cut(told.evidence or '')}"
        rows["checkpoint"] = (
            f"{_step(checkpoint)} at its start, {_step(told.checkpoint)} at its end"
        )
        rows["so"] = f"{'tried again' if told.retried else 'not tried again'}: {told.decision}"
    table = Table.grid(padding=(0, 1))
    table.add_column(min_width=10, no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in rows.items():
        table.add_row(name, plain(text))
    return [head, Padding(table, (0, 0, 0, 2))]


def _cut(evidence: str) -> str:
    """The begin of what a log said; all of it is in --json and in the log."""
    return evidence if len(evidence) <= _EVIDENCE else f"{evidence[:_EVIDENCE]}…"


def _limits(told: Explanation) -> list[Text]:
    """What was used of what is allowed."""
    wall = f"executed {format_duration(told.wall)}{_of(told.budget.wall)}"
    limit = told.time_limit
    if limit is not None:
        wall += f", at most {format_duration(limit)} an attempt"
    lines = [Text(wall)]
    if told.gpu_hours or told.budget.gpu_hours:
        allowed = told.budget.gpu_hours
        of = f" of {allowed:g}" if allowed is not None else ""
        lines.append(Text(f"used {told.gpu_hours:.2f}{of} GPU-hours"))
    retry = told.retry
    allowed_words = f"{retry.attempts} attempts, on {', '.join(retry.on)}"
    policy = allowed_words if retry.attempts > 1 else "none: only exit code 75 starts another"
    lines.append(Text(f"retry policy: {policy}"))
    return lines


def _of(limit: float | None) -> str:
    return "" if limit is None else f" of {format_duration(limit)}"


def _step(checkpoint: int | None) -> str:
    return "none" if checkpoint is None else f"step {checkpoint:,}"
