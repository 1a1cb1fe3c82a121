"""Where the programs of a run stand, by py-spy if it is installed: evidence of a hang.

`python -m orchestrator.watch.stacks TARGET SHIM_PID` does it, beside the watcher.
"""

import shutil
import subprocess
import sys
import time
from pathlib import Path

from orchestrator.fsio import write_atomic
from orchestrator.workspace import AttemptFolder

_DEADLINE = 10.0  # seconds a process
_MOST = 16  # processes


def start_dump(
    attempt: AttemptFolder, shim_pid: int
) -> tuple[Path, "subprocess.Popen[bytes]"] | None:
    """Start to write the stacks of an attempt's processes to a file; None without py-spy."""
    if shutil.which("py-spy") is None:
        return None
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    target = attempt.path / f"stacks-{stamp}.txt"
    command = [sys.executable, "-m", "orchestrator.watch.stacks", str(target), str(shim_pid)]
    return target, subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
    )


def dump(pid: int) -> str:
    """What py-spy says of one process. It reads memory without pausing anybody."""
    try:
        done = subprocess.run(
            ["py-spy", "dump", "--nonblocking", "--pid", str(pid)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_DEADLINE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{error}\n"
    return (done.stdout + done.stderr).decode(errors="replace")


def main(target: Path, shim_pid: int) -> int:
    """Dump every Python process below a shim into one file."""
    import psutil  # noqa: PLC0415 - this module is imported by the watcher, which does not need it

    try:
        children = psutil.Process(shim_pid).children(recursive=True)
        found = [child for child in children if "python" in child.name()][:_MOST]
        parts = [f"# {' '.join(child.cmdline())}\n{dump(child.pid)}" for child in found]
    except psutil.Error as error:
        parts = [f"{error}\n"]
    write_atomic(target, "\n".join(parts).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
