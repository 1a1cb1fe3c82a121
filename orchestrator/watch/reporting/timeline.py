"""What happened when: of the run of a report, and of all runs of its ticket."""

import math
from collections.abc import Iterator
from contextlib import suppress

from orchestrator import report
from orchestrator.codec import read_record_if_present
from orchestrator.diagnose.series import Measure, Side, parse
from orchestrator.domain.criterion import State
from orchestrator.domain.hardware import is_sampled
from orchestrator.domain.point import Event
from orchestrator.domain.run import MetricSpec, RunRecord, StopRequest
from orchestrator.domain.series import plain_name, surest
from orchestrator.errors import InvalidFileError
from orchestrator.report.words import measure
from orchestrator.store import Reader
from orchestrator.watch.findings import known_findings
from orchestrator.watch.reporting.subject import Ran, Subject
from orchestrator.watch.stories import AttemptStory, stories
from orchestrator.workspace import RunFolder

_EVALUATIONS, _SERIES = 200, 4  # of a run that are told, and the values of each
_UNTOLD = frozenset({Measure.CHANCE, Measure.COUNT, Measure.RECALL, Measure.TERM})
_OUTCOMES = {State.MET: "met", State.FAILED: "failed"}


def timeline_of(subject: Subject) -> tuple[report.Moment, ...]:
    """The run of the report, oldest first, evaluations left out."""
    return _sorted(_moments(subject.reader, subject.folder, subject.record, subject.ended))


def log_of(subject: Subject) -> tuple[report.Moment, ...]:
    """All runs of the ticket with their evaluations, oldest first."""
    reader = subject.reader
    newest = Ran(subject.folder, subject.record, math.inf)
    found: list[report.Moment] = []
    for ran in (*subject.others, newest):
        ended = subject.ended if ran is newest else None if ran.ended == math.inf else ran.ended
        found += _moments(reader, ran.folder, ran.record, ended)
        found += _evaluations(reader, ran.record)
    return _sorted(found)


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
        if verdict.final and verdict.state in _OUTCOMES and evidence and evidence.time:
            text = f"{_OUTCOMES[verdict.state]}: “{' '.join(row.text.split())}”"
            yield report.Moment(time=evidence.time, text=text, step=evidence.step, run=run)
    for known in known_findings(folder):
        text = f"found: {known.finding.title}"
        yield report.Moment(time=known.opened, text=text, run=run)
        if known.closed is not None:
            text = f"no longer: {known.finding.title}"
            yield report.Moment(time=known.closed, text=text, run=run)
    if ended is not None:
        yield report.Moment(time=ended, text=f"{run} ended", run=run)


def _attempt(folder: RunFolder, story: AttemptStory) -> Iterator[report.Moment]:
    """A later attempt, the wish to stop it, and why it failed."""
    run, number = folder.id, story.number
    if number > 1 and story.started is not None:
        why = f": {story.asked_why}" if story.asked_why else ""
        yield report.Moment(time=story.started, text=f"attempt {number} started{why}", run=run)
    stop = None
    with suppress(InvalidFileError):  # a torn one tells nothing
        stop = read_record_if_present(StopRequest, folder.attempt(number).stop_file)
    if stop is not None:
        yield report.Moment(time=stop.time, text=f"stop by {stop.by}: {stop.why}", run=run)
    if story.cause is not None and story.ended is not None:
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
        return "checkpoint saved"
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
        spec = record.metrics.get(plain_name(name), MetricSpec())
        fact = report.MetricFacts(name=name, spec=spec)
        history = reader.sketch(record.id, name, _EVALUATIONS)
        for step, value, time in zip(history.steps, history.values, history.times, strict=True):
            _, words = told.setdefault(step, (time, []))
            if len(words) < _SERIES:
                words.append(f"{name} {measure(fact, value)}")
    for step, (time, words) in told.items():
        text = f"evaluated: {', '.join(words)}"
        yield report.Moment(time=time, text=text, step=step, run=record.id)
