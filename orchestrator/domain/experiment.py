"""An experiment: how to run, as its TOML spec says it. Times are in seconds, sizes in bytes."""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from orchestrator.domain.finding import Thresholds
from orchestrator.domain.rehearse import Rehearse
from orchestrator.domain.retry import Retry
from orchestrator.domain.run import Budget, MetricSpec, Track
from orchestrator.domain.strict import STRICT


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """[train] and [evaluate]: an argv list; `nproc` > 1 starts it through torchrun."""

    __pydantic_config__: ClassVar = STRICT
    command: tuple[str, ...]
    nproc: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainProgram(Program):
    """[train]; `steps` is the planned number of optimizer updates (default: params.steps)."""

    __pydantic_config__: ClassVar = STRICT
    steps: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """[resources]."""

    __pydantic_config__: ClassVar = STRICT
    gpus: int = 0
    gpu: str | None = None
    cpus: int | None = None
    memory: str | None = None
    time_limit: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorChoice:
    """[executor]; keys beside `name` are that executor's own options."""

    __pydantic_config__: ClassVar = STRICT
    name: Literal["local"] = "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """[stop]: when the tool ends a run by itself, and how long SIGTERM may take."""

    __pydantic_config__: ClassVar = STRICT
    when: Literal["never", "decided", "failed"] = "never"
    grace: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """A whole spec; `path` is relative to the workspace.

    `criteria` holds predicates by the text of the ticket's line that they stand for.
    """

    __pydantic_config__: ClassVar = STRICT
    path: str
    train: TrainProgram
    evaluate: Program | None = None
    resources: Resources = field(default_factory=Resources)
    executor: ExecutorChoice = field(default_factory=ExecutorChoice)
    params: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, MetricSpec] = field(default_factory=dict)
    track: Track = field(default_factory=Track)
    criteria: dict[str, str] = field(default_factory=dict)
    stop: Stop = field(default_factory=Stop)
    budget: Budget = field(default_factory=Budget)
    env: dict[str, str] = field(default_factory=dict)
    retry: Retry = field(default_factory=Retry)
    findings: Thresholds = field(default_factory=Thresholds)
    rehearse: Rehearse = field(default_factory=Rehearse)
    mirror: dict[str, Any] = field(default_factory=dict)
