"""The tiny parent of a run's programs: `python -I shim.py RUN_DIR ATTEMPT_NUMBER`.

Starts the commands of request.json in order, forwards signals, leaves nobody behind, writes one
exit.json. Imports nothing of ours; signals are blocked and taken one by one, without handlers.
"""

import ctypes
import fcntl
import json
import os
import re
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

FORWARDED = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2}
TAKEN = FORWARDED | {signal.SIGCHLD}
RESERVED = 16_384  # bytes set aside for exit.json; more than any exit record
SETTLE = 0.5  # seconds in which workers may end by themselves after their launcher
LAST_WAIT = 5.0  # seconds for SIGTERM, and again for SIGKILL, to end what was left behind
LOOK = 0.05  # seconds between looks at processes that are not our children
OURS = {"EXP_RUN_ID", "EXP_RUN_DIR", "EXP_ATTEMPT", "EXP_ATTEMPT_DIR", "EXP_CONFIG", "EXP_PHASE"}


def stat_of(pid: int) -> tuple[int, int] | None:
    """Parent and start ticks of a live process; None for a zombie or a dead one."""
    with suppress(OSError):  # a program may name itself anything, bytes and parentheses included
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        state, parent, *rest = text.rpartition(")")[2].split()
        # A process whose first thread has ended shows as a zombie while others go on.
        return None if state in "ZX" and int(rest[15]) < 2 else (int(parent), int(rest[17]))
    return None


def members(run: str) -> set[tuple[int, int]]:
    """(pid, start ticks) of a run's live processes: our descendants, and bearers of EXP_RUN_DIR."""
    found, above = set(), [os.getpid()]
    pids = map(int, filter(str.isdecimal, os.listdir("/proc")))  # noqa: PTH208 - names
    stats = {pid: stat for pid in pids if (stat := stat_of(pid)) is not None}
    while above[-1] in stats:
        above.append(stats[above[-1]][0])
    for pid, (parent, ticks) in stats.items():
        while parent in stats and parent != above[0]:
            parent = stats[parent][0]  # noqa: PLW2901 - climb towards the root
        variables = b""
        with suppress(OSError):
            variables = b"\0" + Path(f"/proc/{pid}/environ").read_bytes()
        bears = re.findall(rb"\0EXP_RUN_DIR=([^\0]*)", variables)  # of another run: its shim's
        if pid not in above and (bears[0] == os.fsencode(run) if bears else parent == above[0]):
            found.add((pid, ticks))
    return found


def send(pid: int, ticks: int, number: int) -> None:
    """Signal a process through a pidfd, unless its pid belongs to somebody else by now."""
    with suppress(OSError), open(os.pidfd_open(pid), "rb", buffering=0) as process:  # noqa: PTH123
        if (stat_of(pid) or (0, 0))[1] == ticks:
            signal.pidfd_send_signal(process.fileno(), number)


def oom_kills() -> int | None:
    """How often the kernel killed in our control group for want of memory; None if not told."""
    with suppress(OSError, ValueError, IndexError):
        groups = Path("/proc/self/cgroup").read_text()  # only in version 1 they have names
        name, group = re.findall("^\\d+:(memory|):/(.*)$", groups, re.MULTILINE)[0]
        file = Path("/sys/fs/cgroup", name, group, f"memory.{'oom_control' if name else 'events'}")
        words = file.read_text().split()
        return int(words[words.index("oom_kill") + 1])
    return None


def publish(path: Path, spare: Path, value: dict[str, Any]) -> None:
    """Create `path` whole, through the blocks of `spare`; FileExistsError if somebody was first."""
    with os.fdopen(os.open(spare, os.O_WRONLY | os.O_CREAT, 0o666), "wb") as file:
        file.write((json.dumps(value, indent=2) + "\n").encode())
        file.truncate()
        os.fsync(file.fileno())
    os.link(spare, path)
    spare.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def spawn(argv: list[str], variables: dict[str, str], output: int) -> int:
    """Start a program in a session of its own, stdin closed; raises OSError if it cannot."""
    stdin = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
    actions = (stdin, *((os.POSIX_SPAWN_DUP2, output, number) for number in (1, 2)))
    reset = {*TAKEN, signal.SIGQUIT, signal.SIGPIPE, signal.SIGXFSZ}  # Python and nohup ignore some
    return os.posix_spawnp(
        argv[0], argv, variables, file_actions=actions, setsid=True, setsigmask=(), setsigdef=reset
    )


