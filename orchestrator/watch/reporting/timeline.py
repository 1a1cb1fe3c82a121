"""What happened when: of the run of a report, and of all runs of its ticket."""

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from orchestrator import report
from orchestrator.codec import read_record_if_present
from orchestrator.diagnose.series import Measure, Side, parse
from orchestrator.domain.criterion import State
from orchestrator.domain.hardware import is_sampled
from orchestrator.domain.point import Event
from orchestrator.domain.retry import Cause
from orchestrator.domain.run import MetricSpec, Phase, RunRecord, StopRequest
from orchestrator.domain.series import surest
from orchestrator.errors import InvalidFileError
from orchestrator.report.changes import Since
from orchestrator.report.words import measure, size
from orchestrator.store import Reader
from orchestrator.watch.findings import known_findings
from orchestrator.watch.reporting.subject import Ran, Subject
from orchestrator.watch.stories import AttemptStory, stories
from orchestrator.workspace import RunFolder

_EVALUATIONS, _SERIES = 200, 4  # of a run that are told, and the values of each
_UNTOLD = frozenset({Measure.CHANCE, Measure.COUNT, Measure.RECALL, Measure.TERM})
_LEARNED = frozenset({Measure.LOSS, Measure.ACCURACY, Measure.EXACT})
# An alarm that was never true is nothing that happened; that one failed would say the opposite.
_OUTCOMES = {
    ("positive", State.MET): "met",
    ("positive", State.FAILED): "failed",
    ("inverted", State.MET): "alarm",
    ("conditional", State.MET): "rule applies",
}


def timeline_of(subject: Subject, since: Since | None) -> tuple[report.Moment, ...]:
    """The run before and the run of the report, oldest first, evaluations left out."""
    reader = subject.reader
    found = list(_moments(reader, subject.folder, subject.record, subject.ended))
    for before in subject.others:
        if since is not None and before.id == since.run and before.ended < math.inf:
            found += _moments(reader, before.folder, before.record, before.ended)
    return _sorted([*found, *_under_way(subject)])


def log_of(subject: Subject) -> tuple[report.Moment, ...]:
    """All runs of the ticket with their evaluations, oldest first."""
    reader = subject.reader
    newest = Ran(subject.folder, subject.record, math.inf)
    found: list[report.Moment] = []
    for ran in (*subject.others, newest):
        ended = subject.ended if ran is newest else None if ran.ended == math.inf else ran.ended
        found += _moments(reader, ran.folder, ran.record, ended)
        found += _evaluations(reader, ran.record)
    return _sorted([*found, *_under_way(subject)])


def _under_way(subject: Subject) -> Iterator[report.Moment]:
    """The phase that has begun and not ended."""
    doing = phase_now(subject)
    if doing is not None:
        yield replace(doing, text=f"{doing.text} began", run=subject.record.id)


def phase_now(subject: Subject) -> report.Moment | None:
    """What the program does beside training, since when; None if it trains or has ended."""
    if subject.ended is not None:
        return None
    attempt = subject.state.attempt.number
    open_: list[Event] = []
    for event in subject.reader.events(subject.record.id, "phase"):
        if event.at.attempt != attempt:
            continue
        if event.data.get("state") == "begin":
            open_.append(event)
        elif open_:
            open_.pop()
    if not open_ or open_[-1].data.get("phase") == Phase.TRAIN:
        return None
    event = open_[-1]
    text = str(event.data.get("phase"))
    return report.Moment(time=event.at.time, text=text, step=event.at.step)


def _sorted(moments: Iterator[report.Moment] | list[report.Moment]) -> tuple[report.Moment, ...]:
    return tuple(sorted(moments, key=lambda moment: (moment.time, moment.run or "")))


def _moments(
    reader: Reader, folder: RunFolder, record: RunRecord, ended: float | None
) -> Iterator[report.Moment]:
    run = folder.id
    yield report.Moment(time=record.created, text=f"{run} launched", run=run)
    for event in reader.events(run):
        text = _told(event)
        if text is not None:
            yield report.Moment(time=event.at.time, text=text, step=_step_of(event), run=run)
    for story in stories(folder, record, reader):
        yield from _attempt(folder, story)
    for row in reader.verdicts(run):
        verdict, evidence = row.verdict, row.verdict.evidence
        outcome = _OUTCOMES.get((row.polarity, verdict.state))
        if verdict.final and outcome and evidence and evidence.time:
            text = f"{outcome}: “{' '.join(row.text.split())}”"
            yield report.Moment(time=evidence.time, text=text, step=evidence.step, run=run)
    for known in known_findings(folder):
        text = f"found: {known.finding.title}"
        yield report.Moment(time=known.opened, text=text, run=run)
        if known.closed is not None:
            text = f"no longer: {known.finding.title}"
            yield report.Moment(time=known.closed, text=text, run=run)
    if ended is not None:
        text = f"{run} ended{_course(reader, record)}"
        yield report.Moment(time=ended, text=text, run=run)


