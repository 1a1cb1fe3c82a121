"""Why attempts fail, and which failures the spec lets the tool try again. Times are in seconds."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Literal, TypeAlias, get_args

from orchestrator.domain.strict import STRICT


class Cause(StrEnum):
    """Why an attempt ended without being complete, as far as its evidence tells."""

    REQUEUE = "requeue"  # exit code 75: checkpointed, start me again
    NO_RETRY = "no_retry"  # exit code 93: do not
    STOPPED = "stopped"  # asked for: by a person, a policy, a budget, Ctrl-C
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


# What [retry] may name. Plain words, so that a wrong one is answered with a list of them.
Retriable: TypeAlias = Literal[
    "preempted",
    "lost",
    "host_oom",
    "cuda_oom",
    "gpu_lost",
    "nccl",
    "storage",
    "network",
    "killed",
]


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
    on: tuple[Retriable, ...] = get_args(Retriable)
    oom: OutOfMemory = field(default_factory=OutOfMemory)
