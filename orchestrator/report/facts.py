"""Everything a report says, gathered before it is rendered: the page holds no other knowledge.

There is no clock in here and no file is read: the moment of the report is a fact among others, so
the same facts render the same bytes. Paths are relative to the workspace, times are seconds since
the epoch, durations are seconds.
"""

from dataclasses import dataclass, field
from typing import Any

from orchestrator.domain.criterion import Criterion, Verdict
from orchestrator.domain.facts import Checkpoint
from orchestrator.domain.finding import KnownFinding
from orchestrator.domain.progress import Progress
from orchestrator.domain.remark import Remark
from orchestrator.domain.run import Command, MetricSpec, Outcome, RunStatus
from orchestrator.report.changes import Changes
from orchestrator.report.cost import Cost
from orchestrator.report.machine import Machine
from orchestrator.report.parts import ClassTable, Components, Gap

INDEX = "reports/README.md"  # below the root of the workspace
History = tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependent:
    """A ticket that waits for this one."""

    id: str
    title: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketFacts:
    """The ticket as it stands now."""

    id: str
    title: str
    path: str
    status: str
    phase: str | None = None
    dependents: tuple[Dependent, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """The run that the report is about; `folder` and `log` are where to look further.

    `doing` is the phase that the program is in beside training, and since when.
    `alive` attempts have a process; `why` says in words how the status is known. `saved` says what
    an early end spared.
    """

    id: str
    status: RunStatus
    outcome: Outcome | None
    why: str
    folder: str
    created: float
    ended: float | None = None
    pid: int | None = None
    host: str | None = None
    log: str | None = None
    experiment: str | None = None
    executor: str = "local"
    seed: int | None = None
    commands: tuple[Command, ...] = ()
    resources: dict[str, Any] = field(default_factory=dict)
    saved: str | None = None
    doing: "Moment | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GitFacts:
    """The commit the run started from, and what of the work tree was in no commit then."""

    commit: str | None
    branch: str | None
    patch: bool = False
    untracked: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CriterionFacts:
    """A criterion as frozen at the start with its verdict; `edited` tells of a later change.

    `reviews` are what people say of it, in words. `number` is how a review calls it: 3 of `C3`.
    """

    criterion: Criterion
    verdict: Verdict
    number: int | None = None
    edited: str | None = None
    reviews: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A value of a metric, the step it was measured at, and when, in seconds; None is unknown."""

    step: int
    value: float
    time: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a criterion asks of a metric: `op` and bounds, in the metric's own logged scale.

    `label` is how people read it, as in `> 5%`; `percent` that it was written as a percentage.
    """

    op: str
    value: float
    value2: float | None = None
    label: str = ""
    percent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricFacts:
    """A metric over the run; `history` may be thinned out, the samples may not.

    `evaluation` marks a metric that is measured now and then, not at every step. `points` and
    `non_finite` count the full history. `before` is what the facts call before: see `Since`.
    `declared` says that the spec names it; those and what a criterion asks for come first.
    """

    name: str
    spec: MetricSpec = field(default_factory=MetricSpec)
    history: History = ()
    first: Sample | None = None
    latest: Sample | None = None
    best: Sample | None = None
    targets: tuple[Target, ...] = ()
    points: int = 0
    non_finite: int = 0
    evaluation: bool = False
    before: Sample | None = None
    declared: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One line of a timeline; `run` is whose it is."""

    time: float
    text: str
    step: int | None = None
    run: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Milestone:
    """What a live run comes to next, at `step`, in `eta` seconds from now (low, high)."""

    what: str
    step: int
    eta: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFacts:
    """One attempt: when, over which steps, and how it ended in words.

    `cause` is why it failed, with the evidence; `decision` why it was or was not tried again.
    """

    number: int
    started: float | None
    ended: float | None
    ending: str
    first_step: int | None = None
    last_step: int | None = None
    cause: str | None = None
    decision: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFacts:
    """All of one report. `path` is where report.md will lie; `notes` is a person's text, verbatim.

    `timeline` is the run's, `log` that of all runs of the ticket, evaluations included.

    `unknown` lists what could not be read or measured; `next_steps` adds to what follows from the
    criteria. `reported` is what the program said of itself at its start, in its own order: model,
    data, versions. `hosts`, `home` and `secrets` are redacted wherever they occur, as is what
    looks like a secret.
    """

    time: float
    path: str
    ticket: TicketFacts
    run: RunInfo | None = None
    git: GitFacts | None = None
    progress: Progress = field(default_factory=Progress)
    criteria: tuple[CriterionFacts, ...] = ()
    metrics: tuple[MetricFacts, ...] = ()
    timeline: tuple[Moment, ...] = ()
    log: tuple[Moment, ...] = ()
    attempts: tuple[AttemptFacts, ...] = ()
    checkpoints: tuple[Checkpoint, ...] = ()
    configuration: dict[str, Any] = field(default_factory=dict)
    reported: tuple[tuple[str, str], ...] = ()
    changes: Changes = field(default_factory=Changes)
    machine: Machine | None = None
    cost: Cost | None = None
    milestone: Milestone | None = None
    classes: tuple[ClassTable, ...] = ()
    components: tuple[Components, ...] = ()
    gaps: tuple[Gap, ...] = ()
    remarks: tuple[Remark, ...] = ()
    log_tail: tuple[str, ...] = ()
    findings: tuple[KnownFinding, ...] = ()
    unknown: tuple[str, ...] = ()
    next_steps: tuple[str, ...] = ()
    notes: str = ""
    hosts: tuple[str, ...] = ()
    home: str | None = None
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Indexed:
    """A ticket's facts with the names of the pages that lie in its folder."""

    facts: ReportFacts
    pages: tuple[str, ...]
