"""Training losses that do not move: at the random baseline, at their start, or flat."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from orchestrator.diagnose.case import Case
from orchestrator.diagnose.rules.zeros import gradient_zero, rate_zero
from orchestrator.diagnose.series import (
    Series,
    is_loss_progress,
    learning_rates,
    newest,
    training_losses,
)
from orchestrator.diagnose.settings import setting
from orchestrator.diagnose.trend import drift_of
from orchestrator.domain.criterion import State
from orchestrator.domain.finding import Finding, Severity

_START, _FEWEST = 20, 3  # points: of the start, to judge at all
_SAME = 0.01  # of a level, within which another is the same


@dataclass(frozen=True, slots=True, kw_only=True)
class _Course:
    """A training loss behind its warm-up: places and values of its finite points."""

    series: Series
    places: list[int]
    values: list[float]

    @property
    def start(self) -> float:
        """Where the loss began, warm-up and all."""
        curve = self.series.curve
        begun = [curve.values[at] for at in newest(curve)[:_START]]
        return median([value for value in begun if math.isfinite(value)] or self.values[:1])


def stillness(case: Case) -> Iterator[Finding]:
    """Losses at the random baseline or at their start (`not-learning`), or flat (`plateau`)."""
    if not is_loss_progress(case) or any(rate_zero(case)) or any(gradient_zero(case)):
        return
    for each in training_losses(case):
        course = _warm(case, each)
        found = _at_random(case, course) or _at_start(case, course)
        if found is None and not case.ended:
            found = _flat(case, course)
        if found is not None:
            yield found


def _warm(case: Case, each: Series) -> _Course:
    curve = each.curve
    places = [at for at in newest(curve) if math.isfinite(curve.values[at])]
    planned, share = case.record.planned_steps, case.thresholds.warmup
    if planned is None:
        places = places[int(share * len(places)) :]
    else:
        places = [at for at in places if curve.steps[at] >= share * planned]
    return _Course(series=each, places=places, values=[curve.values[at] for at in places])


def _at_random(case: Case, course: _Course) -> Finding | None:
    """The loss is what guessing gives, long after the warm-up."""
    values, name = course.values, course.series.name.series
    if len(values) < max(_FEWEST, case.thresholds.plateau // 4):
        return None
    level = median(values[-len(values) // 3 :])
    for chance, words in _chances(case, course.series):
        if chance > 0 and abs(level - chance) <= _SAME * chance:
            sum_of = f"{words} = {chance:.2f}; the loss is {level:.4g}, {level / chance - 1:+.1%}"
            title = f"{name} is still {level:.4g}, which is what guessing gives"
            return _not_learning(course, Severity.ERROR, title, sum_of)
    return None


def _chances(case: Case, each: Series) -> Iterator[tuple[float, str]]:
    """Losses of a constant predictor, and how they come about."""
    if each.spec is not None and isinstance(each.spec.chance, float):
        yield each.spec.chance, "the declared chance"
    for meaning in ("vocab", "classes"):
        told = setting(case, meaning, each.name.member)
        if told is not None and told.value > 1:
            yield math.log(told.value), f"ln {told.value:.0f} ({told.name})"


def _at_start(case: Case, course: _Course) -> Finding | None:
    """No difference between the beginning and now, neither against the noise nor in size."""
    values = course.values
    if len(values) < max(_FEWEST, case.thresholds.plateau):
        return None
    start = course.start
    drift, size = drift_of(values), _SAME * abs(start)
    moved = abs(drift.change) > max(drift.noise, size / 5)
    if moved or max(abs(drift.change), abs(drift.last - start)) > size:
        return None
    name = course.series.name.series
    title = f"{name} has not left its start: {start:.4g}, now {drift.last:.4g}"
    return _not_learning(course, Severity.WARN, title, f"{drift} over {len(values):,} points")


def _not_learning(course: _Course, severity: Severity, title: str, arithmetic: str) -> Finding:
    curve = course.series.curve
    return Finding(
        id="not-learning",
        severity=severity,
        subject=course.series.name.series,
        title=title,
        evidence=(curve.quote(course.places[0]), curve.quote(course.places[-1])),
        arithmetic=arithmetic,
        meaning="The model has learned nothing from its input so far.",
        action="Overfit one batch. If that fails, check that the loss reaches the weights (detach, "
        "requires_grad, the optimizer's parameters), the labels and the learning rate.",
        retry=False,
    )


def _flat(case: Case, course: _Course) -> Finding | None:
    """Flat for long while criteria are open and the learning rate is not yet spent."""
    values, count = course.values, max(_FEWEST, case.thresholds.plateau)
    waits = any(v.state is State.PENDING and not v.final for v in case.verdicts)
    if not waits or len(values) < 2 * count or _is_rate_spent(case):
        return None
    drift = drift_of(values[-count:])
    progress = abs(course.start - drift.last)
    if abs(drift.change) > max(drift.noise, 0.002 * progress):
        return None
    curve, name = course.series.curve, course.series.name.series
    return Finding(
        id="plateau",
        severity=Severity.INFO,
        subject=name,
        title=f"{name} has been flat at {drift.last:.4g} for {count:,} points",
        evidence=(curve.quote(course.places[-count]), curve.quote(course.places[-1])),
        arithmetic=f"{drift} over {count:,} points",
        meaning="Training no longer moves while criteria are still open.",
        action="See what the open criteria still need; lower the learning rate, or end the run.",
    )


def _is_rate_spent(case: Case) -> bool:
    """Whether the schedule is all but done, so that flat is as planned."""
    for rate in learning_rates(case):
        values = [value for value in rate.curve.values if math.isfinite(value)]
        if values and values[-1] <= 0.1 * max(values):
            return True
    return False
