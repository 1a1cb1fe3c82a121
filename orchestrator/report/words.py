"""Numbers and states as people read them. What is not known says so; nothing becomes 0."""

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import median
from typing import Any

from orchestrator.clock import format_duration
from orchestrator.domain.criterion import State
from orchestrator.domain.figures import NONE, UNKNOWN, number
from orchestrator.domain.run import Outcome, RunStatus
from orchestrator.domain.sizes import format_size
from orchestrator.report.facts import CriterionFacts, MetricFacts, RunInfo, Sample

STATE_WORDS = {
    State.MET: "✅ met",
    State.FAILED: "❌ failed",
    State.PENDING: "⏳ pending",
    State.NO_DATA: "❔ no data",
    State.MANUAL: "🙋 needs a person",
    State.WAIVED: "➖ waived",  # noqa: RUF001 - a sign in a row of signs
}
_ALARM_WORDS = STATE_WORDS | {
    State.MET: "🚨 alarm: true",
    State.FAILED: "✅ alarm: not true",
    State.PENDING: "⏳ alarm: not so far",
    State.NO_DATA: "❔ alarm: no data",
}
_RULE_WORDS = STATE_WORDS | {
    State.MET: "↪ rule: true",
    State.FAILED: "↪ rule: not true",
    State.PENDING: "↪ rule: not so far",
}
_STATUS_WORDS = {
    RunStatus.QUEUED: "Queued",
    RunStatus.STARTING: "Starting",
    RunStatus.RUNNING: "Running",
    RunStatus.STOPPING: "Stopping",
    RunStatus.ENDED: "Ended",
}
_OUTCOME_WORDS = {
    Outcome.COMPLETED: "Completed",
    Outcome.INCOMPLETE: "Incomplete",
    Outcome.FAILED: "Failed",
    Outcome.STOPPED: "Stopped",
    Outcome.LOST: "Lost",
}
_FEWEST_FOR_TREND = 8
_FLAT = 0.05


def is_percent(metric: MetricFacts) -> bool:
    """Whether a metric is read in percent: it says so, or a criterion does."""
    return metric.spec.unit == "%" or any(target.percent for target in metric.targets)


def on_axis(metric: MetricFacts, value: float) -> float:
    """A logged value on the scale in which it is shown."""
    return value * 100 / metric.spec.scale if is_percent(metric) else value


def measure(metric: MetricFacts, value: float | None) -> str:
    """A value of a metric with its unit: `11.25%`, `0.5118`, `1.72 s`."""
    if value is None:
        return UNKNOWN
    if is_percent(metric) and math.isfinite(value):
        return f"{on_axis(metric, value):.2f}%"
    unit = metric.spec.unit
    return number(value) if not unit or unit == "%" else f"{number(value)} {unit}"


def at_step(metric: MetricFacts, sample: Sample | None) -> str:
    """A value with the step it was measured at, for a table."""
    if sample is None:
        return NONE
    return f"{measure(metric, sample.value)} @ {sample.step:,}"


def change(metric: MetricFacts, before: Sample | None, now: Sample | None) -> str:
    """How far a metric has moved: `-24%`, of percentages `+6.25 pp`."""
    if before is None or now is None:
        return NONE
    if not (math.isfinite(before.value) and math.isfinite(now.value)):
        return NONE
    if now.value == before.value:
        return "none"
    if is_percent(metric):
        return f"{on_axis(metric, now.value) - on_axis(metric, before.value):+.2f} pp"
    if not before.value:
        return NONE
    moved = (now.value - before.value) / abs(before.value)
    return f"{now.value / before.value:,.1f}×" if moved > 10 else f"{moved:+.1%}"


def share(part: float) -> str:
    """A share in percent, to a tenth: `43%`, `15.5%`."""
    return f"{100 * part:.1f}".removesuffix(".0") + "%"


def hours(count: float) -> str:
    """Hours with as many digits as matter: `66.7`, `0.042`."""
    return f"{count:,.1f}" if count >= 10 else f"{count:.2g}"


def as_percent(metric: MetricFacts) -> MetricFacts:
    """The metric as one that is read in percent."""
    return replace(metric, spec=replace(metric.spec, unit="%"))


