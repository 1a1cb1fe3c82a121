"""Processes that cannot be mistaken: identity, liveness, signals."""

import os
import signal
import socket
from contextlib import suppress
from functools import cache
from pathlib import Path

from orchestrator.domain.run import Identity

_PASSES = 10


@cache
def boot_id() -> str:
    """Identity of the kernel's present boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def start_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None if it is gone or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command name may hold spaces and parentheses: fields start after the last one.
    fields = stat[stat.rindex(")") + 2 :].split()
    return None if fields[0] in "ZX" else int(fields[19])


def is_here(identity: Identity) -> bool:
    """Whether the process ran in this machine's present boot, so that its pid means something.

    The boot alone tells: a machine may be renamed while a run lives.
    """
    return identity.boot_id == boot_id()


def is_alive(identity: Identity) -> bool:
    """Whether exactly this process still runs; of another host nothing is known: assume so."""
    if is_here(identity):
        return start_ticks(identity.pid) == identity.start_ticks
    return identity.host != socket.gethostname()


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


def kill_run(run_folder: Path) -> int:
    """Kill every process that carries this run folder in its environment; return how many.

    For orphans only: while the shim lives, it ends its own tree. The folder and not the id, since
    two workspaces on one machine both have an R-000001.
    """
    import psutil  # noqa: PLC0415 - 30 ms, and only after a shim was lost

    folder = os.path.realpath(run_folder)
    killed: set[int] = set()
    # A process may fork while we look: look again until a whole pass finds nobody new.
    for _ in range(_PASSES):
        found = {pid for pid in psutil.pids() if pid not in killed and _bears(pid, folder)}
        for pid in found:
            with suppress(psutil.Error):
                psutil.Process(pid).kill()
        killed |= found
        if not found:
            break
    return len(killed)


def _bears(pid: int, folder: str) -> bool:
    import psutil  # noqa: PLC0415 - see kill_run

    if pid == os.getpid():
        return False
    try:
        process = psutil.Process(pid)
        borne = process.environ().get("EXP_RUN_DIR")
        return (
            borne is not None
            and os.path.realpath(borne) == folder
            and process.status() != psutil.STATUS_ZOMBIE
        )
    except psutil.Error:
        return False
