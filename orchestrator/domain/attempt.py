"""An attempt of a run before it executes, and why one failed. Times are in seconds."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Literal

from orchestrator.domain.run import STRICT, Command


class Cause(StrEnum):
    """Why an attempt ended without being complete, as far as its evidence tells."""

    REQUEUE = "requeue"  # exit code 75: checkpointed, start me again
    NO_RETRY = "no_retry"  # exit code 93: do not
    PREEMPTED = "preempted"  # SIGTERM, SIGHUP or SIGUSR1 that nobody here asked for; a reboot
    LOST = "lost"  # the shim vanished while the machine stayed up
    HOST_OOM = "host_oom"  # the kernel killed for want of memory, and says so
    CUDA_OOM = "cuda_oom"
    GPU_LOST = "gpu_lost"  # fell off the bus, Xid, uncorrectable ECC
    NCCL = "nccl"  # a collective timed out or a peer went away
    STORAGE = "storage"  # disk full, stale handle, input/output error
    NETWORK = "network"  # a connection was refused, reset or timed out
    KILLED = "killed"  # SIGKILL without evidence of who or why
    NAN = "nan"  # the program gave up over a non-finite value
    PROGRAM = "program"  # an error of the program itself: the same again the next time
    SHORT = "short"  # exit 0, but fewer steps than planned or no final evaluation


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
    """lease.json of an attempt: the GPUs (by UUID) and CPU slots it was given."""

    time: float
    gpus: tuple[str, ...] = ()
    cpus: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """waiting.json of an attempt: what it waited for when it was last looked at."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class OutOfMemory:
    """[retry.oom]: what may be changed before a run that ran out of GPU memory is tried again."""

    __pydantic_config__: ClassVar = STRICT

    expandable_segments: bool = False
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """[retry]: `attempts` counts the first one; 1 means that only exit code 75 starts another.

    `on` names the causes that may be tried again at all. `backoff` doubles with each failure up to
    `max_backoff`, with jitter.
    """

    __pydantic_config__: ClassVar = STRICT

    attempts: int = 1
    backoff: float = 10.0
    max_backoff: float = 600.0
    on: tuple[
        Literal[
            Cause.PREEMPTED,
            Cause.LOST,
            Cause.HOST_OOM,
            Cause.CUDA_OOM,
            Cause.GPU_LOST,
            Cause.NCCL,
            Cause.STORAGE,
            Cause.NETWORK,
            Cause.KILLED,
        ],
        ...,
    ] = (
        Cause.PREEMPTED,
        Cause.LOST,
        Cause.HOST_OOM,
        Cause.CUDA_OOM,
        Cause.GPU_LOST,
        Cause.NCCL,
        Cause.STORAGE,
        Cause.NETWORK,
        Cause.KILLED,
    )
    oom: OutOfMemory = field(default_factory=OutOfMemory)
