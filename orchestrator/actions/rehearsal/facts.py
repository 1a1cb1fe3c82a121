"""What one execution of a program did, read from the records that it left."""

import math
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from orchestrator.actions.rehearsal.checkpoints import problem_of
from orchestrator.actions.rehearsal.stages import Execution
from orchestrator.diagnose.causes import Ending, Finish, name_cause
from orchestrator.diagnose.causes.launchers import end_of
from orchestrator.diagnose.causes.traces import lines_of
from orchestrator.domain.facts import Checkpoint
from orchestrator.domain.finding import Quote
from orchestrator.domain.hardware import is_sampled
from orchestrator.domain.point import Event, Point
from orchestrator.domain.rehearsal import PhaseMemory, PhaseSpan, Saved, StageFacts
from orchestrator.domain.run import REQUEUE, ExitRecord, Outcome
from orchestrator.redact import redact
from orchestrator.rehearsal.series import is_evaluation
from orchestrator.watch.logs import tail

_RANK = re.compile(r".*/events-.*-(\d+)-\d+\.jsonl")
_TAIL = 1 << 19  # bytes of the log in which the cause of a failure is looked for
_EVENT = "rehearsal"


def facts_of(execution: Execution, name: str, *, leftovers: tuple[str, ...] = ()) -> StageFacts:
    """The facts of an execution that has ended; every byte of its checkpoints is read.

    `name` is that of the stage in the rehearsal: the folder of one may hold two of them.
    """
    points = [point for point in execution.points if not is_sampled(point.metric)]
    told = [event for event in execution.events if event.name == _EVENT]
    spans = tuple(_spans(execution.events, points))
    counts = _last(told, "counts")
    root = execution.stage.scene.workspace.root
    return StageFacts(
        name=name,
        phase=execution.phase,
        folder=str(execution.stage.folder.path.relative_to(root)),
        log=str(execution.attempt.log.relative_to(root)),
        asked=_last(told, "asked") is not None,
        ended_by=execution.ended_by,
        exit=_exit(execution),
        seconds=max(0.0, (execution.ended or execution.began) - execution.began),
        values=_by_step(points),
        metrics=_metrics(execution.events, points),
        batches={
            int(event.data["step"]): str(event.data["digest"])
            for event in _of_rank_0(told)
            if event.data.get("state") == "batch"
        },
        pace=_pace(points, spans),
        phases=spans,
        memory=tuple(_memory(told)),
        saved=tuple(_saved(execution, spans)),
        optimizer_steps=_whole(counts, "optimizer_steps"),
        scheduler_steps=_whole(counts, "scheduler_steps"),
        data_seconds=_number(counts, "data_seconds"),
        subset=_subset(told),
        terminated_after=_since_sigterm(execution, execution.ended),
        saved_after=_since_sigterm(execution, _newest_save(execution)),
        leftovers=leftovers,
        silent=_silent(execution),
        error=_error(execution),
    )


def _of_rank_0(events: Iterable[Event]) -> list[Event]:
    """Events of the first process: each of several tells the same."""
    found = list(events)
    first = min((_rank_of(event.at.source) for event in found), default=0)
    return [event for event in found if _rank_of(event.at.source) == first]


def _rank_of(source: str) -> int:
    match = _RANK.fullmatch(source)
    return 0 if match is None else int(match[1])


def _last(told: Iterable[Event], state: str) -> Mapping[str, Any] | None:
    """The newest word of the first process on one thing."""
    said = [event for event in told if event.data.get("state") == state]
    found = [event.data for event in _of_rank_0(said)]
    return found[-1] if found else None


def _subset(told: Iterable[Event]) -> tuple[int, int] | None:
    """How many of how many examples were evaluated, over all parts of different sizes."""
    said = [event for event in told if event.data.get("state") == "subset"]
    parts = {int(event.data["total"]): int(event.data["used"]) for event in _of_rank_0(said)}
    return (sum(parts.values()), sum(parts)) if parts else None


def _whole(counts: Mapping[str, Any] | None, name: str) -> int | None:
    value = None if counts is None else counts.get(name)
    return value if isinstance(value, int) else None


def _number(counts: Mapping[str, Any] | None, name: str) -> float | None:
    value = None if counts is None else counts.get(name)
    return float(value) if isinstance(value, int | float) else None


def _of_first_rank(points: list[Point]) -> Iterator[Point]:
    """Points of each metric's first process: of several, who came last is chance."""
    ranks = {source: _rank_of(source) for source in {point.at.source for point in points}}
    first: dict[str, int] = {}
    for point in points:
        rank = ranks[point.at.source]
        first[point.metric] = min(rank, first.get(point.metric, rank))
    return (point for point in points if ranks[point.at.source] == first[point.metric])


def _by_step(points: list[Point]) -> dict[str, dict[int, float]]:
    values: dict[str, dict[int, float]] = {}
    for point in _of_first_rank(points):
        values.setdefault(point.metric, {})[point.at.step] = point.value
    return values


def _pace(points: list[Point], spans: tuple[PhaseSpan, ...]) -> tuple[tuple[int, float], ...]:
    """When each step was first logged, outside of every phase that is not training.

    A validation that is logged under its own name counts as one, whether it has a phase or not: a
    resumed program may do it again before its first step.
    """
    training = [point for point in points if not is_evaluation(point.metric)] or points
    first: dict[int, float] = {}
    for point in training:
        if not _inside(point.at.time, spans):
            first[point.at.step] = min(point.at.time, first.get(point.at.step, math.inf))
    return tuple(sorted(first.items()))


