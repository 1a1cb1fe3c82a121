"""What a run used of its machine, from the samples of the whole run.

Sizes in bytes, powers in watts, temperatures in degrees Celsius, shares from 0 to 1; None is
unknown.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """One measure over the run: the newest sample, the median and the highest."""

    latest: float
    median: float
    peak: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuUsage:
    """One GPU of the run."""

    name: str | None = None
    index: int | None = None
    memory_total: float | None = None
    memory: Usage | None = None
    utilization: Usage | None = None
    power: Usage | None = None
    temperature: Usage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """GPUs, the memory of the run's processes, the processors, and the disk's free space."""

    gpus: tuple[GpuUsage, ...] = ()
    memory: Usage | None = None
    memory_total: float | None = None
    cpu: Usage | None = None
    cpus: int | None = None
    disk_free: float | None = None
    checkpoints: int | None = None  # bytes of all together