class Attempt:
    """One attempt of a run, from its first command to its exit record."""

    def __init__(self, run: Path, number: int, record: dict[str, Any]) -> None:
        self.run, self.folder, self.cwd = str(run), run / f"attempt-{number}", record["cwd"]
        self.spare = self.folder / f".exit.json.{os.getpid()}.tmp"
        self.commands = [(command["phase"], command["argv"]) for command in record["commands"]]
        self.grace, self.started, self.ooms = float(record["grace"]), time.time(), oom_kills()
        self.phases: list[dict[str, Any]] = []
        self.error: str | None = None
        self.taken = set(TAKEN)
        self.kill_at: float | None = None  # monotonic; set by the first SIGTERM
        self.max_rss: int | None = None
        self.ended: dict[int, int] = {}  # pid → wait status

    def claim(self) -> None:
        """Set the bytes of exit.json aside, write proc.json; OSError if another shim did so."""
        with self.spare.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, RESERVED)
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        pid, space = os.getpid(), Path("/proc/self/ns/pid").stat().st_ino
        own: dict[str, Any] = {"boot_id": boot, "host": os.uname().nodename, "pid_namespace": space}
        own |= {"pid": pid, "start_ticks": (stat_of(pid) or (0, 0))[1]}
        publish(self.folder / "proc.json", self.folder / f".proc.json.{pid}.tmp", own)

    def run_commands(self) -> None:
        """Start the commands in order until one fails or a stop is asked for."""
        log = os.open(self.folder / "out.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        for phase, argv in self.commands:
            stopped = self.kill_at is not None or signal.SIGTERM in signal.sigpending()
            if stopped or not self.run_command(phase, argv, log):
                return

    def run_command(self, phase: str, argv: list[str], log: int) -> bool:
        """Run one command to its end; say whether it ended with code 0."""
        started = time.time()
        self.note(phase=phase, state="begin", argv=argv)
        try:
            os.chdir(self.cwd)
            code = self.wait(spawn(argv, os.environ | {"EXP_PHASE": phase}, log))
        except (OSError, ValueError) as error:
            code = 127 if isinstance(error, FileNotFoundError) else 126
            self.error = f"cannot start {argv[0]!r}: {error}"
        died = code is not None and code < 0
        ended = {"code": None, "signal": -(code or 0)} if died else {"code": code, "signal": None}
        self.phases.append({"phase": phase, **ended, "started": started, "ended": time.time()})
        self.note(phase=phase, state="end", argv=argv, **ended)
        return code == 0

    def wait(self, pid: int) -> int | None:
        """Wait for our child, forwarding signals; returns its code, or -N if signal N ended it."""
        while (status := self.reap(pid)) is None:
            left = 3600.0 if self.kill_at is None else self.kill_at - time.monotonic()
            if left <= 0 and self.sweep(LAST_WAIT, signal.SIGKILL) and self.reap(pid) is None:
                self.error = f"process {pid} could not be killed"
                return None
            number = getattr(signal.sigtimedwait(self.taken, max(left, 0)), "si_signo", 0)
            if number in FORWARDED:
                os.kill(pid, number)  # our child, not reaped yet: the pid is still its own
            if number == signal.SIGTERM:
                os.kill(pid, signal.SIGCONT)  # if somebody has stopped it, it cannot save
                self.kill_at = time.monotonic() + self.grace
                self.taken.remove(signal.SIGTERM)  # a second one would interrupt the saving
        return os.waitstatus_to_exitcode(status)

    def reap(self, pid: int) -> int | None:
        """Collect every child that ended, adopted ones too; returns the wait status of `pid`."""
        with suppress(ChildProcessError):
            while (child := os.wait4(-1, os.WNOHANG))[0]:
                self.ended[child[0]] = child[1]
                self.max_rss = max(self.max_rss or 0, child[2].ru_maxrss * 1024)
        return self.ended.get(pid)

    def sweep(self, seconds: float, number: int) -> set[tuple[int, int]]:
        """Signal each process of the run once, until none is left or time is up; returns them."""
        deadline, told = time.monotonic() + seconds, set[tuple[int, int]]()
        while alive := members(self.run):
            for pid, ticks in alive - told:
                send(pid, ticks, number)
            told |= alive
            if time.monotonic() >= deadline:
                break
            signal.sigtimedwait(TAKEN, LOOK)
            self.reap(0)
        return told

    def finish(self) -> dict[str, Any]:
        """End what outlived the commands and write exit.json; returns its content."""
        self.sweep(SETTLE, 0)
        rest = 0.0 if self.kill_at is None else self.kill_at - time.monotonic()
        left = self.sweep(max(rest, min(self.grace, LAST_WAIT)), signal.SIGTERM)
        left |= self.sweep(LAST_WAIT, signal.SIGKILL)
        self.error = self.error or (None if self.phases else "stopped before the first command")
        never = {"code": None, "signal": int(signal.SIGTERM)}
        last, ooms = [never, *self.phases][-1], oom_kills()
        record = {key: last[key] for key in never} | {
            "started": self.started,
            "ended": time.time(),
            "recorded_by": "shim",
            "max_rss": self.max_rss,
            "oom_kill": None if ooms is None or self.ooms is None else ooms - self.ooms,
            "leftovers": len(left),
            "survivors": len(members(self.run)),
            "error": self.error,
            "phases": self.phases,
        }
        publish(self.folder / "exit.json", self.spare, record)
        return record

    def note(self, **data: Any) -> None:
        """Append a `process` event; a full disk must not stop the run."""
        line = {"event": "process", "time": time.time(), "step": None, "data": data}
        name = f"events-{os.uname().nodename}-shim-{os.getpid()}.jsonl"
        with suppress(OSError), (self.folder / name).open("ab", buffering=0) as file:
            file.write((json.dumps(line) + "\n").encode())


def wake_watcher(state: Path, argv: list[str], variables: dict[str, str]) -> None:
    """Run the `on_exit` command unless somebody holds the lock; it is no part of the run."""
    with suppress(OSError), (state / "watcher.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(lock, fcntl.LOCK_UN)  # free again before it starts, for it wants the lock
        os.chdir("/")  # Python would import the modules of the folder it is started in
        spawn(argv, variables, os.open(os.devnull, os.O_WRONLY))


def main(run: Path, number: int) -> int:
    """Run the attempt; returns the code of its last command, 128 + N if signal N ended it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, TAKEN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - locks held for us stay with us
        with suppress(OSError):
            os.set_inheritable(int(name), int(name) <= 2)
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: orphans become our children
    record = json.loads((run / "run.json").read_bytes())
    request = json.loads((run / f"attempt-{number}" / "request.json").read_bytes())
    attempt = Attempt(run, number, record | request)
    attempt.claim()
    try:
        attempt.run_commands()
    except Exception as error:  # noqa: BLE001 - whatever goes wrong belongs into the exit record
        attempt.error = f"{type(error).__name__}: {error}"
    last = attempt.finish()
    if record.get("on_exit"):
        hidden = {*OURS, *record.get("env", ()), *request.get("env", ())}  # of this run alone
        kept = {name: text for name, text in os.environ.items() if name not in hidden}
        wake_watcher(run.parent.parent, record["on_exit"], kept | record.get("environment", {}))
    return int(last["code"] if last["code"] is not None else 128 + (last["signal"] or 0))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute(), int(sys.argv[2])))
