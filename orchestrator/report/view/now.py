"""Where the run stands: progress, time, speed, the metrics that matter, the machine."""

import re
from collections.abc import Iterable
from typing import Any

from orchestrator.clock import format_utc
from orchestrator.domain import figures
from orchestrator.domain.progress import Progress
from orchestrator.report import words
from orchestrator.report.facts import MetricFacts, Moment, ReportFacts
from orchestrator.report.markdown import code, literal
from orchestrator.report.view.numbers import in_order
from orchestrator.report.view.setup import gpu_line

Row = dict[str, Any]

_BAR = 24
_MOST_HEADLINES = 4
_HEADLINE = re.compile(r"loss|acc|pass@|exact|perplexity|ppl|score|reward|f1", re.IGNORECASE)


def now(facts: ReportFacts, *, live: bool) -> list[Row]:
    """The lines of the current status; none without a run."""
    run, progress = facts.run, facts.progress
    if run is None:
        return []
    lines = [_progress_line(facts), {"name": "Time", "text": _time_text(facts, live=live)}]
    if run.doing is not None:
        lines.append({"name": "Now in", "text": _phase(facts.time, run.doing)})
    if run.saved is not None:
        lines.append({"name": "Ended early", "text": literal(run.saved)})
    if progress.speed is not None:
        speed = f"{figures.number(progress.speed)} steps/s"
        how = f" ({progress.method})" if progress.method else ""
        lines.append({"name": "Speed", "text": literal(speed + how)})
    if progress.eval_share is not None:
        share = f"{words.share(progress.eval_share)} of the time"
        lines.append({"name": "Evaluation took", "text": share})
    headlines = _headline_metrics(facts.metrics)
    lines += [{"name": metric.name, "text": _metric_now(metric)} for metric in headlines]
    gpus = gpu_line(facts.machine)
    if gpus is not None:
        lines.append({"name": "GPU", "text": literal(gpus)})
    if live and run.pid is not None:
        host = f" on {code(run.host)}" if run.host else ""
        lines.append({"name": "Process", "text": f"{run.pid}{host}"})
    if run.log:
        lines.append({"name": "Log", "text": code(run.log)})
    return lines


def _progress_line(facts: ReportFacts) -> Row:
    step, planned = facts.progress.step, facts.progress.planned
    if step is None:
        plan = f" of {planned:,} planned" if planned else ""
        return {"name": "Progress", "text": f"no step{plan} recorded yet"}
    if not planned:
        return {"name": "Progress", "text": f"step {step:,}; how many are planned is unknown"}
    done = min(1.0, step / planned)
    full = int(done * _BAR)
    bar = "█" * full + "░" * (_BAR - full)
    text = f"{step:,} of {planned:,} steps ({_percentage(step, planned)}){_epoch(facts.progress)}"
    return {"name": "Progress", "text": f"`{bar}` {text}"}


def _phase(now_: float, doing: Moment) -> str:
    step = "" if doing.step is None else f" of step {doing.step:,}"
    began = format_utc(doing.time)
    return literal(f"{doing.text}{step}, for {words.duration(now_ - doing.time)}, since {began}")


def _epoch(progress: Progress) -> str:
    """`, epoch 1 of 100: 65%`; nothing where nobody said how many steps it has."""
    if not progress.epoch_steps or not progress.step:
        return ""
    done = (progress.step - 1) // progress.epoch_steps
    part = progress.step / progress.epoch_steps - done
    total = f" of {progress.planned / progress.epoch_steps:,.0f}" if progress.planned else ""
    return f", epoch {done + 1:,.0f}{total}: {part:.0%}"


def _percentage(part: int, whole: int) -> str:
    """Rounded down to a tenth: 100% is said only when it is true."""
    tenths = 1000 * part // whole
    return f"{tenths // 10}%" if tenths % 10 == 0 else f"{tenths / 10:.1f}%"


def _time_text(facts: ReportFacts, *, live: bool) -> str:
    spent = words.duration(facts.progress.elapsed)
    if not live:
        count = attempts_so_far(facts)
        return f"took {spent}{f' in {count} attempts, pauses included' if count > 1 else ''}"
    return f"running for {spent}, time left {words.duration_range(facts.progress.eta)}"


def attempts_so_far(facts: ReportFacts) -> int:
    """Number of the newest attempt."""
    return max((attempt.number for attempt in facts.attempts), default=1)


def _headline_metrics(metrics: Iterable[MetricFacts]) -> list[MetricFacts]:
    """Those that a criterion asks for, then what the spec declares, then loss and accuracy."""
    known = [metric for metric in in_order(metrics) if metric.latest is not None]
    chosen = [metric for metric in known if metric.targets or metric.declared]
    usual = [m for m in known if m not in chosen and _HEADLINE.search(m.name)]
    return [*chosen, *usual][:_MOST_HEADLINES]


def _metric_now(metric: MetricFacts) -> str:
    if metric.latest is None:
        return figures.UNKNOWN
    value = words.measure(metric, metric.latest.value)
    target = f", target {metric.targets[0].label}" if metric.targets else ""
    return literal(f"{value} at step {metric.latest.step:,}, {words.trend(metric)}{target}")


def milestone(facts: ReportFacts, *, live: bool) -> Row | None:
    """What comes next in a live run, with the range of its time."""
    coming = facts.milestone
    if coming is None or not live:
        return None
    return {
        "what": coming.what,
        "step": f"{coming.step:,}",
        "left": words.duration_range(coming.eta),
        "time": None if coming.eta is None else _span_of_time(facts.time, coming.eta),
    }


def _span_of_time(moment: float, eta: tuple[float, float]) -> str:
    low, high = (format_utc(moment + left)[:16] for left in eta)
    if low == high:
        return f"{low} UTC"
    return f"{low} to {high[11:] if high[:10] == low[:10] else high} UTC"