def _inside(moment: float, spans: tuple[PhaseSpan, ...]) -> bool:
    return any(
        span.began <= moment <= span.began + (math.inf if span.seconds is None else span.seconds)
        for span in spans
        if span.phase != "train"
    )


def _metrics(events: Iterable[Event], points: list[Point]) -> dict[str, float]:
    """The last value of every metric, and the numbers of the program's summary."""
    summaries = [event.data for event in events if event.name == "summary"]
    summed = {name: value for data in summaries for name, value in data.items()}
    numbers = {name: float(v) for name, v in summed.items() if type(v) in {int, float}}
    return numbers | {point.metric: point.value for point in _of_first_rank(points)}


def _spans(events: Iterable[Event], points: list[Point]) -> Iterator[PhaseSpan]:
    """The phases that the first process was in, in the order of their begin."""
    begun: list[Event] = []
    ended: list[tuple[Event, Event | None]] = []
    for event in _of_rank_0(event for event in events if event.name == "phase"):
        if event.data.get("state") == "begin":
            begun.append(event)
            continue
        name = event.data.get("phase")
        at = next((i for i in reversed(range(len(begun))) if begun[i].data["phase"] == name), None)
        if at is not None:
            ended.append((begun.pop(at), event))
    ended += [(event, None) for event in begun]
    for begin, end in sorted(ended, key=lambda pair: (pair[0].at.time, pair[0].at.line)):
        yield _span(begin, end, points)


def _span(begin: Event, end: Event | None, points: list[Point]) -> PhaseSpan:
    error = None if end is None else end.data.get("error")
    return PhaseSpan(
        phase=str(begin.data.get("phase")),
        began=begin.at.time,
        seconds=None if end is None else _number(end.data, "seconds"),
        error=None if error is None else redact(str(error)),
        after=max((p.at.step for p in points if p.at.time <= begin.at.time), default=None),
    )


def _memory(told: Iterable[Event]) -> Iterator[PhaseMemory]:
    """The largest of each phase, device and process; a later word on one is never smaller."""
    largest = {
        (event.data.get("phase"), event.data.get("device"), event.at.source): event
        for event in told
        if event.data.get("state") == "memory"
    }
    for event in largest.values():
        yield PhaseMemory(
            phase=str(event.data.get("phase")),
            device=str(event.data.get("device")),
            rank=_rank_of(event.at.source),
            allocated=_whole(event.data, "allocated"),
            reserved=_whole(event.data, "reserved"),
            used=_whole(event.data, "used"),
            total=_whole(event.data, "total"),
        )


def _own_checkpoints(execution: Execution) -> list[Checkpoint]:
    saved = execution.stage.checkpoints()
    return [each for each in saved if each.attempt == execution.attempt.number]


def _saved(execution: Execution, spans: tuple[PhaseSpan, ...]) -> Iterator[Saved]:
    for checkpoint in _own_checkpoints(execution):
        yield Saved(
            checkpoint=checkpoint,
            problem=problem_of(execution.stage.folder, checkpoint),
            took=_took(checkpoint.time, spans),
        )


def _took(sealed: float, spans: tuple[PhaseSpan, ...]) -> float | None:
    """How long the phase took in which a checkpoint was sealed."""
    for span in spans:
        took = span.seconds
        if span.phase == "checkpoint" and took is not None and 0 <= sealed - span.began <= took:
            return took
    return None


def _newest_save(execution: Execution) -> float | None:
    times = [checkpoint.time for checkpoint in _own_checkpoints(execution)]
    return max(times, default=None)


def _since_sigterm(execution: Execution, moment: float | None) -> float | None:
    """Seconds from SIGTERM to a moment; None for one before, or without a SIGTERM."""
    if execution.terminated is None or moment is None or moment < execution.terminated:
        return None
    if execution.ended_by == "limit":
        return None
    return moment - execution.terminated


def _exit(execution: Execution) -> ExitRecord | None:
    """How the program itself ended: torchrun ends with 1 whatever its workers ended with."""
    ended = execution.exit
    if ended is None or ended.code in {0, None}:
        return ended
    finished = {event.data.get("code") for event in execution.events if event.name == "finish"}
    if REQUEUE in finished:
        return replace(ended, code=REQUEUE)
    end = end_of(ended.code, ended.signal, lines_of(tail(execution.attempt.log, _TAIL)))
    return replace(ended, code=end.code, signal=end.signal)


def _silent(execution: Execution) -> float | None:
    """Seconds from the last line of the log to the end."""
    with suppress(OSError):
        return max(0.0, (execution.ended or time.time()) - execution.attempt.log.stat().st_mtime)
    return None


def _error(execution: Execution) -> Quote | None:
    """Why a program failed, in its own words; None for one that ended well or was killed by us."""
    ended = execution.exit
    if ended is None or ended.code == 0 or execution.ended_by is not None:
        return None
    finished = [event.data for event in execution.events if event.name == "finish"]
    ending = Ending(
        exit=ended,
        outcome=Outcome.FAILED,
        why=ended.error or "",
        log=tail(execution.attempt.log, _TAIL),
        phase=execution.phase,
        finished=tuple(Finish(code=d.get("code"), error=d.get("error")) for d in finished),
    )
    source = execution.attempt.log.relative_to(execution.stage.scene.workspace.root)
    return Quote(source=str(source), text=redact(name_cause(ending).evidence))
