"""A sample as lines of one attempt's telemetry.jsonl: what was measured, and what happened."""

import json
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orchestrator.domain.hardware import SAMPLED, Gpu, GpuReading, HostReading, TreeReading
from orchestrator.domain.point import Event
from orchestrator.watch.sampler import Sample
from orchestrator.workspace import AttemptFolder

log = logging.getLogger(__name__)
_MEGA = 1e6
# What slows a GPU against its will; a power cap that is reached is a GPU at work.
_SLOWDOWNS = frozenset({"hw_slowdown", "sw_thermal", "hw_thermal", "power_brake"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What the file says already; GPUs by UUID, `gpus` in the order of their ordinals."""

    gpus: tuple[str, ...] = ()
    seen: frozenset[str] = frozenset()
    lost: frozenset[str] = frozenset()
    slowed: frozenset[tuple[str, str]] = frozenset()
    silent: bool = False
    host: bool = False


class Recorder:
    """Writes the samples of one attempt.

    `leased` are the UUIDs of its GPUs. None stands for an attempt that leased none: all GPUs of
    the machine count, in the order in which samples first list them. `events` are those that the
    file holds already.
    """

    def __init__(
        self, attempt: AttemptFolder, leased: tuple[str, ...] | None, events: Iterable[Event]
    ) -> None:
        self.attempt = attempt
        self._leased = leased is not None
        self._told = _Told(gpus=leased or ())
        for event in events:
            self._told = _after(self._told, event.name, event.data)
        self._failed = False

    def write(self, sample: Sample, tree: TreeReading | None, *, step: int) -> None:
        """Append a sample; a disk that is full costs this sample and nothing else."""
        told, lines = self._told, []
        for name, data in (*_host(told, sample.host), *_events(told, self._leased, sample.gpus)):
            told = _after(told, name, data)
            lines.append({"event": name, "time": sample.time, "step": step, "data": data})
        metrics = _metrics(told.gpus, sample, tree)
        lines.append({"step": step, "time": sample.time, "metrics": metrics})
        try:
            _append(self.attempt.telemetry_file, lines)
        except OSError as error:
            if not self._failed:
                log.warning("%s: %s", self.attempt.telemetry_file, error.strerror)
            self._failed = True
        else:
            self._told, self._failed = told, False


def _append(path: Path, lines: Sequence[dict[str, Any]]) -> None:
    """Append whole lines, behind a newline if the last writer was killed within its line."""
    data = "".join(f"{json.dumps(line)}\n" for line in lines).encode()
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        end = os.fstat(descriptor).st_size
        if end and os.pread(descriptor, 1, end - 1) != b"\n":
            data = b"\n" + data
        try:
            while data:
                data = data[os.write(descriptor, data) :]
        except OSError:
            with suppress(OSError):
                os.ftruncate(descriptor, end)  # all of a sample or nothing
            raise
    finally:
        os.close(descriptor)


def _host(told: _Told, host: HostReading) -> Iterator[tuple[str, dict[str, Any]]]:
    """The machine, once an attempt."""
    if not told.host and host.memory_total is not None:
        yield "host", {"memory_total": host.memory_total, "cpus": os.cpu_count()}


def _events(told: _Told, leased: bool, reading: GpuReading) -> Iterator[tuple[str, dict[str, Any]]]:
    """What has happened to the GPUs since it was last told."""
    if reading.gpus is None:
        if told.gpus and not told.silent:
            yield "gpu_reading", {"problem": reading.problem}
        return
    if told.silent:
        yield "gpu_reading", {"problem": None}
    found = {gpu.uuid: gpu for gpu in reading.gpus}
    uuids = (
        told.gpus if leased else (*told.gpus, *(uuid for uuid in found if uuid not in told.gpus))
    )
    for ordinal, uuid in enumerate(uuids):
        gpu = found.get(uuid, Gpu(uuid=uuid, problem="NVML does not list it"))
        for name, data in _events_of(told, gpu, reading.driver):
            yield name, {"ordinal": ordinal, "uuid": uuid, **data}


def _events_of(told: _Told, gpu: Gpu, driver: str | None) -> Iterator[tuple[str, dict[str, Any]]]:
    if gpu.problem is not None:
        if gpu.uuid not in told.lost:
            yield "gpu_lost", {"why": gpu.problem}
        return
    if gpu.uuid not in told.seen:
        yield "gpu", {"name": gpu.name, "driver": driver, "memory_total": gpu.memory_total}
    if gpu.uuid in told.lost:
        yield "gpu_recovered", {}
    for reason in sorted(_SLOWDOWNS.intersection(gpu.throttle or ())):
        if (gpu.uuid, reason) not in told.slowed:
            yield "gpu_throttled", {"reason": reason}


def _after(told: _Told, name: str, data: dict[str, Any]) -> _Told:
    """What has been told once this event is."""
    if name == "gpu_reading":
        return replace(told, silent=data.get("problem") is not None)
    if name == "host":
        return replace(told, host=True)
    uuid = str(data.get("uuid"))
    if uuid not in told.gpus:
        told = replace(told, gpus=(*told.gpus, uuid))
    match name:
        case "gpu":
            return replace(told, seen=told.seen | {uuid})
        case "gpu_lost":
            return replace(told, lost=told.lost | {uuid})
        case "gpu_recovered":
            return replace(told, lost=told.lost - {uuid})
        case _:
            return replace(told, slowed=told.slowed | {(uuid, str(data.get("reason")))})


def _metrics(uuids: Sequence[str], sample: Sample, tree: TreeReading | None) -> dict[str, float]:
    """Every value that is known, by the name of its series."""
    found = {gpu.uuid: gpu for gpu in sample.gpus.gpus or ()}
    values = dict(_host_values(sample.host, tree))
    for ordinal, uuid in enumerate(uuids):
        if uuid in found:
            values |= {f"gpu.{ordinal}.{name}": v for name, v in _gpu_values(found[uuid])}
    return {f"{SAMPLED}{name}": value for name, value in values.items() if value is not None}


def _host_values(host: HostReading, tree: TreeReading | None) -> Iterator[tuple[str, float | None]]:
    yield "cpu", _short(host.cpu)
    if host.memory_total is not None and host.memory_available is not None:
        yield "memory_used", host.memory_total - host.memory_available
    yield "disk_free", host.disk_free
    yield "inodes_free", host.inodes_free
    if tree is not None:
        yield "tree_processes", tree.processes
        yield "tree_memory", tree.memory
        yield "tree_cpu", _short(tree.cpu)


def _gpu_values(gpu: Gpu) -> Iterator[tuple[str, float | None]]:
    yield "memory_used", gpu.memory_used
    yield "utilization", gpu.utilization
    yield "power", gpu.power
    yield "temperature", gpu.temperature
    yield "clock_sm", None if gpu.clock_sm is None else gpu.clock_sm * _MEGA
    yield "clock_memory", None if gpu.clock_memory is None else gpu.clock_memory * _MEGA
    yield "ecc_uncorrected", gpu.ecc_uncorrected
    if gpu.throttle is not None:
        yield "throttled", float(not _SLOWDOWNS.isdisjoint(gpu.throttle))


def _short(value: float | None) -> float | None:
    """Digits that mean something: a share is known to a thousandth at best."""
    return None if value is None else round(value, 4)
