"""Processes that cannot be mistaken: identity, liveness, signals."""

import os
import signal
import socket
from pathlib import Path

from orchestrator.domain.run import Identity


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
    """Whether the process ran on this host in this boot, so that its pid means something."""
    return identity.host == socket.gethostname() and identity.boot_id == boot_id()


def is_alive(identity: Identity) -> bool:
    """Whether exactly this process still runs; of another host nothing is known: assume so."""
    if identity.host != socket.gethostname():
        return True
    return identity.boot_id == boot_id() and start_ticks(identity.pid) == identity.start_ticks


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

    killed = 0
    for process in psutil.process_iter():
        try:
            is_ours = process.environ().get("EXP_RUN_DIR") == str(run_folder)
            if is_ours and process.pid != os.getpid():
                process.kill()
                killed += 1
        except psutil.Error:
            continue
    return killed
