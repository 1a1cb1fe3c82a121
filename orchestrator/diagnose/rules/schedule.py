"""Schedules that are not where the optimizer steps are, and averages slower than the run.

A schedule's position is told by the learning rate itself: of a warm-up to 3e-4 in 100 steps, 6e-5
is position 20. Steps are optimizer steps; where a program logs micro-batches they are divided.
"""

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator.diagnose.case import Case, Curve
from orchestrator.diagnose.series import Series, learning_rates, newest
from orchestrator.diagnose.settings import Setting, accumulation, schedule, setting
from orchestrator.domain.finding import Finding, Quote, Severity
from orchestrator.domain.point import Event

_COSINE = ("cosine", "cosineannealinglr", "cosine_annealing", "cosine_with_warmup")
_LINEAR = ("linear", "linear_decay", "linearlr", "linear_with_warmup")
_FEWEST = 3  # points from which a straight line may be told
_FIRST = 10  # steps before which being off by one already is a drift


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rate:
    """A learning rate with its plan, in optimizer steps; `places` are the points that count."""

    curve: Curve
    places: Sequence[int]
    steps: Sequence[float]
    values: Sequence[float]
    peak: Setting
    warmup: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drift:
    """`ratio` is the schedule's position over where the optimizer steps say it is."""

    ratio: float
    position: float
    step: float
    at: int
    what: str
    evidence: tuple[Quote, ...]


def scheduler_accumulation(case: Case) -> Iterator[Finding]:
    """A schedule that goes by micro-batches while the optimizer goes by accumulated steps."""
    factor = accumulation(case)
    told = setting(case, "accumulate")
    if factor < 2 or told is None:
        return
    drift, wide = _drift(case), case.thresholds.drift
    if drift is not None:
        for ratio, speed in ((drift.ratio, "fast"), (1 / drift.ratio, "slow")):
            if _near(ratio, factor, wide):
                yield _by_accumulation(
                    title=f"The learning rate's schedule is {factor} times too {speed}: it is at"
                    f" {drift.position:,.0f} after {drift.step:,.0f} optimizer steps",
                    arithmetic=f"{drift.what}: position {drift.position:,.1f} ÷ optimizer step"
                    f" {drift.step:,.0f} = {drift.ratio:.3g}, accumulation {factor}",
                    evidence=(*drift.evidence, told.quote),
                )
        return
    sized, stepped = _sized(case), _stepped(case)
    if sized is not None and stepped is not None and _near(stepped[0], factor, wide):
        return  # sized in micro-batches and stepped once for each: that is the plan
    if sized is not None and _near(sized[0], factor, wide):
        yield _by_accumulation(
            title=f"The scheduler is sized in micro-batches: off by the accumulation, {factor}",
            arithmetic=f"{sized[1]} = {sized[0]:.1f}, accumulation {factor}",
            evidence=(*sized[2], told.quote),
        )
    elif stepped is not None and _near(stepped[0], factor, wide):
        yield _by_accumulation(
            title=f"The scheduler steps {factor} times for each optimizer step",
            arithmetic=f"{stepped[1]} = {stepped[0]:.1f}, accumulation {factor}",
            evidence=(stepped[2], told.quote),
        )


def schedule_off(case: Case) -> Iterator[Finding]:
    """A learning rate that is not where its declared plan has it at this step."""
    drift, wide = _drift(case), case.thresholds.drift
    if drift is None or 1 / wide <= drift.ratio <= wide:
        return
    factor = accumulation(case)
    if factor > 1 and any(_near(r, factor, wide) for r in (drift.ratio, 1 / drift.ratio)):
        return
    ahead = "ahead of" if drift.ratio > 1 else "behind"
    yield Finding(
        id="schedule-off",
        severity=Severity.WARN,
        title=f"The learning rate is {ahead} its plan: at position {drift.position:,.0f} after"
        f" {drift.step:,.0f} steps",
        evidence=drift.evidence,
        arithmetic=f"{drift.what}: position {drift.position:,.1f} ÷ step {drift.step:,.0f}"
        f" = {drift.ratio:.3g}, allowed {1 / wide:.2f} to {wide:.2f}",
        meaning="The scheduler does not follow the plan that the settings declare: it is stepped at"
        " other moments than the optimizer, or was built from other numbers.",
        action="call scheduler.step() once after each optimizer.step(), build the scheduler from"
        " the run's own numbers, and restore it with the checkpoint",
    )


def ema_horizon(case: Case) -> Iterator[Finding]:
    """An average of the weights that still holds its beginning when the run ends."""
    decay, planned = setting(case, "ema"), _planned(case)
    if decay is None or planned is None or not 0.5 <= decay.value < 1:
        return
    half_life = math.log(2) / (1 - decay.value)
    left = decay.value**planned
    if left <= case.thresholds.ema:
        return
    yield Finding(
        id="ema-horizon",
        severity=Severity.WARN,
        title=f"Averaged weights are frozen near the start: half-life {half_life:,.0f} steps in a"
        f" run of {planned:,.0f}",
        evidence=(decay.quote, *_planned_quotes(case)),
        arithmetic=f"ln 2 ÷ (1 − {decay.value:g}) = {half_life:,.0f} steps;"
        f" {decay.value:g}^{planned:,.0f} = {left:.0%} of the first weights are left at the end",
        meaning="What is evaluated from the averaged weights is mostly the untrained model: the"
        " evaluation looks frozen however well training goes.",
        action=f"set {decay.name} to {_shorter(planned):.4g} or less, let the average start slowly,"
        " or evaluate the raw weights",
    )


