"""Metrics of a run for its report: quoted points out of the index, and curves of bounded length."""

from collections.abc import Mapping
from dataclasses import replace

from orchestrator import report
from orchestrator.diagnose.series import Measure, Side, parse
from orchestrator.domain.hardware import is_sampled
from orchestrator.domain.progress import Progress, pace
from orchestrator.domain.run import MetricSpec
from orchestrator.domain.series import PRINTED, furthest, origin_of, plain_name, surest
from orchestrator.report.changes import Since
from orchestrator.store.rows import History, Landmarks, LatestValue, SeriesRow
from orchestrator.watch.judging import steps_per
from orchestrator.watch.reporting.subject import Subject

_DRAWN, _CURVE = 24, 600  # so many curves may be drawn, with so many points
_LISTED, _SPARK = 100, 48  # so many more are shown as a line of blocks
_PACE = 1000  # points of the series that tells the pace
_OF_PARTS = frozenset({Measure.RECALL, Measure.COUNT, Measure.TERM, Measure.CHANCE})
_TOLD = frozenset({Measure.LOSS, Measure.EXACT, Measure.ACCURACY, Measure.PERPLEXITY})


def metrics_of(subject: Subject, since: Since | None) -> tuple[report.MetricFacts, ...]:
    """Metrics that programs logged; those that are declared or asked for first.

    Only the first of them have curves: hundreds are not looked at.
    """
    reader, run = subject.reader, subject.record.id
    rows = {name: row for name, row in reader.series(run).items() if not is_sampled(name)}
    marks = reader.landmarks(run)
    earlier = _earlier(subject, since)
    found = [_metric(subject, row, marks[name]) for name, row in rows.items() if name in marks]
    found = [
        replace(fact, before=_sample(earlier.get(fact.name)))
        for fact in sorted(_shown(found), key=_rank)
    ]
    drawn = (_with_curve(subject, fact, place) for place, fact in enumerate(found))
    return (*drawn, *_awaited(subject, earlier, rows))


def _awaited(
    subject: Subject, earlier: Mapping[str, LatestValue], rows: Mapping[str, SeriesRow]
) -> list[report.MetricFacts]:
    """What was evaluated before and has no point in this run yet: the value to compare with."""
    metrics, criteria = subject.record.metrics, subject.record.criteria
    found = []
    for name, value in earlier.items():
        read = parse(name)
        if name in rows or read.side is not Side.EVAL or read.measure in _OF_PARTS:
            continue
        spec = report.spec_of(metrics, name)
        fact = report.MetricFacts(
            name=name,
            spec=spec or MetricSpec(),
            before=_sample(value),
            targets=report.targets_of(name, metrics, criteria),
            evaluation=True,
            declared=spec is not None,
        )
        found.append(fact)
    return sorted(found, key=_rank)[:_DRAWN]


def progress_of(subject: Subject) -> Progress:
    """How far training is; its pace from the densest series, as it logs more than evaluation."""
    planned = subject.record.planned_steps
    dense = densest(subject)
    elapsed = subject.moment - subject.record.created
    if dense is None:
        return Progress(planned=planned)
    steps = {name: row.max_step for name, row in _logged(subject).items()}
    return replace(
        pace(pace_points(subject, dense), planned),
        step=furthest(steps),
        elapsed=elapsed,
        epoch_steps=steps_per(subject.settings).get("epoch"),
        eval_share=_eval_share(subject, elapsed),
    )


def densest(subject: Subject) -> str | None:
    """The series of the surest origin with most points; None without points."""
    rows = _logged(subject)
    surer = surest(rows)
    return max(surer, key=lambda name: (rows[name].count, name), default=None)


def pace_points(subject: Subject, name: str) -> list[tuple[int, float]]:
    """(step, time) of a sample of a series."""
    history = subject.reader.sketch(subject.record.id, name, _PACE)
    return list(zip(history.steps, history.times, strict=True))


def _logged(subject: Subject) -> dict[str, SeriesRow]:
    rows = subject.reader.series(subject.record.id)
    return {name: row for name, row in rows.items() if not is_sampled(name)}


def _eval_share(subject: Subject, elapsed: float) -> float | None:
    spent = [
        float(event.data.get("seconds", 0.0))
        for event in subject.reader.events(subject.record.id, "phase")
        if event.data.get("phase") == "eval" and event.data.get("state") == "end"
    ]
    return sum(spent) / elapsed if spent and elapsed > 0 else None


def _earlier(subject: Subject, since: Since | None) -> Mapping[str, LatestValue]:
    """The value before of each metric.

    Of a run that was named it is that run's last; of a time the last by then, of this run or else
    of the one before it.
    """
    if since is None:
        return {}
    reader = subject.reader
    then = reader.before(since.run, since.time) if since.run is not None else {}
    if since.run == since.label:
        return then
    return {**then, **reader.before(subject.record.id, since.time)}


def _metric(subject: Subject, row: SeriesRow, marks: Landmarks) -> report.MetricFacts:
    record = subject.record
    spec = report.spec_of(record.metrics, row.name)
    known = spec or MetricSpec()
    higher = report.higher_is_better(row.name, known)
    best = None if higher is None else marks.high if higher else marks.low
    return report.MetricFacts(
        name=row.name,
        spec=known,
        first=_sample(marks.first),
        latest=_sample(row.latest),
        best=_sample(best),
        targets=report.targets_of(row.name, record.metrics, record.criteria),
        points=row.count,
        non_finite=row.nonfinite,
        evaluation=parse(row.name).side is Side.EVAL,
        declared=spec is not None,
    )


def _sample(value: LatestValue | None) -> report.Sample | None:
    return (
        None
        if value is None
        else report.Sample(step=value.step, value=value.value, time=value.time)
    )


def _shown(facts: list[report.MetricFacts]) -> list[report.MetricFacts]:
    """Metrics that belong in the report: printed ones only where nothing surer tells it."""
    surer = {plain_name(fact.name) for fact in facts if origin_of(fact.name) != PRINTED}
    return [
        fact
        for fact in facts
        if origin_of(fact.name) != PRINTED
        or not surer
        or (bool(fact.targets) and plain_name(fact.name) not in surer)
    ]


def _rank(fact: report.MetricFacts) -> tuple[bool, bool, str]:
    told = parse(fact.name).measure in _TOLD
    return not (fact.targets or fact.declared), not told, fact.name


def _with_curve(subject: Subject, fact: report.MetricFacts, place: int) -> report.MetricFacts:
    if place >= _LISTED:
        return fact
    most = _CURVE if place < _DRAWN else _SPARK
    points: History = subject.reader.sketch(subject.record.id, fact.name, most)
    return replace(fact, history=tuple(zip(points.steps, points.values, strict=True)))
