"""What a machine has and how it is doing. Sizes in bytes, powers in watts, shares from 0 to 1.

None always means unknown: not supported, not allowed, or not answered in time.
"""

from dataclasses import dataclass

SAMPLED = "system/"  # series that the watcher samples; no program's own begin like this
_UNITS = {
    "cpu": "share",
    "utilization": "share",
    "throttled": "share",
    "memory_used": "B",
    "disk_free": "B",
    "tree_memory": "B",
}


def is_sampled(series: str) -> bool:
    """Whether a series holds samples of the hardware, and nothing that a program logged."""
    return series.startswith(SAMPLED)


def sampled_unit(series: str) -> str | None:
    """`B` or `share` for samples of bytes and of shares of 1; None for every other series."""
    name = series.removeprefix(SAMPLED)
    if name == series:
        return None
    return _UNITS.get(name.rpartition(".")[2] if name.startswith("gpu.") else name)


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
    """All GPUs of this machine at one moment, MIG instances behind their whole.

    `gpus` is None if nobody can tell (no driver, a driver that does not match, no answer);
    `problem` then says why. With `gpus`, `problem` tells of GPUs that never said who they are.
    `driver` is its version.
    """

    time: float
    gpus: tuple[Gpu, ...] | None
    driver: str | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostReading:
    """The machine at one moment; disk and inodes are those of one folder's file system.

    `cpu` is the share of all cores in use since the reading before.
    """

    time: float
    cpu: float | None = None
    memory_total: int | None = None
    memory_available: int | None = None
    disk_free: int | None = None
    inodes_free: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeReading:
    """A process and its descendants at one moment.

    `memory` is the sum of their resident sets: pages that they share count once for each. `cpu` is
    the number of cores in use since the reading before.
    """

    processes: int
    memory: int
    cpu: float | None = None
