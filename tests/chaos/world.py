"""A workspace for one round, with programs that keep books of what they were promised."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

EXP = Path(sys.executable).with_name("exp")
KINDS = ("quick", "steady", "failing", "deaf", "forking")
# Writes `try N` before a point is logged and `ack N` after: each acknowledged point must be in the
# index once, and none that was never tried.
PROGRAM = """
import os, signal, sys, time
from orchestrator import track

kind, steps, pause = {kind!r}, {steps}, {pause}
if kind == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
run = track.init()
if kind == "forking" and os.fork() == 0:
    os.setsid()
rank = os.getpid()
name = f"{{os.environ['EXP_RUN_ID']}}.{{os.environ['EXP_ATTEMPT']}}.{{os.getpid()}}"
book = os.open(f"books/{{name}}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
for step in range(1, steps + 1):
    os.write(book, b"try %d\\n" % step)
    run.log({{"train/loss": 1 / step, "rows": step}}, step=step)
    os.write(book, b"ack %d\\n" % step)
    print("step", step, flush=True)
    if step % 10 == 0 and kind != "forking":
        folder = run.checkpoint_dir(step)
        (folder / "weights").write_bytes(b"w" * 1000)
        run.checkpoint(folder, step)
    if kind != "deaf" and run.should_stop():
        break
    time.sleep(pause)
run.finish()
sys.exit(3 if kind == "failing" else 0)
"""
EVALUATE = """
from orchestrator import track
run = track.init()
run.log({"eval/acc": 0.75}, step=1000)
run.finish()
"""
SPEC = """
[train]
command = ["{{python}}", "experiments/{name}.py"]

[evaluate]
command = ["{{python}}", "experiments/evaluate.py"]

[stop]
grace = {grace}

[retry]
attempts = {attempts}
backoff = 0.1
"""
TICKET = """# {id}: Ticket of kind {kind}

**Status**: READY
**Phase**: —
**After**: —
**Before**: —
**Experiment**: experiments/{name}.toml

## Context

Words of a person, with trailing spaces   \r
and a line without a meaning: ☃.

## Acceptance Criteria

- [ ] train/loss < 0.05
- [ ] eval/acc > 70%
- [ ] No NaN
- [ ] Somebody likes it

## Evidence

## Obstacles

## Outcome
"""


@dataclass
class World:
    """One workspace in one repository, driven by real processes only."""

    root: Path
    kinds: list[str]
    began: float = field(default_factory=time.monotonic)
    history: list[str] = field(default_factory=list)
    commands: list[subprocess.Popen] = field(default_factory=list)
    before: str = ""

    def note(self, text: str) -> None:
        """Remember what was done when, for whoever reads of a failure."""
        self.history.append(f"{time.monotonic() - self.began:7.3f}  {text}")

    def git(self, *words: str) -> str:
        """Run git; it must succeed."""
        argv = ["git", "-c", "core.quotePath=false", *words]
        done = subprocess.run(argv, cwd=self.root, capture_output=True, check=True)
        return done.stdout.decode()

    def exp(self, *words: str) -> subprocess.Popen:
        """Start a command of a user and do not wait."""
        self.note("exp " + " ".join(words))
        with (self.root / "said.txt").open("ab") as said:
            process = subprocess.Popen(
                [EXP, *words],
                cwd=self.root,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        self.commands.append(process)
        return process

    def ticket(self, number: int) -> Path:
        """A ticket's file."""
        return self.root / "tickets" / f"T-{number:04d}.md"

    def runs(self) -> list[Path]:
        """Folders of runs that were launched."""
        return sorted(file.parent for file in self.root.glob(".exp/runs/R-*/run.json"))


def build(root: Path, rng: random.Random) -> World:
    """Make a workspace of one to three tickets, with work of a person lying around in git."""
    root.mkdir(parents=True)
    kinds = [rng.choice(KINDS) for _ in range(rng.choice([1, 1, 2, 3]))]
    world = World(root=root, kinds=kinds)
    for folder in ("tickets", "experiments", "books"):
        (root / folder).mkdir()
    (root / ".gitignore").write_text("/books/\n/said.txt\n__pycache__/\n")
    (root / "experiments/evaluate.py").write_text(EVALUATE)
    for number, kind in enumerate(kinds, 1):
        name = f"{kind}{number}"
        steps, pause = (10, 0.0) if kind == "quick" else (rng.randint(20, 60), 0.03)
        program = PROGRAM.format(kind=kind, steps=steps, pause=pause)
        (root / f"experiments/{name}.py").write_text(program)
        (root / f"experiments/{name}.toml").write_text(
            SPEC.format(name=name, grace=0.5, attempts=rng.choice([1, 1, 3]))
        )
        text = TICKET.format(id=f"T-{number:04d}", kind=kind, name=name)
        world.ticket(number).write_bytes(text.encode())
    (root / "notes.txt").write_text("one\n")
    world.git("init", "--quiet", "--initial-branch=main")
    world.git("config", "user.name", "Ada")
    world.git("config", "user.email", "ada@example.org")
    world.git("add", "--all")
    world.git("commit", "--quiet", "--message", "work")
    (root / "notes.txt").write_text("two\n")
    world.git("add", "notes.txt")
    (root / "notes.txt").write_text("three\n")
    (root / "unknown.txt").write_text("untracked\n")
    world.before = world.git("status", "--porcelain")
    return world


def processes(root: Path) -> dict[str, list[int]]:
    """Live processes of a workspace by what they are: watcher, shim, training, command, other."""
    found: dict[str, list[int]] = {}
    place = os.fsencode(root)
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            argv, variables = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
            bears = b"EXP_RUN_DIR=" + place in variables
            if not bears and place not in argv and not _is_in(folder, root):
                continue
            state = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[0]
            if state not in "ZX":
                found.setdefault(_role(argv, bears=bears), []).append(int(folder.name))
    return found


def _is_in(folder: Path, root: Path) -> bool:
    return (folder / "cwd").readlink() == root


def _role(argv: bytes, *, bears: bool) -> str:
    if b"orchestrator.watch" in argv:
        return "watcher"
    if b"shim.py" in argv:
        return "shim"
    if bears:
        return "training"
    return "command" if b"/exp\0" in argv else "other"


def strike(world: World, role: str, number: int) -> None:
    """Send a signal to every process of a role."""
    pids = processes(world.root).get(role, [])
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
    world.note(f"{signal.Signals(number).name} to {role} {pids}")


def wake(world: World) -> None:
    """Let everything go on that was stopped."""
    for pids in processes(world.root).values():
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def clear(world: World) -> None:
    """End whatever a round that failed left behind."""
    for _ in range(3):
        for pids in processes(world.root).values():
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
    for process in world.commands:
        process.wait()