def trend(metric: MetricFacts) -> str:
    """Where a metric came from and where it is heading: `down from 4.73, still falling`."""
    first, latest = metric.first, metric.latest
    if first is None or latest is None or metric.points < 2:
        return "first value"
    if not (math.isfinite(first.value) and math.isfinite(latest.value)):
        return "not finite" if not math.isfinite(latest.value) else "first value was not finite"
    came = f"from {measure(metric, first.value)} at step {first.step:,}"
    lately = _lately([value for _, value in metric.history if math.isfinite(value)])
    if measure(metric, first.value) == measure(metric, latest.value):
        return f"as at step {first.step:,}"
    up = latest.value > first.value
    going = {None: "", 0: ", flat lately", 1: ", rising lately", -1: ", falling lately"}[lately]
    if lately == (1 if up else -1):
        going = ", still rising" if up else ", still falling"
    return f"{'up' if up else 'down'} {came}{going}"


def _lately(values: Sequence[float]) -> int | None:
    """Direction of the last quarter against the one before, in terms of the whole range."""
    if len(values) < _FEWEST_FOR_TREND:
        return None
    quarter = len(values) // 4
    change = median(values[-quarter:]) - median(values[-2 * quarter : -quarter])
    span = max(values) - min(values)
    if span == 0 or abs(change) < _FLAT * span:
        return 0
    return 1 if change > 0 else -1


def state_of_run(run: RunInfo | None) -> str:
    """The run in one word: Running, Completed, Failed …"""
    if run is None:
        return "Not started"
    return _OUTCOME_WORDS[run.outcome] if run.outcome else _STATUS_WORDS[run.status]


def tally(criteria: Sequence[CriterionFacts]) -> str:
    """How the required criteria stand: `4 of 6 required criteria met, 1 failed, 1 pending`."""
    goals = [each for each in criteria if each.criterion.reading.is_goal]
    if not goals:
        return "no criteria"
    required = [each for each in goals if each.criterion.required]
    counted = required or goals
    states = [each.verdict.state for each in counted]
    words = f"{states.count(State.MET)} of {len(states)} {'required ' if required else ''}criteria"
    parts = [f"{words} met"]
    names = {state: STATE_WORDS[state].split(" ", 1)[1] for state in State}
    names[State.MANUAL] = "for a person"
    parts += [
        f"{states.count(state)} {name}"
        for state, name in names.items()
        if state is not State.MET and state in states
    ]
    rung = sum(is_alarm(each) and each.verdict.state is State.MET for each in criteria)
    if rung:
        parts.append(f"{rung} alarm{'s' * (rung != 1)} true")
    return ", ".join(parts)


def state_of(each: CriterionFacts) -> str:
    """The state in words; of an alarm and of a rule whether its condition is true."""
    state, reading = each.verdict.state, each.criterion.reading
    if reading.is_goal:
        return STATE_WORDS[state]
    return (_ALARM_WORDS if reading.is_alarm else _RULE_WORDS)[state]


def is_alarm(each: CriterionFacts) -> bool:
    """Whether a line must not become true: it gates nothing, and is bad news when it is met."""
    return each.criterion.reading.is_alarm


def duration(seconds: float | None) -> str:
    """`3 min 05 s`, or unknown."""
    return UNKNOWN if seconds is None else format_duration(seconds)


def duration_range(low_high: tuple[float, float] | None) -> str:
    """A range of durations, its ends shown once if they read the same."""
    if low_high is None:
        return UNKNOWN
    low, high = (format_duration(end) for end in low_high)
    return low if low == high else f"{low} to {high}"


def size(count: int | None) -> str:
    """Bytes in the unit that reads best, powers of 1024: `360.2 MiB`."""
    return UNKNOWN if count is None else format_size(count)


def flat(settings: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings as (dotted name, value) pairs in their own order."""
    pairs: list[tuple[str, str]] = []
    for key, value in settings.items():
        if isinstance(value, dict) and value:
            pairs += flat(value, f"{prefix}{key}.")
        else:
            pairs.append((f"{prefix}{key}", _setting(value)))
    return pairs


def _setting(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "none"
    if isinstance(value, list | tuple):
        return ", ".join(_setting(each) for each in value) or "empty"
    return str(value) if value not in ("", {}) else "empty"
