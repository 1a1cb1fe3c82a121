"""What outlives a program: processes, shared memory, memory of a GPU."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator import procs
from orchestrator.actions.rehearsal.stages import Execution
from orchestrator.domain.hardware import Gpu
from orchestrator.domain.sizes import format_size
from orchestrator.gpus import Gpus
from orchestrator.host import SHARED_MEMORY
from orchestrator.rehearsal.checks.ending import SHARED

_SHOWN = 3  # names of shared memory that are told
_EXITING = 2.0  # seconds that a process may take to go after its program has ended
_LOOK = 0.02  # seconds
_NOISE = 256 << 20  # bytes of a GPU by which a reading may differ without meaning anything


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """How things were before a stage began: names in /dev/shm, bytes in use by GPU."""

    shared: frozenset[str]
    gpus: dict[str, int]


def look_before(uuids: tuple[str, ...]) -> Before:
    """Note what is there before a stage begins."""
    return Before(shared=frozenset(_shared()), gpus=_used(uuids))


def left_by(execution: Execution, before: Before) -> tuple[str, ...]:
    """What an execution that has ended left behind, in words; its processes are ended."""
    return (
        *_processes(execution),
        *_new_shared(before, execution.began),
        *_new_memory(before),
    )


def _processes(execution: Execution) -> Iterator[str]:
    if execution.ended_by is not None:
        return  # killed from outside: that nothing could clean up is no fault of the program
    ended = execution.exit
    if ended is not None and ended.leftovers:
        plural = "es" if ended.leftovers > 1 else ""
        yield f"{ended.leftovers} process{plural} that had to be ended"
    for pid in _staying(execution.stage.folder.path):
        if command := _command(pid):  # else it has gone meanwhile
            yield f"process {pid} ({command})"
    procs.kill_run(execution.stage.folder.path)


def _staying(folder: Path) -> list[int]:
    """Processes of a stage that do not go by themselves: some are on their way out."""
    deadline = time.monotonic() + _EXITING
    while (found := procs.pids_of_run(folder)) and time.monotonic() < deadline:
        time.sleep(_LOOK)
    return list(found)


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()[:80].strip()
    return ""


def _shared() -> list[str]:
    with suppress(OSError):
        return [entry.name for entry in SHARED_MEMORY.iterdir()]
    return []


def _new_shared(before: Before, began: float) -> Iterator[str]:
    """Our own new entries that no live process has mapped or open: those are somebody else's."""
    found = []
    for name in sorted(set(_shared()) - before.shared):
        with suppress(OSError):
            status = (SHARED_MEMORY / name).stat()
            if status.st_uid == os.getuid() and status.st_ctime >= began - 1:
                found.append((name, status.st_size))
    held = _held() if found else ""
    left = [(name, size) for name, size in found if f"{SHARED_MEMORY}/{name}" not in held]
    if left:
        names = ", ".join(name for name, _ in left[:_SHOWN])
        more = f" and {len(left) - _SHOWN} more" if len(left) > _SHOWN else ""
        yield f"{SHARED}{names}{more} ({format_size(sum(size for _, size in left))})"


def _held() -> str:
    """Everything that live processes have mapped or open in /dev/shm."""
    texts = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            texts.append((process / "maps").read_text(errors="replace"))
            texts += [str(file.readlink()) for file in (process / "fd").iterdir()]
    return "\n".join(texts)


def _used(uuids: tuple[str, ...]) -> dict[str, int]:
    return {gpu.uuid: gpu.memory_used for gpu in _gpus(uuids) if gpu.memory_used is not None}


def _new_memory(before: Before) -> Iterator[str]:
    for uuid, used in _used(tuple(before.gpus)).items():
        more = used - before.gpus[uuid]
        if more > _NOISE:
            yield f"{format_size(more)} of GPU {uuid}"


def _gpus(uuids: tuple[str, ...]) -> list[Gpu]:
    reading = Gpus().read().gpus if uuids else ()
    return [gpu for gpu in reading or () if gpu.uuid in uuids]
