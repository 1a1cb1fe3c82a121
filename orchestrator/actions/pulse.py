"""How training goes, in a few numbers: loss, last evaluation, speed, and when it will end."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite

from orchestrator.diagnose.series import main_loss, newest_evaluation
from orchestrator.domain.hardware import is_sampled
from orchestrator.domain.progress import pace
from orchestrator.store import Reader
from orchestrator.store.rows import LatestValue

_NEWEST, _OLDER = 100, 120  # points of a curve that are read
_GROWTH = 0.02  # of its steps, after which a curve is read again: less is not seen in a sparkline
_KEPT = 120  # values of a curve that are shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The newest point of a metric; `time` in seconds since the epoch."""

    metric: str
    step: int
    value: float
    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """What the index tells of a run's training; None is unknown.

    `curve` is the loss from the first step to the last, thinned, NaN where it was not finite.
    `speed` is in steps per second. `ends` are the earliest and the latest moment of the planned
    end by the middle half of the speeds so far, in seconds since the epoch. `last_point` is when
    a program last logged anything.
    """

    loss: Measured | None = None
    curve: tuple[float, ...] = ()
    evaluation: Measured | None = None
    speed: float | None = None
    ends: tuple[float, float] | None = None
    last_point: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """What was read of a curve when its newest point was at `step`."""

    metric: str
    step: int
    curve: tuple[float, ...] = ()
    speed: float | None = None
    ends: tuple[float, float] | None = None


@dataclass(slots=True)
class Pulses:
    """Pulses of many runs from one look to the next.

    Newest values come from what the caller read of all runs at once; a curve is read again only
    once it has grown so much that it would look different.
    """

    reader: Reader
    _shapes: dict[str, _Shape] = field(default_factory=dict)

    def look(self, run: str, planned: int | None, latest: Mapping[str, LatestValue]) -> Pulse:
        """The pulse of a run whose newest points are `latest`."""
        logged = {name: point for name, point in latest.items() if not is_sampled(name)}
        if not logged:
            return Pulse()
        loss = main_loss(logged)
        shape = self._shape(run, planned, loss or _liveliest(logged), logged)
        evaluation = newest_evaluation({name: point.time for name, point in logged.items()})
        return Pulse(
            loss=_measured(loss, logged),
            curve=shape.curve if loss else (),
            evaluation=_measured(evaluation, logged),
            speed=shape.speed,
            ends=shape.ends,
            last_point=max(point.time for point in logged.values()),
        )

    def _shape(
        self, run: str, planned: int | None, metric: str, logged: Mapping[str, LatestValue]
    ) -> _Shape:
        known, step = self._shapes.get(run), logged[metric].step
        if known is None or known.metric != metric or not _alike(known.step, step):
            known = self._shapes[run] = self._read(run, planned, metric, step)
        return known

    def _read(self, run: str, planned: int | None, metric: str, step: int) -> _Shape:
        found = self.reader.curve(run, metric, newest=_NEWEST, older=_OLDER)
        if not found.steps:
            return _Shape(metric=metric, step=step)
        measured = pace(list(zip(found.steps, found.times, strict=True)), planned)
        now = found.times[-1]
        ends = None
        if measured.eta is not None:
            ends = now + measured.eta[0], now + measured.eta[1]
        return _Shape(
            metric=metric,
            step=step,
            curve=_thinned(found.steps, found.values),
            speed=measured.speed,
            ends=ends,
        )


def _alike(before: int, now: int) -> bool:
    """Whether so little was added that the curve looks the same; one that went back does not."""
    return before <= now <= before + max(0, int(before * _GROWTH))


def _liveliest(logged: Mapping[str, LatestValue]) -> str:
    """The series that was written to last, and of those the first by name."""
    return min(logged, key=lambda name: (-logged[name].time, name))


def _measured(metric: str | None, logged: Mapping[str, LatestValue]) -> Measured | None:
    if metric is None:
        return None
    step, value, time = logged[metric]
    return Measured(metric=metric, step=step, value=value, time=time)


def _thinned(steps: list[int], values: list[float]) -> tuple[float, ...]:
    """The values at equally spaced steps: what lies between two is their mean.

    Steps that a resumed attempt took back are left out.
    """
    held = dict(zip(steps, values, strict=True))
    first, last = min(held), steps[-1]
    width = max(1, (last - first) // _KEPT + 1)
    places: dict[int, list[float]] = {}
    for step, value in held.items():
        if step <= last:
            places.setdefault((step - first) // width, []).append(value)
    return tuple(_mean(places[place]) for place in sorted(places))


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if all(map(isfinite, values)) else float("nan")
