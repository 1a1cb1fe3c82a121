"""What was run, on what, and what it cost, in rows."""

import shlex
from typing import Any

from orchestrator.domain import figures
from orchestrator.report import words
from orchestrator.report.cost import Cost
from orchestrator.report.facts import ReportFacts, RunInfo
from orchestrator.report.machine import GpuUsage, Machine, Usage

Row = dict[str, Any]

_GIB = 1024**3
_MOST_GPUS = 16


def setup(run: RunInfo) -> list[Row]:
    """Experiment, commands, resources, executor, seed."""
    lines = [{"name": "Experiment", "text": run.experiment}]
    lines += [
        {"name": f"Command ({command.phase})", "text": shlex.join(command.argv)}
        for command in run.commands
    ]
    resources = ", ".join(f"{name} {value}" for name, value in words.flat(run.resources))
    lines.append({"name": "Resources", "text": resources})
    lines.append({"name": "Executor", "text": run.executor})
    lines.append({"name": "Seed", "text": None if run.seed is None else str(run.seed)})
    lines.append({"name": "Folder", "text": run.folder})
    return [line for line in lines if line["text"]]


def hardware(machine: Machine | None) -> Row:
    """One row a GPU, and the rest of the machine in sentences."""
    if machine is None:
        return {"gpus": [], "left_out": None, "host": []}
    left = len(machine.gpus) - _MOST_GPUS
    return {
        "gpus": [_gpu(each) for each in machine.gpus[:_MOST_GPUS]],
        "left_out": f"{left:,}" if left > 0 else None,
        "host": _host(machine),
    }


def _gpu(gpu: GpuUsage) -> Row:
    name = gpu.name or "GPU"
    return {
        "name": name if gpu.index is None else f"{gpu.index}: {name}",
        "memory": _memory(gpu.memory, gpu.memory_total),
        "utilization": _shares(gpu.utilization),
        "power": _measured(gpu.power, "W"),
        "temperature": _measured(gpu.temperature, "°C"),
    }


def _host(machine: Machine) -> list[Row]:
    lines = []
    if machine.memory is not None:
        lines.append(
            {"name": "Memory of the run", "text": _memory(machine.memory, machine.memory_total)}
        )
    if machine.cpu is not None:
        of = f" of {machine.cpus} processors" if machine.cpus else ""
        lines.append({"name": "Processors", "text": f"{_shares(machine.cpu)}{of}"})
    if machine.disk_free is not None:
        lines.append({"name": "Free disk", "text": words.size(int(machine.disk_free))})
    return lines


def _memory(usage: Usage | None, total: float | None) -> str:
    if usage is None:
        return figures.UNKNOWN if total is None else f"unknown of {words.size(int(total))}"
    of = "" if total is None else f" of {words.size(int(total))}"
    return f"{words.size(int(usage.latest))}{of}, peak {words.size(int(usage.peak))}"


def _shares(usage: Usage | None) -> str:
    if usage is None:
        return figures.UNKNOWN
    return f"{words.share(usage.latest)}, median {words.share(usage.median)}"


def _measured(usage: Usage | None, unit: str) -> str:
    if usage is None:
        return figures.UNKNOWN
    return f"{usage.latest:,.0f} {unit}, peak {usage.peak:,.0f}"


def gpu_line(machine: Machine | None) -> str | None:
    """All GPUs in one line: `8 × H100: 97% busy (median), 61.2 GiB of 79.6 GiB at the peak`."""
    if machine is None or not machine.gpus:
        return None
    gpus = machine.gpus
    names = sorted({gpu.name for gpu in gpus if gpu.name})
    head = f"{len(gpus)} × {', '.join(names) or 'GPU'}" if len(gpus) > 1 else ", ".join(names)
    parts = []
    busy = [gpu.utilization for gpu in gpus if gpu.utilization is not None]
    if busy:
        parts.append(f"{_span([u.latest for u in busy], words.share)} busy")
        parts[-1] += f" (median {_span([u.median for u in busy], words.share)})"
    peaks = [gpu.memory.peak for gpu in gpus if gpu.memory is not None]
    totals = [gpu.memory_total for gpu in gpus if gpu.memory_total is not None]
    if peaks:
        of = f" of {words.size(int(min(totals)))}" if totals else ""
        parts.append(f"memory peak {words.size(int(max(peaks)))}{of}")
    heat = [gpu.temperature.latest for gpu in gpus if gpu.temperature is not None]
    if heat:
        parts.append(f"{max(heat):.0f} °C")
    return ": ".join(part for part in (head, ", ".join(parts)) if part) or None


def _span(values: list[float], shown: Any) -> str:
    low, high = shown(min(values)), shown(max(values))
    return low if low == high else f"{low} to {high}"


def cost(facts: ReportFacts) -> list[Row]:
    """What the run took so far, in hours and, with a price, in money; and what was spared."""
    known = facts.cost
    if known is None:
        return []
    lines = [{"name": "Spent", "text": spent(facts)}]
    if known.budget_gpu_hours and known.gpu_hours is not None:
        share = words.share(known.gpu_hours / known.budget_gpu_hours)
        budget = f"{share} of {figures.number(known.budget_gpu_hours)} GPU-hours"
        lines.append({"name": "Budget", "text": budget})
    if known.price is not None:
        per = "an hour of one GPU" if known.gpus else "an hour"
        lines.append({"name": "Price", "text": f"{_money(known.price, known)} {per}"})
    if known.saved_hours:
        lines.append({"name": "Spared by ending early", "text": _spared(known, known.saved_hours)})
    return lines


def _spared(known: Cost, hours: float) -> str:
    told = [words.duration(3600 * hours)]
    if known.saved_gpu_hours:
        told.append(f"{words.hours(known.saved_gpu_hours)} GPU-hours")
    if known.price is not None:
        told.append(_money(known.price * (known.saved_gpu_hours or hours), known))
    return ", ".join(told)


def spent(facts: ReportFacts) -> str:
    """Hours and money of all attempts: `8 h 20 min, 66.7 GPU-hours, 133.40 EUR`."""
    known = facts.cost
    if known is None:
        return words.duration(facts.progress.elapsed)
    told = [words.duration(3600 * known.hours)]
    if known.gpu_hours:
        told.append(f"{words.hours(known.gpu_hours)} GPU-hours")
    if known.amount is not None:
        told.append(_money(known.amount, known))
    return ", ".join(told)


def _money(amount: float, known: Cost) -> str:
    return f"{amount:,.2f} {known.currency}".strip()
