"""`exp gpu`: what every GPU of this machine does, and for whom."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator.codec import read_record_if_present
from orchestrator.domain.attempt import Lease
from orchestrator.domain.hardware import Gpu, GpuProcess, GpuReading
from orchestrator.errors import InvalidFileError, NotFoundError
from orchestrator.gpus import Gpus
from orchestrator.watch.live import live_runs
from orchestrator.workspace import Workspace, find_workspace

_DEADLINE = 20.0  # seconds; without persistence mode every GPU takes one or two to wake up


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A process that holds memory (bytes) on a GPU.

    `run` is the run whose folder it bears in its environment, `folder` that folder. What belongs to
    another user, or to another container, tells less: then there are only the pid and the memory.
    """

    pid: int
    memory: int | None
    user: str | None = None
    command: str | None = None
    run: str | None = None
    folder: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuRow:
    """A GPU, who holds memory on it, and the live runs of this workspace that it was given to."""

    gpu: Gpu
    holders: tuple[Holder, ...] | None
    leased_to: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuOverview:
    """All GPUs; `gpus` is None if nobody can tell, and `problem` says why."""

    time: float
    driver: str | None
    problem: str | None
    gpus: tuple[GpuRow, ...] | None


def gpu_overview() -> GpuOverview:
    """Ask the driver once; works outside of a workspace, too."""
    reading = Gpus(deadline=_DEADLINE).read()
    return holders_of(reading, _leases() if reading.gpus else {})


def holders_of(reading: GpuReading, leases: Mapping[str, Sequence[str]]) -> GpuOverview:
    """What was read, with who holds it; `leases` are runs by the UUIDs that they were given."""
    rows = None
    if reading.gpus is not None:
        rows = tuple(
            GpuRow(
                gpu=gpu,
                holders=None if gpu.processes is None else tuple(map(_holder, gpu.processes)),
                leased_to=tuple(leases.get(gpu.uuid, ())),
            )
            for gpu in reading.gpus
        )
    return GpuOverview(time=reading.time, driver=reading.driver, problem=reading.problem, gpus=rows)


def _holder(process: GpuProcess) -> Holder:
    import psutil  # noqa: PLC0415 - 30 ms, and only where somebody holds a GPU

    user = command = folder = None
    with suppress(psutil.Error, KeyError):
        found = psutil.Process(process.pid)
        command, user = found.name(), found.username()
        folder = found.environ().get("EXP_RUN_DIR")
    return Holder(
        pid=process.pid,
        memory=process.memory,
        user=user,
        command=command,
        run=None if folder is None else Path(folder).name,
        folder=folder,
    )


def _leases() -> dict[str, list[str]]:
    """Live runs of this workspace by the UUIDs of the GPUs that they were given."""
    found: dict[str, list[str]] = {}
    try:
        workspace = find_workspace()
    except NotFoundError:
        return found
    for run, uuids in _leased(workspace):
        for uuid in uuids:
            found.setdefault(uuid, []).append(run)
    return found


def _leased(workspace: Workspace) -> list[tuple[str, tuple[str, ...]]]:
    found = []
    for folder, _, state in live_runs(workspace):
        with suppress(InvalidFileError):
            path = folder.attempt(state.attempt.number).lease_file
            lease = read_record_if_present(Lease, path)
            if lease is not None and lease.gpus is not None:
                found.append((folder.id, lease.gpus))
    return found
