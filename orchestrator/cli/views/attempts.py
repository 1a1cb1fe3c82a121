"""The attempts of a run on the terminal."""

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchestrator.actions.explaining import Explanation
from orchestrator.cli.views.words import plain, took, word
from orchestrator.clock import format_duration, format_utc
from orchestrator.watch.stories import AttemptStory


def attempts_table(attempts: Sequence[AttemptStory]) -> RenderableType:
    """One line an attempt: steps, end, cause, and what followed."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("attempt", justify="right")
    for name in ("took", "steps", "ended", "cause"):
        table.add_column(name, no_wrap=name in {"took", "steps"})
    table.add_column("what followed", ratio=1)
    for told in attempts:
        table.add_row(
            str(told.number),
            took(told.started, told.ended),
            _steps(told),
            plain(told.ending),
            plain(f"{told.cause}: {told.evidence}" if told.cause else "—"),
            plain(told.decision or "—"),
        )
    return table


def run_story(told: Explanation) -> RenderableType:
    """`exp run explain`."""
    head = Text.assemble((told.run, "bold"), " ", word(told.status), ": ")
    head.append_text(plain(told.why))
    lines: list[RenderableType] = [head]
    checkpoint: int | None = None
    for attempt in told.attempts:
        lines.append(Text(""))
        lines += _attempt(attempt, checkpoint)
        checkpoint = attempt.checkpoint if attempt.cause else checkpoint
    return Group(*lines, Text(""), *_limits(told))


def _attempt(told: AttemptStory, checkpoint: int | None) -> list[Text]:
    """What an attempt was asked to do, how far it got, and what was made of its end."""
    asked = "launched" if told.asked_by is None else f"by {told.asked_by}"
    lines = [Text(f"attempt {told.number}: {', '.join(told.phases)}", "bold")]
    rows = {"asked for": f"{asked}: {told.asked_why}" if told.asked_why else asked}
    if told.delay:
        rows["pause"] = f"{told.delay:.1f} s, doubled with each failure, with jitter"
    rows["began"] = format_utc(told.started) if told.started is not None else "not yet"
    if told.started is not None:
        gpus = f" on {told.gpus} GPU{'s' * (told.gpus != 1)}" if told.gpus else ""
        rows["ran"] = f"{took(told.started, told.ended)}{gpus}, steps {_steps(told)}"
    rows["now" if told.ended is None and told.cause is None else "ended"] = told.ending
    if told.cause is not None:
        rows["cause"] = f"{told.cause}: {told.evidence}"
        rows["checkpoint"] = (
            f"{_step(checkpoint)} at its start, {_step(told.checkpoint)} at its end"
        )
        rows["so"] = f"{'tried again' if told.retried else 'not tried again'}: {told.decision}"
    lines += [Text(f"  {name:<11}").append_text(plain(text)) for name, text in rows.items()]
    return lines


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


def _steps(told: AttemptStory) -> str:
    if told.first_step is None or told.last_step is None:
        return "—"
    return f"{told.first_step:,} to {told.last_step:,}"


def _step(checkpoint: int | None) -> str:
    return "none" if checkpoint is None else f"step {checkpoint:,}"
