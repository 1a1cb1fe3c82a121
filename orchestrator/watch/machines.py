"""The machine beside a case: what was just measured, and whose the processes on its GPUs are."""

import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from orchestrator.diagnose.case import Case
from orchestrator.domain.hardware import GpuProcess, GpuReading, HostReading


def measured(case: Case, folder: Path, gpus: GpuReading | None, host: HostReading | None) -> Case:
    """The case with its machine as it was just read; `folder` names the file system that counts."""
    total = None
    with suppress(OSError):
        total = shutil.disk_usage(folder).total
    ours, owners = _holders(gpus)
    machine = replace(
        case.machine, gpus=gpus, host=host, disk_total=total, known_pids=ours, owners=owners
    )
    return replace(case, machine=machine)


def _holders(gpus: GpuReading | None) -> tuple[frozenset[int], dict[int, str]]:
    """Processes on GPUs that bear a run in their environment, and whose the others are.

    One that tells neither, of another user or container, is in neither.
    """
    pids = {process.pid for process in _processes(gpus)}
    ours: set[int] = set()
    owners: dict[int, str] = {}
    if pids:
        import psutil  # noqa: PLC0415 - 30 ms, and only where somebody holds a GPU

        for pid in sorted(pids):
            with suppress(psutil.Error, KeyError, OSError):
                found = psutil.Process(pid)
                if "EXP_RUN_DIR" in found.environ():
                    ours.add(pid)
                else:
                    owners[pid] = f"{found.username()}: {found.name()}"
    return frozenset(ours), owners


def _processes(gpus: GpuReading | None) -> Iterable[GpuProcess]:
    for gpu in (gpus.gpus or ()) if gpus is not None else ():
        yield from gpu.processes or ()
