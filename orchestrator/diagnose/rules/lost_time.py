"""Time that is lost: waiting for data, a crash before a save, a failure that nobody sees."""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.clock import format_duration, format_utc
from orchestrator.diagnose.case import Case, Curve
from orchestrator.diagnose.rules.pace import gpu_hours
from orchestrator.diagnose.series import newest
from orchestrator.diagnose.settings import setting
from orchestrator.domain.finding import Finding, Quote, Severity
from orchestrator.domain.point import Event
from orchestrator.domain.run import REQUEUE, Outcome, Phase
from orchestrator.domain.series import plain_name

_FEWEST = 10  # points from which waiting is told; the first one, which fills the queue, is not one
_WORTH = 60.0  # seconds of training, below which nobody would change anything
_SHARES = ("data_share", "data_fraction", "data_wait_share", "data_wait_fraction", "input_share")
_WAITS: tuple[str, ...] = (
    "data_seconds",
    "data_time",
    "data_wait",
    "data_wait_seconds",
    "loader_seconds",
)
_WAITS += ("dataloader_seconds", "dataloader_time", "time_data", "data_load_time", "data_ms")
_STEPS = (
    "step_seconds",
    "step_time",
    "iter_time",
    "batch_time",
    "time_step",
    "step_ms",
    "time_iter",
)
_RATES = ("steps_per_second", "steps_per_sec", "it_per_second", "it_s")


def input_bound(case: Case) -> Iterator[Finding]:
    """Steps that wait for their data."""
    told = _waiting_share(case) or _waiting_seconds(case) or _waiting_counted(case)
    if told is None or not case.thresholds.data_wait < told[0] <= 1:
        return
    share, arithmetic, evidence = told
    yield Finding(
        id="input-bound",
        severity=Severity.WARN,
        title=f"Training waits for data {share:.0%} of the time",
        evidence=evidence,
        arithmetic=f"{arithmetic} = {share:.1%}, limit {case.thresholds.data_wait:.0%}",
        meaning="The GPU is idle while the next batch is read and prepared; it is paid for anyway.",
        action=f"{_more_workers(case)}, prefetch_factor, pinned memory, or data on a faster disk",
    )


def crash_before_save(case: Case) -> Iterator[Finding]:
    """A crash in an evaluation that ran before what was trained had been saved."""
    for attempt in _crashed(case):
        evaluation = _died_in_evaluation(case, attempt)
        lost = _unsaved(case, attempt, _began(evaluation)) if evaluation else None
        if evaluation is None or lost is None:
            continue
        every = setting(case, "checkpoint_every") or setting(case, "eval_every")
        if lost.seconds < _WORTH or lost.steps < (every.value if every else 1):
            continue
        interval = f" ≥ {every.value:,.0f} of {every.name}" if every else ", nothing saved"
        error = str(evaluation.data.get("error") or "the program ended")
        at = evaluation.at
        yield Finding(
            id="crash-before-save",
            subject=f"attempt {attempt}",
            severity=Severity.ERROR,
            title=f"{format_duration(lost.seconds)} of training lost: the evaluation at step"
            f" {lost.last:,} crashed before anything was saved",
            evidence=(Quote(source=at.source, line=at.line, text=f"eval: {error}"), lost.quote),
            arithmetic=f"{lost.last:,} − {lost.saved:,} = {lost.steps:,} steps{interval};"
            f" {format_duration(lost.seconds)}: {gpu_hours(case, lost.seconds)}",
            meaning="Evaluation ran first and the save came after it, so an error of the evaluation"
            " took the training with it.",
            action="save the checkpoint before evaluating, and rehearse the evaluation first:"
            " exp ticket rehearse",
        )


