"""What a rehearsal says, in words: rows for a terminal, and its page in Markdown."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from orchestrator.clock import format_brief, format_duration, format_utc
from orchestrator.domain.figures import NONE, UNKNOWN
from orchestrator.domain.finding import Finding, Quote, Severity
from orchestrator.domain.rehearsal import (
    Forecast,
    PhaseMemory,
    Rehearsal,
    RehearsalStep,
    StepState,
)
from orchestrator.redact import redacted
from orchestrator.report.page import fill
from orchestrator.report.words import duration_range, size

PAGE = "rehearsal.md"
_TEMPLATE = "report/rehearsal.md.j2"
MARKS = {
    StepState.PASSED: "✔",
    StepState.WARNED: "!",
    StepState.FAILED: "✘",
    StepState.SKIPPED: "·",
}
_STATES = {
    StepState.PASSED: "✅ passed",
    StepState.WARNED: "⚠️ warned",
    StepState.FAILED: "❌ failed",
    StepState.SKIPPED: "⏭️ skipped",
}
_SEVERITIES = {Severity.ERROR: "❌", Severity.WARN: "⚠️", Severity.INFO: "💡"}
_SHORT_HASH = 10
_REPORT = 9  # the last step: its lines are those of the forecast

Row = dict[str, Any]


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
        *((f"headroom {name}", _left(left)) for name, left in forecast.headroom.items()),
        *_run_rows(forecast),
        *(("unknown", what) for what in forecast.unknown),
    ]


def _run_rows(forecast: Forecast) -> Iterator[tuple[str, str]]:
    """What is known of the long run but its memory."""
    yield from _length_rows(forecast)
    yield from _pace_rows(forecast)
    yield from _evaluation_rows(forecast)
    yield from _disk_rows(forecast)
    for name, seconds in forecast.hang.items():
        yield f"hang time-out {name}", format_duration(seconds)


def _left(amount: int) -> str:
    return size(amount) if amount >= 0 else f"{size(-amount)} too little"


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
        yield "evaluation", f"{format_brief(forecast.eval_seconds)} each{share}"
    if forecast.eval_every is not None:
        yield "suggested", f"evaluate every {forecast.eval_every:,} steps"


def _disk_rows(forecast: Forecast) -> Iterator[tuple[str, str]]:
    if forecast.checkpoint_bytes is not None:
        took = forecast.checkpoint_seconds
        seconds = f", saved in {format_brief(took)}" if took is not None else ""
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


def render_rehearsal(result: Rehearsal, templates: Path | None = None) -> bytes:
    """The page of a rehearsal in Markdown; the same result gives the same bytes.

    Secrets and home folders are taken out. `templates` is the folder of a workspace's own
    templates, which win over the shipped ones.

    Raises:
        InvalidFileError: a template of the workspace is wrong.
    """
    page = fill(_TEMPLATE, _view(redacted(result)), templates)
    return page.encode(errors="surrogateescape")


def _view(result: Rehearsal) -> Row:
    """All variables of the template."""
    steps, plan = result.steps, result.plan
    read = [s for s in steps if s.state is not StepState.SKIPPED and s.number != _REPORT]
    return {
        "ticket": result.ticket,
        "experiment": result.experiment,
        "time": format_utc(result.time),
        "took": format_duration(result.seconds),
        "verdict": f"{'❌' if result.failed else '✅'} {verdict_words(result).capitalize()}",
        "asked": f"{plan.steps} optimizer steps, {plan.examples} examples an evaluation",
        "steps": [_step(step) for step in steps],
        "closer": [_closer(step) for step in read],
        "forecast": [{"name": name, "text": text} for name, text in _run_rows(result.forecast)],
        "memory": [_memory(each, result.forecast) for each in result.forecast.peaks],
        "findings": [_finding(each) for each in result.findings],
        "skipped": [_closer(step) for step in steps if step.state is StepState.SKIPPED],
        "unknown": result.forecast.unknown,
        "key": [
            {"name": name, "hash": value[:_SHORT_HASH] if value else UNKNOWN}
            for name, value in _key(result).items()
        ],
    }


def _key(result: Rehearsal) -> Mapping[str, str | None]:
    names = ("code", "spec", "environment", "device")
    return {name: getattr(result.key, name) for name in names}


def _step(step: RehearsalStep) -> Row:
    return {
        "number": step.number,
        "name": step.name,
        "state": _STATES[step.state],
        "why": step.why,
        "took": "" if step.state is StepState.SKIPPED else format_brief(step.seconds),
    }


def _closer(step: RehearsalStep) -> Row:
    """A step with its lines, its evidence and what to do."""
    return {
        **_step(step),
        "open": step.state in {StepState.FAILED, StepState.WARNED},
        "details": step.details,
        "evidence": [_quote(each) for each in step.evidence],
        "action": step.action,
        "log": step.log,
    }


def _quote(quote: Quote) -> Row:
    place = quote.source if quote.line is None else f"{quote.source}:{quote.line}"
    return {"text": quote.text, "place": place}


def _memory(peak: PhaseMemory, forecast: Forecast) -> Row:
    left = forecast.headroom.get(peak.device)
    amounts = {name: getattr(peak, name) for name in ("allocated", "reserved", "used", "total")}
    sizes = {name: NONE if amount is None else size(amount) for name, amount in amounts.items()}
    headroom = NONE if left is None else _left(left)
    return {"phase": peak.phase, "device": peak.device, "headroom": headroom, **sizes}


def _finding(finding: Finding) -> Row:
    return {
        "sign": _SEVERITIES[finding.severity],
        "id": finding.id,
        "title": finding.title,
        "arithmetic": finding.arithmetic,
        "meaning": finding.meaning,
        "action": finding.action,
        "evidence": [_quote(each) for each in finding.evidence],
    }
