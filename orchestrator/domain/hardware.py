"""What a machine has and how it is doing. Sizes in bytes, powers in watts, shares from 0 to 1.

None always means unknown: not supported, not allowed, or not answered in time.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuProcess:
    """A process that holds memory on a GPU."""

    pid: int
    memory: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU, or one MIG instance of it (`parent` is then the UUID of the whole).

    `index` is NVML's, for people: it changes when another GPU is lost. `temperature` is in degrees
    Celsius, clocks in MHz. `throttle` names the active reasons. `recovery` is the action that the
    driver asks for ("none" if none). `problem` says what could not be asked, and why.
    """

    uuid: str
    index: int | None = None
    name: str | None = None
    parent: str | None = None
    memory_total: int | None = None
    memory_used: int | None = None
    utilization: float | None = None
    power: float | None = None
    power_limit: float | None = None
    temperature: float | None = None
    clock_sm: float | None = None
    clock_memory: float | None = None
    throttle: tuple[str, ...] | None = None
    ecc_uncorrected: int | None = None
    recovery: str | None = None
    processes: tuple[GpuProcess, ...] | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuReading:
    """All GPUs of this machine at one moment.

    `gpus` is None if nobody can tell (no driver, a driver that does not match, no answer);
    `problem` then says why. `driver` is its version.
    """

    time: float
    gpus: tuple[Gpu, ...] | None
    driver: str | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostReading:
    """The machine, and the process tree of one run, at one moment.

    `cpu` is the share of all cores in use since the reading before; `tree_cpu` counts cores.
    """

    time: float
    cpu: float | None = None
    memory_total: int | None = None
    memory_available: int | None = None
    disk_free: int | None = None
    inodes_free: int | None = None
    tree_processes: int | None = None
    tree_memory: int | None = None
    tree_cpu: float | None = None