def _by_accumulation(*, title: str, arithmetic: str, evidence: tuple[Quote, ...]) -> Finding:
    return Finding(
        id="scheduler-accumulation",
        severity=Severity.ERROR,
        title=title,
        evidence=evidence,
        arithmetic=arithmetic,
        meaning="Warm-up and decay happen at the wrong time for the whole run: the model trains at"
        " learning rates that nobody chose.",
        action="size the scheduler in optimizer steps (batches ÷ accumulation) and call"
        " scheduler.step() only after optimizer.step()",
        retry=False,
    )


def _near(ratio: float, factor: float, wide: float) -> bool:
    return factor / wide <= ratio <= factor * wide


def _shorter(planned: float) -> float:
    """The decay whose half-life is a fifth of the run, to four digits."""
    return round(1 - 5 * math.log(2) / planned, 4) if planned > 10 else 0.5


def _planned(case: Case) -> float | None:
    """How many optimizer steps the run is to take."""
    if told := setting(case, "optimizer_steps"):
        return told.value
    if told := setting(case, "batches"):
        return told.value / accumulation(case)
    return case.record.planned_steps


def _planned_quotes(case: Case) -> tuple[Quote, ...]:
    told = setting(case, "optimizer_steps") or setting(case, "batches")
    if told is not None:
        return (told.quote,)
    return (Quote(source="run.json", text=f"planned_steps = {case.record.planned_steps}"),)


def _unit(case: Case) -> float:
    """Logged steps of one optimizer step: the accumulation, where micro-batches are counted."""
    factor, planned = accumulation(case), _planned(case)
    counted = max(case.record.planned_steps or 0, case.max_step or 0)
    micro = factor > 1 and planned and counted / planned > math.sqrt(factor)
    return float(factor) if micro else 1.0


def _sized(case: Case) -> tuple[float, str, tuple[Quote, ...]] | None:
    """The scheduler's size over the optimizer's, as the settings declare them."""
    size, planned = setting(case, "schedule_steps"), _planned(case)
    if size is None or not planned:
        return None
    text = f"{size.value:,.0f} scheduler steps ÷ {planned:,.0f} optimizer steps"
    return size.value / planned, text, (size.quote, *_planned_quotes(case))


def _stepped(case: Case) -> tuple[float, str, Quote] | None:
    """Steps of the scheduler over those of the optimizer, counted in a rehearsal."""
    for event in reversed(case.events):
        if event.name == "rehearsal" and event.data.get("state") == "counts":
            return _counted(event)
    return None


def _counted(event: Event) -> tuple[float, str, Quote] | None:
    scheduled, optimized = event.data.get("scheduler_steps"), event.data.get("optimizer_steps")
    if not isinstance(scheduled, int) or not isinstance(optimized, int) or optimized < 1:
        return None
    text = f"{scheduled} scheduler steps ÷ {optimized} optimizer steps"
    quote = Quote(source=event.at.source, line=event.at.line, text=f"counted in PyTorch: {text}")
    return scheduled / optimized, text, quote


def _drift(case: Case) -> _Drift | None:
    """Where the learning rate says that the schedule is, against the steps; None if untold."""
    for series in learning_rates(case):
        rate = _rate(case, series)
        if rate is not None:
            drift = _in_warmup(rate) or _in_decay(case, rate)
            late = drift is not None and drift.ratio * case.thresholds.drift < 1
            if drift is not None and (not late or _counts_known(case)):
                return drift
    return None


def _counts_known(case: Case) -> bool:
    """Whether it is sure what a step is: micro-batches look like a schedule that is late."""
    told = setting(case, "optimizer_steps") or setting(case, "batches")
    return accumulation(case) == 1 or (told is not None and case.record.planned_steps is not None)


def _rate(case: Case, series: Series) -> _Rate | None:
    """A learning rate whose plan is declared, and that was logged from the beginning.

    Several of one run (members, groups of parameters) have plans that nobody declared one by one.
    """
    member = series.name.member
    peak, warmup = setting(case, "lr", member), _warmup(case, member)
    if peak is None or warmup is None or peak.value <= 0 or member or series.name.group:
        return None
    places = newest(series.curve)
    values = [series.curve.values[at] for at in places]
    unit = _unit(case)
    steps = [series.curve.steps[at] / unit for at in places]
    if len(steps) < _FEWEST or steps[0] > 2 * (steps[1] - steps[0]) + 1:
        return None
    if not all(0 <= value <= peak.value * 1.01 for value in values) or not any(values):
        return None
    if max(values) < 0.98 * peak.value and values[-1] <= values[-2]:
        return None  # it has a peak of its own: scaled by the batch, or of another group
    return _Rate(
        curve=series.curve, places=places, steps=steps, values=values, peak=peak, warmup=warmup
    )


