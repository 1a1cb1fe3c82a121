"""What readers get: frozen values where the domain has no type of its own."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from orchestrator.domain.criterion import Verdict
from orchestrator.domain.run import Outcome, RunStatus
from orchestrator.domain.ticket import Ticket


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """One run: what was fixed at launch and how it stood when last looked at.

    `phase` is what it was doing (None before the first program and after the last), `step` the
    largest step logged, `started` and `ended` the wall times of its first and last attempt.
    """

    id: str
    ticket: str | None
    title: str | None
    experiment: str | None
    created: float
    host: str
    executor: str
    status: RunStatus
    outcome: Outcome | None
    why: str
    phase: str | None
    step: int | None
    planned_steps: int | None
    attempts: int
    started: float | None
    ended: float | None
    commit: str | None
    params: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRow:
    """One attempt; `max_rss` in bytes, `ended` is None while no exit record exists.

    `first_step` and `step` are the first and the largest one that its programs logged, None before.
    """

    run: str
    number: int
    started: float | None
    ended: float | None
    host: str | None
    pid: int | None
    code: int | None
    signal: int | None
    max_rss: int | None
    oom_kill: int | None
    error: str | None
    stop_by: str | None
    stop_why: str | None
    first_step: int | None
    step: int | None


class LatestValue(NamedTuple):
    """A point of a metric, the last one unless said. A tuple: ten thousand are read at once."""

    step: int
    value: float
    time: float


class Tally(NamedTuple):
    """How many criteria of a run are met, of how many: those that are goals."""

    met: int
    goals: int


class Landmarks(NamedTuple):
    """The first point of a metric, and where its finite extremes stand first."""

    first: LatestValue | None
    low: LatestValue | None
    high: LatestValue | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesRow:
    """One metric of a run as a whole; `low` and `high` are over finite values, None without any."""

    run: str
    name: str
    count: int
    nonfinite: int
    low: float | None
    high: float | None
    max_step: int
    latest: LatestValue


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """One metric of a run in Position order, as columns of equal length.

    `total` is the number of points stored; columns are shorter if they were thinned for display.
    """

    steps: list[int]
    values: list[float]
    times: list[float]
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt:
    """So much of one metric as fits into memory, in Position order, as columns of equal length.

    `sources` and `lines` say where each point stands; `total` is the number of points stored.
    """

    steps: list[int]
    values: list[float]
    times: list[float]
    sources: list[str]
    lines: list[int]
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRow:
    """One event file: bytes and lines taken in, and the lines that nobody could read.

    `broken_lines` holds the first hundred line numbers, counted from 1; `broken` counts them all.
    """

    path: str
    attempt: int
    bytes: int
    lines: int
    broken: int
    broken_lines: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictRow:
    """The verdict on one criterion of a run; `position` is its place in the ticket, from 0.

    `polarity` is that of its reading: only a positive one must become true.
    """

    run: str
    position: int
    key: str
    text: str
    section: str
    required: bool
    polarity: str
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedTicket:
    """A ticket as last parsed, with what tells that its file has not changed since."""

    ticket: Ticket
    mtime_ns: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestResult:
    """What one look at a run's event files brought.

    What counts is what programs wrote: samples of the hardware come whether a run does anything or
    not, and are counted in `sampled` (bytes) alone.
    `restarted` names files that were cut short, replaced or removed: what had been taken from them
    is forgotten and they were read again from their start, so whoever accumulates points must
    begin again from a replay. `max_step` is the largest step of the run by now (see `furthest`),
    `series` the names of all its series. `behind` says that as much was read as the look may take:
    there may be more.
    """

    points: int = 0
    events: int = 0
    broken: int = 0
    bytes: int = 0
    sampled: int = 0
    restarted: tuple[str, ...] = ()
    max_step: int | None = None
    series: Collection[str] = ()
    behind: bool = False
