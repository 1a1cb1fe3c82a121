"""What a rehearsal says, in words: rows for a terminal, and its page in Markdown."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

from orchestrator.clock import format_duration
from orchestrator.domain.rehearsal import Forecast, PhaseMemory, Rehearsal, StepState
from orchestrator.errors import InvalidFileError
from orchestrator.redact import redacted
from orchestrator.report import markdown
from orchestrator.report.words import duration_range, size
from orchestrator.templates import sandbox

PAGE = "rehearsal.md"
_TEMPLATE = "report/rehearsal.md.j2"
MARKS = {
    StepState.PASSED: "✔",
    StepState.WARNED: "!",
    StepState.FAILED: "✘",
    StepState.SKIPPED: "·",
}


def verdict_words(result: Rehearsal) -> str:
    """The result in one line: what passed, what failed, what could not be rehearsed."""
    states = [step.state for step in result.steps]
    counts = ", ".join(f"{states.count(state)} {state}" for state in StepState if state in states)
    if result.failed:
        first = result.failed[0]
        return f"failed at step {first.number} ({first.name}): {counts}"
    return f"passed: {counts}"


def forecast_rows(forecast: Forecast) -> list[tuple[str, str]]:
    """The forecast as (what, how much) pairs; what is unknown has no row."""
    return [
        *(_peak_row(memory) for memory in forecast.peaks),
        *((f"headroom {name}", size(left)) for name, left in forecast.headroom.items()),
        *_pace_rows(forecast),
        *_evaluation_rows(forecast),
        *_disk_rows(forecast),
        *_length_rows(forecast),
        *((f"hang time-out {name}", format_duration(s)) for name, s in forecast.hang.items()),
        *(("unknown", what) for what in forecast.unknown),
    ]


def _peak_row(memory: PhaseMemory) -> tuple[str, str]:
    parts = [
        f"{size(amount)} {name}"
        for name, amount in (
            ("allocated", memory.allocated),
            ("reserved", memory.reserved),
            ("in use", memory.used),
            ("in all", memory.total),
        )
        if amount is not None
    ]
    return f"memory {memory.phase} {memory.device}", ", ".join(parts)


def _pace_rows(forecast: Forecast) -> Iterator[tuple[str, str]]:
    if forecast.speed is not None:
        low, high = (f"{end:.3g}" for end in forecast.speed)
        yield "speed", f"{low} steps/s" if low == high else f"{low} to {high} steps/s"
    if forecast.data_share is not None:
        yield "data wait", f"{forecast.data_share:.0%} of training"


def _evaluation_rows(forecast: Forecast) -> Iterator[tuple[str, str]]:
    if forecast.eval_seconds is not None:
        share = f", {forecast.eval_share:.0%} of the time" if forecast.eval_share else ""
        yield "evaluation", f"{_seconds(forecast.eval_seconds)} each{share}"
    if forecast.eval_every is not None:
        yield "suggested", f"evaluate every {forecast.eval_every:,} steps"


def _disk_rows(forecast: Forecast) -> Iterator[tuple[str, str]]:
    if forecast.checkpoint_bytes is not None:
        took = forecast.checkpoint_seconds
        seconds = f", saved in {_seconds(took)}" if took is not None else ""
        yield "checkpoint", f"{size(forecast.checkpoint_bytes)}{seconds}"
    if forecast.disk is not None:
        yield "disk", f"{size(forecast.disk)} for all checkpoints"


def _length_rows(forecast: Forecast) -> Iterator[tuple[str, str]]:
    if forecast.eta is not None:
        yield "length", duration_range(forecast.eta)
    if forecast.gpu_hours is not None:
        yield "GPU-hours", _range(forecast.gpu_hours)
    if forecast.cost is not None:
        yield "cost", _range(forecast.cost)


def _range(ends: tuple[float, float]) -> str:
    low, high = (f"{end:,.1f}" for end in ends)
    return low if low == high else f"{low} to {high}"


def _seconds(seconds: float) -> str:
    """A duration that may be far below a second."""
    return f"{seconds:.2g} s" if seconds < 10 else format_duration(seconds)


def render_rehearsal(result: Rehearsal, templates: Path | None = None) -> bytes:
    """The page of a rehearsal; secrets are taken out. The same result gives the same bytes.

    Raises:
        InvalidFileError: a template of the workspace is wrong.
    """
    from jinja2 import TemplateError  # noqa: PLC0415 - slow, only when a page is rendered

    safe = redacted(result, (), None)
    environment = sandbox(templates)
    environment.filters["literal"] = markdown.literal
    try:
        text = environment.get_template(_TEMPLATE).render(
            result=safe,
            when=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(safe.time)),
            took=format_duration(safe.seconds),
            verdict=verdict_words(safe),
            steps=[(MARKS[step.state], step, _seconds(step.seconds)) for step in safe.steps],
            forecast=forecast_rows(safe.forecast),
        )
    except TemplateError as error:
        raise InvalidFileError(
            f"the template {_TEMPLATE} cannot be rendered: {error.message or error}",
            hint="see docs/rehearsal.md for the names",
        ) from error
    return (re.sub(r"\n{3,}", "\n\n", text).strip() + "\n").encode(errors="surrogateescape")
