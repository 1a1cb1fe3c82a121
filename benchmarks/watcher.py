"""What the watcher costs with 20 live runs, and how late it sees a crash and a verdict.

Real runs of a program that logs five values twice a second; processor time of the watcher from
/proc, over half a minute.
"""

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS, SECONDS, CRASHES = 20, 30, 5
BUDGET = 0.01  # of a core
EXP = [sys.executable, "-c", "from orchestrator.cli import main; main()"]
PROGRAM = """
import time
from orchestrator import track
run = track.init()
step = 0
while not run.should_stop():
    step += 1
    run.log({name: 1 / step for name in "abcde"}, step=step)
    time.sleep(0.5)
run.finish()
"""
TICKET = """# T-{0:04d}: One of many

**Status**: READY
**Phase**: —
**Experiment**: experiments/a.toml

## Acceptance Criteria

- [ ] a < 0.001
- [ ] No NaN
"""


def cpu_seconds(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def watcher_of(root: Path) -> int:
    """Pid of the workspace's watcher."""
    for folder in Path("/proc").glob("[0-9]*"):
        words = (folder / "cmdline").read_bytes().split(b"\0")
        if b"orchestrator.watch" in words and os.fsencode(root) in words:
            return int(folder.name)
    raise SystemExit("no watcher")


def delay_of_crash(root: Path, number: int) -> float:
    """Seconds from the death of a training program to published.json."""
    run = root / f".exp/runs/R-{number:06d}"
    shim = json.loads((run / "attempt-1/proc.json").read_text())["pid"]
    child = Path(f"/proc/{shim}/task/{shim}/children").read_text().split()[0]
    os.kill(int(child), signal.SIGKILL)
    begun = time.monotonic()
    while not (run / "published.json").exists():
        time.sleep(0.01)
    return time.monotonic() - begun


def main() -> int:
    """Print the table; 1 if the watcher costs too much."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        root = Path(name)
        (root / "tickets").mkdir()
        (root / "experiments").mkdir()
        (root / "experiments/a.py").write_text(PROGRAM)
        spec = '[train]\ncommand = ["{python}", "experiments/a.py"]\n'
        (root / "experiments/a.toml").write_text(spec)
        for number in range(1, RUNS + 1):
            (root / f"tickets/T-{number:04d}.md").write_text(TICKET.format(number))
            subprocess.run(
                [*EXP, "ticket", "start", str(number)], cwd=root, check=True, capture_output=True
            )
        watcher = watcher_of(root)
        before = cpu_seconds(watcher)
        time.sleep(SECONDS)
        share = (cpu_seconds(watcher) - before) / SECONDS
        print(
            f"watcher with {RUNS} live runs that log: {share:.1%} of a core   budget {BUDGET:.0%}"
        )
        delays = [delay_of_crash(root, number) for number in range(1, CRASHES + 1)]
        print(
            f"crash to ticket, report and published.json: median {statistics.median(delays):.2f} s,"
            f" longest {max(delays):.2f} s   budget to notice 2 s"
        )
        subprocess.run([*EXP, "run", "stop", "--all"], cwd=root, check=False, capture_output=True)
    return int(share > BUDGET)


if __name__ == "__main__":
    sys.exit(main())