def noticed_late(case: Case) -> Iterator[Finding]:
    """A failed attempt after which nothing ran for long, until a person began the next one."""
    for attempt, failure in sorted(case.failures.items()):
        last, first = _last_sign(case, attempt), _first_sign(case, attempt + 1)
        if failure.retry or last is None or first is None:
            continue
        gap = first.time - last.time
        if gap <= case.thresholds.unnoticed:
            continue
        yield Finding(
            id="noticed-late",
            subject=f"attempt {attempt}",
            severity=Severity.WARN,
            title=f"Attempt {attempt} ended and nothing ran for {gap / 3600:.0f} hours",
            evidence=(last.quote, first.quote),
            arithmetic=f"from {format_utc(last.time)} to {format_utc(first.time)}:"
            f" {gap / 3600:.0f} hours",
            meaning="The machine stood still because nobody knew that the run had ended.",
            action="have it tell you: [notify] in exp.toml, then exp notify test",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lost:
    """What was trained since the last save."""

    steps: int
    seconds: float
    last: int
    saved: int
    quote: Quote


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sign:
    """A sign of life of an attempt."""

    time: float
    quote: Quote


def _waiting_share(case: Case) -> tuple[float, str, tuple[Quote, ...]] | None:
    """The share of a step as it is logged."""
    curve = _named(case, _SHARES)
    if curve is None:
        return None
    values = _late(curve)
    scale = 100.0 if max(values) > 1 else 1.0
    text = f"median of {len(values)} points of {curve.name}"
    return statistics.median(values) / scale, text, (curve.quote(len(curve) - 1),)


def _waiting_seconds(case: Case) -> tuple[float, str, tuple[Quote, ...]] | None:
    """Seconds of waiting beside the seconds of a step."""
    wait = _named(case, _WAITS)
    if wait is None:
        return None
    step, rate = _named(case, _STEPS), _named(case, _RATES)
    whole = step or rate
    if whole is None or (
        step is not None and wait.name.endswith("_ms") != step.name.endswith("_ms")
    ):
        return None
    waits, whole_values = statistics.median(_late(wait)), statistics.median(_late(whole))
    seconds = whole_values if step is not None else 1 / whole_values if whole_values > 0 else 0.0
    if seconds <= 0:
        return None
    text = f"{waits:.3g} of waiting ÷ {seconds:.3g} of a step ({wait.name}, {whole.name})"
    return waits / seconds, text, (wait.quote(len(wait) - 1), whole.quote(len(whole) - 1))


def _waiting_counted(case: Case) -> tuple[float, str, tuple[Quote, ...]] | None:
    """What a rehearsal counted, of all the time since it began: its start-up counts as no wait."""
    told = {event.data.get("state"): event for event in case.events if event.name == "rehearsal"}
    asked, counts = told.get("asked"), told.get("counts")
    if asked is None or counts is None:
        return None
    waited, seconds = counts.data.get("data_seconds"), counts.at.time - asked.at.time
    if not isinstance(waited, int | float) or seconds <= 0:
        return None
    text = f"{waited:.3g} s in the data loader ÷ {seconds:.3g} s"
    return waited / seconds, text, (Quote(source=counts.at.source, line=counts.at.line, text=text),)


def _named(case: Case, names: tuple[str, ...]) -> Curve | None:
    """The series of one of these names that has most points, if it has enough and is training's."""
    found = [
        curve
        for series, curve in case.curves.items()
        if plain_name(series).lower().replace("/", "_").endswith(names)
        and not plain_name(series).lower().startswith(("eval", "val", "test"))
    ]
    longest = max(found, key=len, default=None)
    return longest if longest is not None and len(longest) > _FEWEST else None


def _late(curve: Curve) -> list[float]:
    """The values that hold, without the first."""
    return [curve.values[at] for at in newest(curve)][1:] or [curve.values[-1]]


def _more_workers(case: Case) -> str:
    told = setting(case, "workers")
    return f"raise {told.name} above {told.value:g}" if told else "more loader workers"


def _crashed(case: Case) -> list[int]:
    """Attempts that ended badly."""
    ended = case.exit
    bad = case.outcome in (Outcome.FAILED, Outcome.LOST) or (
        ended is not None and (bool(ended.signal) or ended.code not in (0, None, REQUEUE))
    )
    newest_one = {case.attempt} if bad and case.ended else set()
    return sorted(set(case.failures) | newest_one)


def _died_in_evaluation(case: Case, attempt: int) -> Event | None:
    """The last event of a phase, if it is an evaluation that did not end well."""
    phases = [e for e in case.events if e.name == "phase" and e.at.attempt == attempt]
    if not phases:
        return None
    last = max(phases, key=lambda event: event.at.time)
    failed = last.data.get("state") == "begin" or last.data.get("error")
    return last if last.data.get("phase") == Phase.EVAL and failed else None


def _began(phase: Event) -> float:
    """When a phase began, by the event of its begin or its end."""
    took = phase.data.get("seconds")
    return phase.at.time - took if isinstance(took, int | float) else phase.at.time


def _unsaved(case: Case, attempt: int, crashed: float) -> _Lost | None:
    """What the attempt had trained by then and not saved; None if it trained nothing."""
    points = [
        (curve.steps[at], curve.times[at], curve, at)
        for curve in case.curves.values()
        for at in range(len(curve))
        if curve.sources[at].startswith(f"attempt-{attempt}/") and curve.times[at] <= crashed
    ]
    begun = _begun(case, attempt, min((time for _, time, _, _ in points), default=None))
    if not points or begun is None:
        return None
    last, _, curve, at = max(points, key=lambda point: point[:2])
    saved = [c for c in case.checkpoints if c.valid and c.time <= crashed and c.step <= last]
    newest_one = max(saved, key=lambda c: c.step, default=None)
    step, since = 0, begun
    if newest_one is not None:
        step, since = newest_one.step, max(begun, newest_one.time)
    return _Lost(
        steps=last - step,
        seconds=crashed - since,
        last=last,
        saved=step,
        quote=curve.quote(at),
    )


def _begun(case: Case, attempt: int, first: float | None) -> float | None:
    """When an attempt began, as well as its records tell."""
    if attempt == case.attempt and case.started is not None:
        return case.started
    sign = _first_sign(case, attempt)
    return sign.time if sign is not None else first


def _first_sign(case: Case, attempt: int) -> _Sign | None:
    events = [event for event in case.events if event.at.attempt == attempt]
    first = min(events, key=lambda event: event.at.time, default=None)
    return _sign(first) if first is not None else None


def _last_sign(case: Case, attempt: int) -> _Sign | None:
    """The last that an attempt wrote, or its end, where that is known."""
    events = [event for event in case.events if event.at.attempt == attempt]
    folder = f"attempt-{attempt}/"
    last = max(events, key=lambda event: event.at.time, default=None)
    signs = [_sign(last)] if last is not None else []
    for curve in case.curves.values():
        own = (n for n in reversed(range(len(curve))) if curve.sources[n].startswith(folder))
        at = next(own, None)
        if at is not None:
            signs.append(_Sign(time=curve.times[at], quote=curve.quote(at)))
    return max(signs, key=lambda sign: sign.time, default=None)


def _sign(event: Event) -> _Sign:
    text = f"{event.name} of attempt {event.at.attempt} at {format_utc(event.at.time)}"
    quote = Quote(source=event.at.source, line=event.at.line, text=text)
    return _Sign(time=event.at.time, quote=quote)
