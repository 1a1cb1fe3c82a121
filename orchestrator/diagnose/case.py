"""A case: everything that a rule may look at. No file and no clock behind it.

Curves hold so many points that memory is bounded, whatever a run has logged; log lines are only
those that mean something.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.domain.attempt import Failure
from orchestrator.domain.criterion import Verdict
from orchestrator.domain.facts import Checkpoint
from orchestrator.domain.finding import Quote, Thresholds
from orchestrator.domain.hardware import GpuReading, HostReading
from orchestrator.domain.point import Event
from orchestrator.domain.run import ExitRecord, Outcome, RunRecord
from orchestrator.domain.series import furthest


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One series as columns of equal length, in Position order.

    The newest points are all there; of the older ones, if there are many, the extremes and those
    that are not finite. `total` counts what was logged. `sources` and `lines` say where each point
    stands. A step may come again: a later segment of the series took it back.
    """

    name: str
    steps: Sequence[int]
    values: Sequence[float]
    times: Sequence[float]
    sources: Sequence[str]
    lines: Sequence[int]
    total: int

    def __len__(self) -> int:
        return len(self.steps)

    def quote(self, at: int) -> Quote:
        """A point in words: `train/loss = 0.31 at step 4,676`."""
        value = self.values[at]
        shown = f"{value:.6g}" if math.isfinite(value) else str(value)
        text = f"{self.name} = {shown} at step {self.steps[at]:,}"
        return Quote(source=self.sources[at], line=self.lines[at], text=text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A log line that means something; `text` may hold the lines behind it that belong to it."""

    attempt: int
    source: str
    line: int
    text: str

    @property
    def quote(self) -> Quote:
        """The line as evidence."""
        return Quote(source=self.source, line=self.line, text=self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hits:
    """Log lines of one kind: how many there are, the first of them and the last, no line twice."""

    total: int
    first: tuple[Hit, ...]
    last: tuple[Hit, ...] = ()

    @property
    def shown(self) -> tuple[Hit, ...]:
        """Those that are kept, in their order."""
        return (*self.first, *self.last)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The machine now; None and empty mean that nobody looked or nobody can tell.

    `known_pids` are processes of runs that are known here; `owners` say whose the others are that
    hold memory of a GPU, by pid (`ada: python train.py`); `kernel` are lines of its log, of the
    time of the newest attempt.
    """

    gpus: GpuReading | None = None
    host: HostReading | None = None
    disk_total: int | None = None
    known_pids: frozenset[int] = frozenset()
    owners: Mapping[int, str] = field(default_factory=dict)
    kernel: tuple[Quote, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A run as the rules see it.

    `attempt` is the number of its newest attempt, `started` when that began, `elapsed` how long it
    has executed, `idle` the seconds without a new record or log line. `hits` are log lines by kind
    of sign (signs.py). `failures` are those of the attempts, by number. `reported` are lines in
    which people say what they saw: of the ticket, of notes. Series are named as
    in the index. `written` are the bytes of logs and records so far, checkpoints not counted.
    """

    record: RunRecord
    now: float
    attempt: int = 1
    started: float | None = None
    elapsed: float = 0.0
    ended: bool = False
    outcome: Outcome | None = None
    exit: ExitRecord | None = None
    idle: float = 0.0
    curves: Mapping[str, Curve] = field(default_factory=dict)
    events: Sequence[Event] = ()
    hits: Mapping[str, Hits] = field(default_factory=dict)
    checkpoints: Sequence[Checkpoint] = ()
    failures: Mapping[int, Failure] = field(default_factory=dict)
    verdicts: Sequence[Verdict] = ()
    machine: Machine = field(default_factory=Machine)
    reported: Sequence[Quote] = ()
    written: int | None = None

    @property
    def thresholds(self) -> Thresholds:
        """What the spec says, over the defaults."""
        return self.record.findings

    @property
    def max_step(self) -> int | None:
        """The largest step that its programs logged."""
        return furthest({c.name: max(c.steps) for c in self.curves.values() if c.steps})
