"""A rehearsal: what the real programs did in a few minutes, and what that says of the long run.

Times and durations are in seconds, sizes in bytes, shares from 0 to 1. None means unknown.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from orchestrator.domain.facts import Checkpoint
from orchestrator.domain.finding import Finding, Quote
from orchestrator.domain.run import ExitRecord


class StepState(StrEnum):
    """How a step of a rehearsal went."""

    PASSED = "passed"
    WARNED = "warned"  # it went well, and something about it should be known
    FAILED = "failed"
    SKIPPED = "skipped"  # it could not be rehearsed; `why` says what is given up


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsalStep:
    """One of the steps 0 to 9. `log` is the file to read, relative to the workspace."""

    number: int
    name: str
    state: StepState
    why: str
    seconds: float
    budget: float
    details: tuple[str, ...] = ()
    evidence: tuple[Quote, ...] = ()
    action: str | None = None
    log: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the programs are asked for. `every` is when they validate and save.

    `steps` are optimizer steps: at least three times `accumulation`, and two times `every`.
    """

    steps: int
    every: int
    examples: int
    accumulation: int
    world: int
    planned_steps: int | None
    eval_every: int | None
    checkpoint_every: int | None
    keep: int | None
    grace: float
    tolerance: float
    budget: float
    memory: int | None = None
    gpus: int = 0
    cost: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseSpan:
    """A part of a program: `run.phase(...)`. `after` is the last step logged before it began."""

    phase: str
    began: float
    seconds: float | None
    error: str | None = None
    after: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseMemory:
    """The most that one process used in a phase, on `device` (`cuda:0`, or `host`).

    On a GPU: what tensors held, what PyTorch had reserved, what the whole device had in use (all
    processes) and has; of the host: resident memory, and what the machine has.
    """

    phase: str
    device: str
    rank: int
    allocated: int | None = None
    reserved: int | None = None
    used: int | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """A checkpoint of a stage with its proof: every file has the size and hash of its manifest.

    `problem` says what is wrong with it; `took` is the time inside `run.phase("checkpoint")`.
    """

    checkpoint: Checkpoint
    problem: str | None = None
    took: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFacts:
    """One execution of a program in a rehearsal, as its records tell it.

    `asked` says whether it asked for `track.rehearsal()`. `values` are training series by name and
    step, each with the last value of the step; `metrics` the last values of an evaluation;
    `batches` digests of the examples of a step, where the program tells; `pace` the times at which
    steps were logged. `optimizer_steps`, `scheduler_steps` and `data_seconds` are counted in
    PyTorch itself. `subset` is how many of how many examples were evaluated. `ended_by` is `limit`
    where the rehearsal had to end it. `seconds` is wall time, `terminated_after` the time from
    SIGTERM to the end, `saved_after` that to the newest sealed checkpoint. `leftovers` names in
    words what outlived it. `error` quotes why it failed. `silent` is how long its log had not grown
    at its end.
    """

    name: str
    phase: str
    folder: str
    log: str
    asked: bool = False
    ended_by: str | None = None
    exit: ExitRecord | None = None
    seconds: float = 0.0
    values: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    batches: Mapping[int, str] = field(default_factory=dict)
    pace: tuple[tuple[int, float], ...] = ()
    phases: tuple[PhaseSpan, ...] = ()
    memory: tuple[PhaseMemory, ...] = ()
    saved: tuple[Saved, ...] = ()
    optimizer_steps: int | None = None
    scheduler_steps: int | None = None
    data_seconds: float | None = None
    subset: tuple[int, int] | None = None
    terminated_after: float | None = None
    saved_after: float | None = None
    leftovers: tuple[str, ...] = ()
    silent: float | None = None
    findings: tuple[Finding, ...] = ()
    error: Quote | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What the rehearsal says of the long run; intervals are low and high.

    `peaks` are the largest of each phase and device; `headroom` by device is what is left of it at
    the largest. `speed` is in steps a second with the warm-up dropped. `eta` holds training,
    evaluations and checkpoints. `eval_seconds` is a whole evaluation, scaled up from the subset.
    `hang` are time-outs by phase.
    """

    peaks: tuple[PhaseMemory, ...] = ()
    headroom: Mapping[str, int] = field(default_factory=dict)
    speed: tuple[float, float] | None = None
    data_share: float | None = None
    eval_seconds: float | None = None
    eval_share: float | None = None
    eval_every: int | None = None
    checkpoint_bytes: int | None = None
    checkpoint_seconds: float | None = None
    disk: int | None = None
    eta: tuple[float, float] | None = None
    gpu_hours: tuple[float, float] | None = None
    cost: tuple[float, float] | None = None
    hang: Mapping[str, float] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsalKey:
    """What a rehearsal holds for: hashes of the code, the spec, the environment and the device.

    `code` is None where nobody can tell (no git).
    """

    code: str | None
    spec: str
    environment: str
    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """rehearsal.json: the result of one, kept until something it holds for changes."""

    ticket: str
    experiment: str
    time: float
    seconds: float
    key: RehearsalKey
    plan: Plan
    steps: tuple[RehearsalStep, ...]
    forecast: Forecast
    findings: tuple[Finding, ...] = ()

    @property
    def failed(self) -> tuple[RehearsalStep, ...]:
        """The steps that stand against a start."""
        return tuple(step for step in self.steps if step.state is StepState.FAILED)