def _course(reader: Reader, record: RunRecord) -> str:
    """`: train/loss 4,764 at step 1 → 3,265 at step 194`; of the losses and shares of training."""
    rows, marks = reader.series(record.id), reader.landmarks(record.id)
    names = [name for name in rows if name in marks and not is_sampled(name)]
    told = []
    for name in sorted(surest(names)):
        read, first, last = parse(name), marks[name].first, rows[name].latest
        if read.side is not Side.TRAIN or read.measure not in _LEARNED:
            continue
        if first is not None and last is not None and first.step < last.step:
            fact = report.MetricFacts(
                name=name, spec=report.spec_of(record.metrics, name) or MetricSpec()
            )
            began, came = measure(fact, first.value), measure(fact, last.value)
            told.append(f"{name} {began} at step {first.step:,} → {came} at step {last.step:,}")
    return f": {', '.join(told[:_SERIES])}" if told else ""


def _attempt(folder: RunFolder, story: AttemptStory) -> Iterator[report.Moment]:
    """A later attempt, the wish to stop it, and why it failed."""
    run, number = folder.id, story.number
    if number > 1 and story.started is not None:
        why = ", ".join([*filter(None, [story.asked_why]), *map(" = ".join, story.settings)])
        text = f"attempt {number} started{f': {why}' if why else ''}"
        yield report.Moment(time=story.started, text=text, run=run)
    stop = None
    with suppress(InvalidFileError):  # a torn one tells nothing
        stop = read_record_if_present(StopRequest, folder.attempt(number).stop_file)
    if stop is not None:
        yield report.Moment(time=stop.time, text=f"stop by {stop.by}: {stop.why}", run=run)
    if story.cause not in {None, Cause.STOPPED} and story.ended is not None:
        text = f"attempt {number} failed: {story.cause}: {story.evidence}"
        if story.decision:
            text += f" ({story.decision})"
        yield report.Moment(time=story.ended, text=text, step=story.last_step, run=run)


def _step_of(event: Event) -> int | None:
    """Where training stood; the shim, which tells of processes, does not know."""
    return None if event.name == "process" else event.at.step


def _told(event: Event) -> str | None:
    """An event as a line of the timeline; most are too small for one."""
    data = event.data
    if event.name == "gpu_lost":
        return f"GPU {data.get('ordinal')} lost: {data.get('why')}"
    if event.name == "gpu_recovered":
        return f"GPU {data.get('ordinal')} recovered"
    if event.name == "process" and data.get("state") == "begin":
        return f"{data.get('phase')} started"
    if event.name == "process" and data.get("state") == "end":
        how = f"signal {data['signal']}" if data.get("signal") else f"exit code {data.get('code')}"
        return f"{data.get('phase')} ended with {how}"
    if event.name == "checkpoint":
        known = data.get("bytes")
        what = data.get("path"), size(known) if isinstance(known, int) else None
        told = ", ".join(str(each) for each in what if each)
        return f"checkpoint saved{f': {told}' if told else ''}"
    if event.name == "alert":
        return f"alert: {data.get('title')}"
    return None


def _evaluations(reader: Reader, record: RunRecord) -> Iterator[report.Moment]:
    """Steps at which held-out examples were measured, with the first of their values."""
    names = [name for name in reader.series(record.id) if not is_sampled(name)]
    evaluated = [
        name
        for name in surest(names)
        if (read := parse(name)).side is Side.EVAL and read.measure not in _UNTOLD
    ]
    told: dict[int, tuple[float, list[str]]] = {}
    for name in sorted(evaluated, key=lambda name: (parse(name).measure is Measure.OTHER, name)):
        spec = report.spec_of(record.metrics, name) or MetricSpec()
        fact = report.MetricFacts(name=name, spec=spec)
        history = reader.sketch(record.id, name, _EVALUATIONS)
        for step, value, time in zip(history.steps, history.values, history.times, strict=True):
            _, words = told.setdefault(step, (time, []))
            if len(words) < _SERIES:
                words.append(f"{name} {measure(fact, value)}")
    for step, (time, words) in told.items():
        text = f"evaluated: {', '.join(words)}"
        yield report.Moment(time=time, text=text, step=step, run=record.id)