def _warmup(case: Case, member: str) -> float | None:
    """The declared length of the warm-up, in optimizer steps."""
    told, planned = setting(case, "warmup", member), _planned(case)
    if told is not None and (told.value >= 1 or told.value == 0):
        return told.value
    share = told or setting(case, "warmup_share", member)
    return share.value * planned if share is not None and planned is not None else None


def _in_warmup(rate: _Rate) -> _Drift | None:
    """The pace of a warm-up that rises in a straight line, from any beginning.

    None if there is none, or too little of it: then the decay has to tell.
    """
    rising = _rising(rate)
    if rate.warmup < 1 or len(rising) < _FEWEST or rate.steps[rising[-1]] < _FIRST:
        return _at_once(rate)
    first, middle, last = rising[0], rising[len(rising) // 2], rising[-1]
    x, y = rate.steps, rate.values
    slope = (y[last] - y[first]) / (x[last] - x[first])
    begin = max(0.0, y[first] - slope * x[first])
    straight = abs(y[first] + slope * (x[middle] - x[first]) - y[middle])
    if slope <= 0 or begin >= rate.peak.value or straight > 0.02 * rate.peak.value:
        return None
    ratio = slope * rate.warmup / (rate.peak.value - begin)
    return _Drift(
        ratio=ratio,
        position=ratio * x[last],
        step=x[last],
        at=last,
        what=f"warm-up to {rate.peak.value:g} in {rate.warmup:,.0f} steps",
        evidence=_quotes(rate, first, last),
    )


def _rising(rate: _Rate) -> list[int]:
    """Places of the points of the warm-up: from the first on while the rate grows."""
    rising = [0]
    for at in range(1, len(rate.values)):
        if not rate.values[at - 1] < rate.values[at]:
            break
        rising.append(at)
    if rate.values[rising[-1]] >= 0.99 * rate.peak.value:
        rising.pop()  # the peak may have been reached anywhere between both points
    return rising


def _at_once(rate: _Rate) -> _Drift | None:
    """A peak that is reached long before the warm-up is over, between two points of the log."""
    peak = next((n for n, v in enumerate(rate.values) if v >= 0.99 * rate.peak.value), None)
    if peak is None or rate.steps[peak] < 1 or rate.steps[peak] * 2 > rate.warmup:
        return None
    return _Drift(
        ratio=rate.warmup / rate.steps[peak],
        position=rate.warmup,
        step=rate.steps[peak],
        at=peak,
        what=f"warm-up to {rate.peak.value:g} in {rate.warmup:,.0f} steps is over",
        evidence=_quotes(rate, peak),
    )


def _in_decay(case: Case, rate: _Rate) -> _Drift | None:
    """The pace of a cosine or a straight line down to the end of the plan."""
    word, planned = schedule(case), _planned(case)
    kind = word.value.lower() if word is not None else ""
    if kind not in (*_COSINE, *_LINEAR) or planned is None or planned <= rate.warmup:
        return None
    floor = _floor(case, rate.peak.value)
    low = floor if floor is not None else 0.0
    told = []
    for at in _falling(rate):
        share = (rate.values[at] - low) / (rate.peak.value - low)
        if 0.1 < share < 0.9 and rate.steps[at] >= _FIRST:
            gone = math.acos(2 * share - 1) / math.pi if kind in _COSINE else 1 - share
            position = rate.warmup + gone * (planned - rate.warmup)
            told.append((position / rate.steps[at], position, at))
    if len(told) < _FEWEST:
        return None
    ratio = statistics.median(each[0] for each in told)
    if floor is None and ratio < 1:
        return None  # a rate that ends above 0 looks late
    _, position, at = min(told, key=lambda each: abs(each[0] - ratio))
    return _Drift(
        ratio=ratio,
        position=position,
        step=rate.steps[at],
        at=at,
        what=f"{kind} from {rate.peak.value:g} in {planned:,.0f} steps",
        evidence=_quotes(rate, at),
    )


def _falling(rate: _Rate) -> list[int]:
    """Places behind the peak, down to where the rate first rises again."""
    peak = max(range(len(rate.values)), key=rate.values.__getitem__)
    falling = []
    for at in range(peak + 1, len(rate.values)):
        if rate.values[at] > rate.values[at - 1]:
            break
        falling.append(at)
    return falling


def _floor(case: Case, peak: float) -> float | None:
    """Where the decay ends; None if nobody says."""
    if told := setting(case, "lr_min"):
        return told.value if told.value < peak else None
    told = setting(case, "lr_end")
    return told.value * peak if told is not None and told.value < 1 else None


def _quotes(rate: _Rate, *places: int) -> tuple[Quote, ...]:
    points = tuple(rate.curve.quote(rate.places[at]) for at in places)
    return (*points, rate.peak.quote)
