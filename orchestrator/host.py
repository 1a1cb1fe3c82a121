"""The machine and the process trees on it: cheap enough to look at twenty runs every few seconds.

Everything here may block where the machine is ill (a file system that went away, a process in the
kernel): call it from a thread that may.
"""

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from orchestrator.domain.hardware import HostReading, TreeReading

_PAGE = os.sysconf("SC_PAGE_SIZE")  # bytes
_TICKS = os.sysconf("SC_CLK_TCK")  # a second
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - looked at, never written to
# Fields of /proc/PID/stat, counted from the one behind the command's name: proc_pid_stat(5).
_STATE, _PARENT, _USER, _SYSTEM, _START, _RESIDENT = 0, 1, 11, 12, 19, 21


class _Process(NamedTuple):
    parent: int
    start: int  # ticks since boot
    ticks: int  # CPU time used so far
    memory: int  # resident pages


class _Usage(NamedTuple):
    at: float  # monotonic
    ticks: dict[tuple[int, int], int]  # by pid and start: CPU time used so far


class Host:
    """This machine; keeps what the reading before showed, for shares are differences."""

    def __init__(self) -> None:
        self._cpu: tuple[float, float] | None = None  # seconds busy, seconds in all
        self._trees: dict[int, _Usage] = {}

    def read(self, folder: Path) -> HostReading:
        """CPU and memory of the machine, and room on the file system of `folder`."""
        import psutil  # noqa: PLC0415 - 30 ms, and only where somebody asks

        memory = None
        with suppress(OSError, psutil.Error):
            memory = psutil.virtual_memory()
        disk = None
        with suppress(OSError):
            disk = os.statvfs(folder)
        return HostReading(
            time=time.time(),
            cpu=self._cpu_share(),
            memory_total=None if memory is None else memory.total,
            memory_available=None if memory is None else memory.available,
            disk_free=None if disk is None else disk.f_bavail * disk.f_frsize,
            # Some file systems count no inodes and say 0 of 0.
            inodes_free=None if disk is None or not disk.f_files else disk.f_favail,
        )

    def _cpu_share(self) -> float | None:
        import psutil  # noqa: PLC0415 - see above

        try:
            times = psutil.cpu_times()
        except (OSError, psutil.Error):
            return None
        # Time of guests is part of the time of users.
        total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
        busy = total - times.idle - getattr(times, "iowait", 0.0)
        before, self._cpu = self._cpu, (busy, total)
        if before is None or total <= before[1]:
            return None
        return min(1.0, max(0.0, (busy - before[0]) / (total - before[1])))

    def trees(self, roots: Iterable[int]) -> dict[int, TreeReading]:
        """Each of these processes that lives, with its descendants; by pid.

        One pass over /proc for all of them. psutil would read several files a process.
        """
        wanted = set(roots)
        processes = _processes() if wanted else {}
        members = _members(processes, wanted)
        now = time.monotonic()
        self._trees = {pid: usage for pid, usage in self._trees.items() if pid in members}
        return {pid: self._tree(pid, found, processes, now) for pid, found in members.items()}

    def _tree(
        self, root: int, pids: list[int], processes: dict[int, _Process], now: float
    ) -> TreeReading:
        found = [(pid, processes[pid]) for pid in pids]
        usage = _Usage(now, {(pid, process.start): process.ticks for pid, process in found})
        before, self._trees[root] = self._trees.get(root), usage
        cpu = None
        if before is not None and now > before.at:
            # What processes used that ended meanwhile is not known: a lower bound.
            used = sum(ticks - before.ticks.get(key, 0) for key, ticks in usage.ticks.items())
            cpu = used / _TICKS / (now - before.at)
        return TreeReading(
            processes=len(found),
            memory=sum(process.memory for _, process in found) * _PAGE,
            cpu=cpu,
        )


def _processes() -> dict[int, _Process]:
    """Every process that is no zombie."""
    found = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - names are all that is needed
        if name.isdecimal() and (process := _process(name)) is not None:
            found[int(name)] = process
    return found


def _process(name: str) -> _Process | None:
    try:
        descriptor = os.open(f"/proc/{name}/stat", os.O_RDONLY)
    except OSError:
        return None  # gone
    try:
        text = os.read(descriptor, 4096)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    # The command's name may hold spaces and parentheses: fields start after the last one.
    fields = text[text.rfind(b")") + 2 :].split()
    if len(fields) <= _RESIDENT or fields[_STATE] in b"ZX":
        return None
    return _Process(
        parent=int(fields[_PARENT]),
        start=int(fields[_START]),
        ticks=int(fields[_USER]) + int(fields[_SYSTEM]),
        memory=int(fields[_RESIDENT]),
    )


def _members(processes: dict[int, _Process], roots: set[int]) -> dict[int, list[int]]:
    """The processes of each tree; of two roots in one line, the nearer one has what is below it."""
    owner: dict[int, int | None] = {pid: pid for pid in roots if pid in processes}
    trees: dict[int, list[int]] = {pid: [pid] for pid in owner}
    for pid in processes:
        line = []
        at = pid
        while at not in owner and at in processes:
            line.append(at)
            owner[at] = None  # so that a pid reused while we read cannot lead round in a circle
            at = processes[at].parent
        root = owner.get(at)
        for member in line:
            owner[member] = root
            if root is not None:
                trees[root].append(member)
    return trees
