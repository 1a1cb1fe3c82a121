"""What the kernel said of GPUs, memory and disks while an attempt ran."""

import re
import time

from orchestrator.watch.forensics.scene import said_by

_DEADLINE = 3.0  # seconds
_SLACK = 10.0  # seconds before and after the attempt
_MOST = 200  # lines
_STAMP = re.compile(r"^(?:<\d+>)?\[\s*(\d+\.\d+)\]")
_TELLS = re.compile(
    r"\bXid\b|NVRM|nvidia|out of memory|oom[-_]|Killed process|I/O error|Remounting filesystem"
    r"|(?:EXT4|XFS|BTRFS)\S* .*error|nvme.*(?:timeout|reset|abort)|segfault|general protection"
    r"|Hardware Error|\bmce\b|soft lockup|hung_task|blocked for more than",
    re.IGNORECASE,
)


def kernel_lines(started: float, ended: float) -> tuple[str, ...]:
    """Lines of the kernel's log about hardware, memory and kills between two times, the newest.

    Raises:
        OSError: it cannot be read: there is no dmesg, or this user may not.
    """
    said = said_by(["dmesg"], seconds=_DEADLINE)
    lines = said.splitlines()
    if lines and all("dmesg:" in line for line in lines):
        raise PermissionError(lines[0])
    # The kernel counts from the boot, and its clock stands while the machine sleeps.
    boot = time.time() - time.clock_gettime(time.CLOCK_MONOTONIC)
    found = []
    for line in lines:
        stamp = _STAMP.match(line)
        if stamp is None or not _TELLS.search(line):
            continue
        if started - _SLACK <= boot + float(stamp[1]) <= ended + _SLACK:
            found.append(line)
    return tuple(found[-_MOST:])
