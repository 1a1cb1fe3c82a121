"""A finding: what is wrong with a run, the evidence, the arithmetic, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from orchestrator.domain.strict import STRICT


class Severity(StrEnum):
    """How much a finding matters."""

    INFO = "info"  # worth knowing
    WARN = "warn"  # it costs time, memory or trust in a number
    ERROR = "error"  # the result is wrong or lost, or will be


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A piece of evidence: a point in words or a log line, and where it stands.

    `source` is relative to the run folder for what the run wrote, else to the workspace; `line`
    counts from 1, None for a file as a whole.
    """

    source: str
    text: str
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A diagnosis. `id` names the rule (`cuda-oom-eval`), `subject` what it is about.

    The subject is a metric, a GPU or a file, and empty for the run as a whole; with `id` it tells
    one finding of a run from another. `title` is one line with the numbers in it, `arithmetic` the
    sum or comparison behind it, `action` the next thing to do. `retry` says whether the same again
    may go well; None where that is no question.

    Raises:
        ValueError: there is no evidence; nothing may be claimed without.
    """

    id: str
    severity: Severity
    title: str
    evidence: tuple[Quote, ...]
    arithmetic: str
    meaning: str
    action: str
    subject: str = ""
    retry: bool | None = None

    def __post_init__(self) -> None:
        if not self.evidence:
            raise ValueError(f"finding {self.id} has no evidence")

    @property
    def key(self) -> str:
        """What makes it the same finding when it is found again."""
        return f"{self.id}:{self.subject}" if self.subject else self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFinding:
    """A finding of findings.json: when it was first and last found, and when it no longer held.

    Times are in seconds; `closed` is None while it holds.
    """

    finding: Finding
    opened: float
    seen: float
    closed: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """[findings]: from when on something is a finding. Times in seconds, shares from 0 to 1.

    `ignore` names findings (by id) that this experiment does not want to hear of.
    """

    __pydantic_config__: ClassVar = STRICT

    ignore: tuple[str, ...] = ()
    data_wait: float = 0.20  # of a step
    eval_share: float = 0.20  # of eval + train time
    gap: float = 3.0  # evaluation loss over training loss
    component: float = 3.0  # share of a loss term over the share that its weight declares
    residual: float = 0.05  # of a loss that no named term explains
    spike: float = 8.0  # robust standard deviations above the trend
    plateau: int = 200  # points of the training loss over which it must have moved
    warmup: float = 0.05  # of the planned steps, in which nothing is expected of a loss
    chance: float = 0.005  # above what a constant predictor reaches
    recall: float = 0.01  # of a class, below which it counts as never predicted
    idle_gpu: float = 0.05  # utilization
    hang: float = 120.0  # of silence, at the least
    idle_time: float = 900.0  # without a step
    power: float = 0.35  # of the limit, below which a GPU at full utilization only spins
    throttled: float = 0.25  # of the samples
    memory_trend: float = 0.9  # of the memory, that the trend would reach before the end
    disk: float = 0.95  # of the free space, that the forecast may take
    unsaved: float = 1800.0  # of execution without any checkpoint
    ranks: int = 2  # steps between the first and the last rank
    crash_loop: int = 3  # attempts that ended alike
    speed: float = 1.5  # what was reported over what was measured
    skips: float = 0.01  # of the steps, that a loss scaler may skip
    drift: float = 1.2  # a schedule's position over where the optimizer steps say it is
    ema: float = 0.1  # of the first weights, that an average of weights may hold at the end
    unnoticed: float = 3600.0  # between the end of a failed attempt and the next one
