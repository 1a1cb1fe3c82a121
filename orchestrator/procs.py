"""Processes that cannot be mistaken: identity, liveness, signals."""

import os
import re
import signal
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.domain.run import Identity
from orchestrator.fsio import is_locked

if TYPE_CHECKING:
    from collections.abc import Mapping

    import psutil

_PATIENCE = 5.0  # seconds for the kernel to end what was killed
_LOOK = 0.02  # seconds between looks
_STAT = 4096  # bytes; /proc/PID/stat has a few hundred
_ASKED = ["pid", "ppid", "environ", "status", "num_threads"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaped:
    """How many processes a lost run had left, and how many of them could not be killed."""

    ended: int = 0
    survivors: int = 0


@cache
def boot_id() -> str:
    """Identity of the kernel's present boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def start_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None if it is gone or a zombie.

    A process whose first thread has ended while others go on is no zombie.
    """
    try:
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        stat = os.read(descriptor, _STAT)
    except ProcessLookupError:
        return None
    finally:
        os.close(descriptor)
    # The command name may hold spaces and parentheses: fields start after the last one.
    fields = stat[stat.rindex(b")") + 2 :].split()
    return None if fields[0] in b"ZX" and int(fields[17]) < 2 else int(fields[19])


@cache
def pid_namespace() -> int:
    """Which pids this process sees: those of its container, or of the machine."""
    return Path("/proc/self/ns/pid").stat().st_ino


def is_here(identity: Identity) -> bool:
    """Whether the process ran in this boot, and among these pids, so that its pid means something.

    The name of the host does not tell: a machine may be renamed while a run lives.
    """
    known = identity.pid_namespace in {None, pid_namespace()}
    return known and identity.boot_id == boot_id()


def is_alive(identity: Identity, lock: Path) -> bool:
    """Whether exactly this process still runs; of another host nothing is known: assume so.

    Of one in another container the file `lock` tells, which a shim keeps locked as long as it
    lives. Where there is none, a container of another name is another host.
    """
    if is_here(identity):
        return start_ticks(identity.pid) == identity.start_ticks
    if identity.boot_id == boot_id() and lock.exists():
        return is_locked(lock)
    return identity.host != socket.gethostname()


def age(identity: Identity) -> float | None:
    """How long exactly this process has run, in seconds that no jump of the clock disturbs.

    None if it does not run, or not here.
    """
    if not is_here(identity) or start_ticks(identity.pid) != identity.start_ticks:
        return None
    started = identity.start_ticks / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started


def is_elsewhere(identity: Identity) -> bool:
    """Whether the process ran on another machine, or in a container that cannot be asked."""
    if is_here(identity):
        return False
    return identity.boot_id == boot_id() or identity.host != socket.gethostname()


def send_signal(identity: Identity, number: signal.Signals) -> bool:
    """Signal exactly this process; False if it is gone. The pid cannot be taken over meanwhile."""
    if not is_here(identity):
        return False
    try:
        descriptor = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return False
    try:
        if start_ticks(identity.pid) != identity.start_ticks:
            return False
        signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)
    return True


def kill_run(run_folder: Path) -> Reaped:
    """Kill every process of a run whose shim is lost, and see that they are gone.

    Processes of the run bear its folder in their environment, descend from one that does, or write
    its log. The folder and not the id tells, since two workspaces on one machine both have an
    R-000001. Waits a few seconds at most for the kernel: what is left then cannot be killed.
    """
    import psutil  # noqa: PLC0415 - 30 ms, and only after a shim was lost

    folder = os.path.realpath(run_folder)
    told: set[psutil.Process] = set()
    deadline = time.monotonic() + _PATIENCE
    # A process may fork while we look: look again until nobody is found.
    while alive := _members(folder):
        for process in alive - told:
            with suppress(psutil.Error):
                process.kill()
        told |= alive
        if time.monotonic() > deadline:
            break
        time.sleep(_LOOK)
    return Reaped(ended=len(told - alive), survivors=len(alive))


def pids_of_run(run_folder: Path) -> list[int]:
    """Live processes of a run, as `kill_run` finds them."""
    return sorted(process.pid for process in _members(os.path.realpath(run_folder)))


def _members(folder: str) -> "set[psutil.Process]":
    """The live processes of a run, this process and those above it aside."""
    import psutil  # noqa: PLC0415 - see kill_run

    every = {process.pid: process for process in psutil.process_iter(_ASKED)}
    above = {os.getpid()} | {process.pid for process in psutil.Process().parents()}
    return {
        process
        for pid, process in every.items()
        if pid not in above and _lives(process) and _belongs(process, every, folder)
    }


def _lives(process: "psutil.Process") -> bool:
    """A zombie whose other threads go on lives: only its first thread has ended."""
    return process.info["status"] != "zombie" or (process.info["num_threads"] or 0) > 1


def _belongs(process: "psutil.Process", every: "Mapping[int, psutil.Process]", folder: str) -> bool:
    """Whether a process, or else the nearest one above it that names a run, names this one."""
    if _writes_log(process.pid, folder):
        return True
    seen: set[int] = set()
    above: psutil.Process | None = process
    while above is not None and above.pid not in seen:
        seen.add(above.pid)
        borne: str | None = (above.info["environ"] or {}).get("EXP_RUN_DIR")
        if borne is not None:
            return os.path.realpath(borne) == folder
        above = every.get(above.info["ppid"] or 0)
    return False


def _writes_log(pid: int, folder: str) -> bool:
    """Whether the log of the run is a process's own output; to read it does not count."""
    for number in (1, 2):
        with suppress(OSError):
            place, flags = f"/proc/{pid}/fd/{number}", f"/proc/{pid}/fdinfo/{number}"
            target = os.readlink(place)  # noqa: PTH115 - text: the file may be deleted
            words = Path(flags).read_text().split()
            writes = int(words[words.index("flags:") + 1], 8) & os.O_ACCMODE != os.O_RDONLY
            if writes and re.match(rf"{re.escape(folder)}/attempt-\d+/out\.log", target):
                return True
    return False
