"""An attempt of a run before it executes, and why one failed. Times are in seconds."""

from dataclasses import dataclass, field
from typing import Any

from orchestrator.domain.retry import Cause
from orchestrator.domain.run import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRequest:
    """request.json of an attempt: what it executes, on whose wish, and not before when.

    An attempt whose folder holds it and no proc.json is queued. `commands` may be fewer than the
    run's: what an earlier attempt has done is not done again. `settings` and `env` are what differs
    from the run's own parameters and variables. `delay` counts from `time`. `after` names runs
    that must have completed. Larger `priority` goes first, then the older request.
    """

    by: str
    why: str
    time: float
    commands: tuple[Command, ...]
    delay: float = 0.0
    priority: int = 0
    after: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """lease.json of an attempt: the GPUs (by UUID) and CPU slots it was given.

    `gpus` is None if it was given none: it may use those that its environment lets it see.
    """

    time: float
    gpus: tuple[str, ...] | None = None
    cpus: int = 0


NEEDS = "needs "


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """waiting.json of an attempt: what it waited for when it was last looked at.

    `why` begins with `NEEDS` if only a person can give it that.
    """

    why: str
    time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """failure.json of an attempt that did not complete: cause, evidence, and whether to go on.

    `evidence` quotes the line or the record that tells the cause; `fingerprint` is equal for
    failures that are the same but for numbers and addresses. `step` is the last one logged,
    `checkpoint` that of the newest valid checkpoint. `retry` says whether another attempt follows,
    `why` why it does or does not.
    """

    cause: Cause
    evidence: str
    fingerprint: str
    retry: bool
    why: str
    step: int | None = None
    checkpoint: int | None = None
