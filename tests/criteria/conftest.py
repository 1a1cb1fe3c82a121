"""Builders for criteria, records and facts."""

import pytest

from orchestrator.criteria import Judge
from orchestrator.domain.criterion import Criterion, Decidable, Kind, Reading
from orchestrator.domain.facts import RunFacts
from orchestrator.domain.point import Event, Point, Position
from orchestrator.domain.run import ExitRecord, Outcome


def _position(step=0, line=1, *, attempt=1, segment=0, source="attempt-1/events.jsonl"):
    return Position(
        attempt=attempt,
        segment=segment,
        step=step,
        time=1000.0 + step,
        source=source,
        line=line,
    )


def _point(metric, step, value, line=1, **place):
    return Point(metric=metric, value=float(value), at=_position(step, line, **place))


def _event(name, data=None, line=1, **place):
    return Event(name=name, data=data or {}, at=_position(0, line, **place))


def _criterion(predicate, *, required=True, bindings=None):
    """A criterion that was read as this predicate; without one, a person decides."""
    reading = Reading(kind=Kind.MANUAL, why="nothing measurable is named; a person decides")
    if predicate is not None:
        reading = Reading(kind=Kind.THRESHOLD, decidable=Decidable.YES, predicate=predicate)
    return Criterion(
        key=str(predicate),
        text=str(predicate),
        section="Acceptance Criteria",
        required=required,
        reading=reading,
        bindings=bindings or {},
    )


def _exit(code=0, **more):
    return ExitRecord(
        **{"code": code, "signal": None, "started": 0.0, "ended": 9.0, "recorded_by": "shim"} | more
    )


def _facts(*, ended=False, **more):
    known = {
        "run": "R-000001",
        "ended": ended,
        "outcome": Outcome.COMPLETED if ended else None,
        "exit": _exit() if ended else None,
        "attempts": 1,
        "planned_steps": None,
    }
    return RunFacts(**known | more)


def _judged(predicate, records=(), *, metrics=None, logs=(), setting=None, **facts):
    """The verdict on one predicate after these points, events and logs."""
    judge = Judge([_criterion(predicate)], metrics or {}, **setting or {})
    for record in records:
        (judge.observe_point if isinstance(record, Point) else judge.observe_event)(record)
    for source, first_line, piece in logs:
        judge.observe_log(source, first_line, piece)
    (verdict,) = judge.verdicts(_facts(**facts))
    return verdict


@pytest.fixture(scope="session")
def point():
    return _point


@pytest.fixture(scope="session")
def event():
    return _event


@pytest.fixture(scope="session")
def criterion():
    return _criterion


@pytest.fixture(scope="session")
def facts():
    return _facts


@pytest.fixture(scope="session")
def exit_record():
    return _exit


@pytest.fixture(scope="session")
def judged():
    return _judged
