"""A run and its attempts: where it is in its life, and how it ended."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar

from orchestrator.domain.criterion import Criterion
from orchestrator.domain.finding import Thresholds
from orchestrator.domain.retry import Retry
from orchestrator.domain.strict import STRICT

if TYPE_CHECKING:
    from orchestrator.domain.attempt import AttemptRequest, Failure, Lease


class RunStatus(StrEnum):
    """Where in its life a run is."""

    QUEUED = (
        "queued"  # an attempt is asked for and waits: for a GPU, a run, a pause after a failure
    )
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    ENDED = "ended"


class Outcome(StrEnum):
    """How a run ended; only an ended run has one."""

    COMPLETED = "completed"
    INCOMPLETE = "incomplete"  # exit 0, but fewer steps than planned or no final evaluation
    FAILED = "failed"
    STOPPED = "stopped"  # by a person, or because the ticket was decided
    LOST = "lost"  # the shim vanished without an exit record


class Phase(StrEnum):
    """What a run is doing."""

    REHEARSE = "rehearse"
    TRAIN = "train"
    EVAL = "eval"
    CHECKPOINT = "checkpoint"
    TEARDOWN = "teardown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A process that cannot be mistaken for a later one with the same pid.

    `pid_namespace` is that in which the pid counts: a container has one of its own. None in records
    that do not tell.
    """

    pid: int
    start_ticks: int
    boot_id: str
    host: str
    pid_namespace: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One program of a run; the shim starts them in order until one fails."""

    phase: Phase
    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseExit:
    """How one command of an attempt ended; exactly one of `code` and `signal` is set."""

    phase: Phase
    code: int | None
    signal: int | None
    started: float
    ended: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitRecord:
    """exit.json: how an attempt ended, written exactly once.

    `code` and `signal` are those of the last command started; both are None when the shim itself
    vanished and the watcher had to write the record, whose `ended` is the time of the last thing
    that the attempt wrote. `max_rss` is in bytes. `leftovers` counts
    descendants that had to be ended after the commands were done; `survivors` those that could
    not be.
    """

    code: int | None
    signal: int | None
    started: float
    ended: float
    recorded_by: str
    max_rss: int | None = None
    oom_kill: int | None = None
    leftovers: int = 0
    survivors: int = 0
    error: str | None = None
    phases: tuple[PhaseExit, ...] = ()

    @property
    def seconds(self) -> float:
        """How long the attempt executed; 0 if a clock was set back meanwhile."""
        return max(0.0, self.ended - self.started)


BY_US = "exp"  # who asked for a stop, when it was the tool itself
REQUEUE = 75  # the program saved a checkpoint and asks to be started again
NO_RETRY = 93  # the program says that a retry cannot help
TIME_LIMIT = "time limit"
TORCHRUN = "torch.distributed.run"  # the module that starts the ranks of a program


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRequest:
    """stop.json of an attempt: who asked for the end, and why.

    `saved` is the time in seconds that the planned rest would have taken, by the pace so far; None
    where nobody can tell.
    """

    by: str
    why: str
    time: float
    saved: float | None = None

    @property
    def is_limit(self) -> bool:
        """Whether the tool ended an attempt because its time was over, and not the run."""
        return self.by == BY_US and self.why.startswith(TIME_LIMIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class GitState:
    """The snapshot a run started from; `patch` says whether snapshot.patch holds local changes."""

    commit: str | None
    branch: str | None
    patch: bool
    untracked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketRef:
    """The ticket as it stood when the run started; `blob` is git's hash of its bytes."""

    id: str
    path: str
    title: str
    blob: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSpec:
    """[metrics."NAME"]: the key it is logged under, its unit, goal and scale.

    `scale` 100 says that logged values are percent of 100; 1 that they are fractions. `expr`
    derives the metric from others by arithmetic, such as `eval/loss / train/loss`; `total` is the
    series that holds the denominator of a count (the 172 of `85/172`); `chance` the value of a
    constant predictor, or the series that holds it.
    """

    __pydantic_config__: ClassVar = STRICT

    key: str | None = None
    unit: str | None = None
    goal: str | None = None
    scale: float = 1.0
    aliases: tuple[str, ...] = ()
    expr: str | None = None
    total: str | None = None
    chance: float | str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """[budget]: what a run may use up before it is stopped; times in seconds.

    `idle` is the longest time without a new point or log line.
    """

    __pydantic_config__: ClassVar = STRICT

    gpu_hours: float | None = None
    wall: float | None = None
    idle: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """[track]: what is read beside the files of the tracking SDK.

    `files` are patterns of paths below the workspace, `patterns` regular expressions for lines of
    the log whose named groups are `step`, `epoch` and metrics; `log` false leaves the log unread.
    """

    __pydantic_config__: ClassVar = STRICT

    files: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    log: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """run.json: everything fixed at launch.

    `env` holds what the spec itself sets; a value `$NAME` is taken from the environment of whoever
    starts an attempt, so that a secret is never written here. `environment` holds those variables
    of the launching shell that decide what runs; none of them is a secret. `baselines` holds what
    other runs had measured by then, by `RUN:SERIES` as it stands in a predicate.
    """

    id: str
    created: float
    host: str
    cwd: str
    commands: tuple[Command, ...]
    recorded_by: str = "exp"
    ticket: TicketRef | None = None
    experiment: str | None = None
    executor: str = "local"
    params: dict[str, Any] = field(default_factory=dict)
    resources: dict[str, Any] = field(default_factory=dict)
    budget: Budget = field(default_factory=Budget)
    retry: Retry = field(default_factory=Retry)
    metrics: dict[str, MetricSpec] = field(default_factory=dict)
    track: Track = field(default_factory=Track)
    findings: Thresholds = field(default_factory=Thresholds)
    criteria: tuple[Criterion, ...] = ()
    baselines: dict[str, float] = field(default_factory=dict)
    planned_steps: int | None = None
    stop_when: str = "never"
    grace: float = 30.0
    seed: int | None = None
    env: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    git: GitState | None = None
    commit_policy: str = "milestones"
    on_exit: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """published.json: what was written at the end of a run, and what stood in the way."""

    time: float
    commit: str | None = None
    report: str | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptState:
    """One attempt as its files tell it; a local run's has no `request`.

    `waits_for` says what a queued one waits for, in words; `failure` why it did not complete, once
    that has been looked at.
    """

    number: int
    request: "AttemptRequest | None" = None
    lease: "Lease | None" = None
    waits_for: str | None = None
    started: float | None = None
    process: Identity | None = None
    exit: ExitRecord | None = None
    stop: StopRequest | None = None
    failure: "Failure | None" = None
    alive: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """A run at one moment, derived from its files and its processes and from nothing else."""

    status: RunStatus
    outcome: Outcome | None
    attempt: AttemptState
    why: str
