"""The machine beside a case: what was just measured, and whose the processes on its GPUs are."""

import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from orchestrator.diagnose.case import Machine
from orchestrator.domain.hardware import GpuProcess, GpuReading, HostReading


def machine_of(folder: Path, gpus: GpuReading | None, host: HostReading | None) -> Machine:
    """A machine by its readings; `folder` names the file system that counts."""
    total = None
    with suppress(OSError):
        total = shutil.disk_usage(folder).total
    ours, owners = _holders(gpus)
    return Machine(gpus=gpus, host=host, disk_total=total, known_pids=ours, owners=owners)


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
