"""What a run used of its machine: the samples of the whole run, and what the GPUs are called."""

import math
import re
from collections.abc import Mapping
from statistics import median

from orchestrator.domain.facts import Checkpoint
from orchestrator.domain.hardware import SAMPLED
from orchestrator.domain.point import Event
from orchestrator.report.machine import GpuUsage, Machine, Usage
from orchestrator.store.rows import SeriesRow
from orchestrator.watch.reporting.subject import Subject

_GPU = re.compile(r"gpu\.(\d+)\..+")
_SAMPLES = 200  # of a measure, for its median


def machine_of(subject: Subject, checkpoints: tuple[Checkpoint, ...]) -> Machine | None:
    """GPUs, memory, processors and disk over the run; None where nothing was sampled or saved."""
    rows = {
        name.removeprefix(SAMPLED): row
        for name, row in subject.reader.series(subject.record.id).items()
        if name.startswith(SAMPLED)
    }
    if not rows and not checkpoints:
        return None
    host = _host(subject)
    free = rows.get("disk_free")
    return Machine(
        gpus=_gpus(subject, rows),
        memory=_usage(subject, rows.get("tree_memory")),
        memory_total=host.get("memory_total"),
        cpu=_usage(subject, rows.get("cpu")),
        cpus=None if (cpus := host.get("cpus")) is None else int(cpus),
        disk_free=None if free is None else free.latest.value,
        checkpoints=sum(each.bytes for each in checkpoints) if checkpoints else None,
    )


def _gpus(subject: Subject, rows: Mapping[str, SeriesRow]) -> tuple[GpuUsage, ...]:
    """Every GPU that was named or measured, by its place in the run."""
    named = {
        int(event.data["ordinal"]): event
        for event in subject.reader.events(subject.record.id, "gpu")
        if isinstance(event.data.get("ordinal"), int)
    }
    measured = {int(match[1]) for name in rows if (match := _GPU.fullmatch(name))}
    return tuple(_gpu(subject, rows, at, named.get(at)) for at in sorted({*named, *measured}))


def _gpu(subject: Subject, rows: Mapping[str, SeriesRow], at: int, event: Event | None) -> GpuUsage:
    data = event.data if event is not None else {}
    name, total = data.get("name"), data.get("memory_total")
    used = {
        measure: _usage(subject, rows.get(f"gpu.{at}.{series}"))
        for measure, series in (
            ("memory", "memory_used"),
            ("utilization", "utilization"),
            ("power", "power"),
            ("temperature", "temperature"),
        )
    }
    return GpuUsage(
        name=name if isinstance(name, str) else None,
        index=at,
        memory_total=float(total) if isinstance(total, int | float) else None,
        **used,
    )


def _usage(subject: Subject, row: SeriesRow | None) -> Usage | None:
    if row is None or row.high is None:
        return None
    values = subject.reader.sketch(subject.record.id, row.name, _SAMPLES).values
    middle = median(value for value in values if math.isfinite(value))
    return Usage(latest=row.latest.value, median=middle, peak=row.high)


def _host(subject: Subject) -> Mapping[str, float]:
    """Memory and processors of the machine, as the newest attempt's samples tell."""
    told = subject.reader.events(subject.record.id, "host")
    known = told[-1].data if told else {}
    return {name: value for name, value in known.items() if isinstance(value, int | float)}
