"""`exp status` and `exp status --watch` with 10 million points: 100 live runs, 1,000 mostly ended.

Every run has a folder, a process that lives (this one) or an end, and five criteria; in the first
workspace each gets a new step, a new loss and new verdicts once a second, as the watcher would
write them. The screen runs in a pseudo-terminal of 120 by 40; its processor time is read from
/proc. The second workspace is for `exp status` alone, beside a bare Python in turns.
"""

import os
import pty
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event, Thread

from benchmarks.synthetic import ended, fill_index, record
from benchmarks.watcher import EXP, cpu_seconds
from orchestrator.actions.overview import Board
from orchestrator.codec import encode
from orchestrator.domain.criterion import (
    Criterion,
    Evidence,
    Kind,
    Projection,
    Reading,
    State,
    Verdict,
)
from orchestrator.domain.run import Identity, Published, RunRecord
from orchestrator.fsio import try_lock
from orchestrator.procs import boot_id, pid_namespace, start_ticks
from orchestrator.store.index import Index
from orchestrator.workspace import RunFolder, Workspace

SCALARS, CRITERIA = 10, 5
LOOKS, SECONDS, WARM, ROUNDS = 20, 40, 10, 9
BUDGET, ONCE_MS = 0.02, 400
TICKET = "# T-{0:04d}: Train\n\n**Status**: {1}\n\n## Acceptance Criteria\n\n- [ ] loss < 1\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Runs of a workspace, those of them that live, and steps of each."""

    runs: int
    live: int
    steps: int


BUSY = Size(runs=100, live=100, steps=10_000)
OLD = Size(runs=1000, live=10, steps=1000)


def build(root: Path, size: Size) -> Workspace:
    """A workspace whose newest runs live; the index holds ten million points."""
    workspace = Workspace(root)
    workspace.prepare_state()
    workspace.tickets.mkdir()
    fill_index(workspace.database, runs=size.runs, steps=size.steps, scalars=SCALARS)
    claims = tuple(
        Criterion(
            key=f"loss < {n}",
            text=f"loss < {n}",
            section="",
            required=True,
            reading=Reading(kind=Kind.THRESHOLD),
        )
        for n in range(CRITERIA)
    )
    tickets = min(size.runs, 200)
    first = size.runs - size.live + 1
    ongoing = {number % tickets + 1 for number in range(first, size.runs + 1)}
    for number in range(1, tickets + 1):
        status = "ONGOING" if number in ongoing else "DONE"
        (workspace.tickets / f"T-{number:04d}.md").write_text(TICKET.format(number, status))
    with Index(workspace.database) as index:
        for number in range(1, size.runs + 1):
            facts = replace(record(number, tickets=tickets), planned_steps=2 * size.steps)
            put_files(workspace.runs / facts.id, facts, live=number >= first)
            index.put_verdicts(facts.id, claims, [verdict(0)] * CRITERIA)
    with sqlite3.connect(workspace.database) as connection:
        connection.execute(
            "UPDATE run SET status = 'running', outcome = NULL, ended = NULL WHERE id > ?",
            (f"R-{size.runs - size.live:06d}",),
        )
        for table in ("series", "stream"):
            connection.execute(
                f"UPDATE {table} SET name = 'train/loss' WHERE name = 'train/metric_0'"
            )
    return workspace


def put_files(path: Path, facts: RunRecord, *, live: bool) -> None:
    """The folder of a run that lives in this process, or has ended and is published."""
    folder = RunFolder(path)
    folder.attempt(1).path.mkdir(parents=True, exist_ok=True)
    folder.record_file.write_bytes(encode(facts))
    folder.attempt(1).process_file.write_bytes(encode(this_process()))
    if not live:
        folder.attempt(1).exit_file.write_bytes(encode(ended(1).attempt.exit))
        folder.published_file.write_bytes(encode(Published(time=facts.created + 901)))


def this_process() -> Identity:
    """What stands for the shim of every run."""
    pid = os.getpid()
    return Identity(
        pid=pid,
        start_ticks=start_ticks(pid) or 0,
        boot_id=boot_id(),
        host=socket.gethostname(),
        pid_namespace=pid_namespace(),
    )


def verdict(step: int) -> Verdict:
    """A pending one, as rich as they come."""
    evidence = Evidence(
        kind="point", text="0.5", source="attempt-1/events.jsonl", line=7, step=step
    )
    return Verdict(
        state=State.PENDING,
        final=False,
        why=f"0.5 is not < 0.1 at step {step:,} (latest), margin -0.4",
        value=0.5,
        margin=-0.4,
        evidence=evidence,
        projection=Projection(method="least squares", step=step + 900, low=step, high=step + 1800),
    )


def move(connection: sqlite3.Connection) -> None:
    """One more step everywhere, as one transaction."""
    now = time.time()
    with connection:
        connection.execute(
            "UPDATE series SET step = step + 1, max_step = max_step + 1, time = ?,"
            " value = value * 0.999",
            (now,),
        )
        connection.execute("UPDATE run SET step = step + 1")
        connection.execute("UPDATE verdict SET why = why || '.', margin = margin * 0.999")


def looks(workspace: Workspace) -> tuple[float, float]:
    """Milliseconds of processor time of a look that finds everything changed, and nothing."""
    connection = sqlite3.connect(workspace.database)
    changed, still = [], []
    with Board(workspace) as board:
        board.look()
        for _ in range(LOOKS):
            move(connection)
            for times in (changed, still):
                begun = time.thread_time()
                board.look()
                times.append(1e3 * (time.thread_time() - begun))
    connection.close()
    return statistics.median(changed), statistics.median(still)


def screen(workspace: Workspace) -> float:
    """Share of a core that the live screen takes while everything changes once a second."""
    pid, master = pty.fork()
    if pid == 0:
        os.chdir(workspace.root)
        size = {"TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"}
        os.execve(EXP[0], [*EXP, "status", "--watch"], {**os.environ, **size})
    left = Event()
    Thread(target=swallow, args=(master,), daemon=True).start()
    mover = Thread(target=keep_moving, args=(workspace, left))
    mover.start()
    time.sleep(WARM)
    before = cpu_seconds(pid)
    time.sleep(SECONDS)
    share = (cpu_seconds(pid) - before) / SECONDS
    left.set()
    mover.join()
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return share


def swallow(master: int) -> None:
    """Read what is drawn, as a terminal does."""
    with suppress(OSError):
        while os.read(master, 1 << 16):
            pass


def keep_moving(workspace: Workspace, left: Event) -> None:
    """Change everything once a second."""
    connection = sqlite3.connect(workspace.database)
    while not left.wait(1.0):
        move(connection)
    connection.close()


def once(workspace: Workspace) -> tuple[float, float]:
    """Milliseconds of a whole `exp status`, from the shell and back, and of a bare Python."""
    page, bare = [], []
    for _ in range(ROUNDS):
        page.append(wall([*EXP, "status"], workspace.root))
        bare.append(wall([sys.executable, "-c", "pass"], workspace.root))
    return statistics.median(page), statistics.median(bare)


def wall(argv: list[str], folder: Path) -> float:
    """Milliseconds that a program takes."""
    begun = time.perf_counter()
    subprocess.run(argv, cwd=folder, check=True, capture_output=True)
    return 1e3 * (time.perf_counter() - begun)


@contextmanager
def workspace_of(size: Size) -> Iterator[Workspace]:
    """A workspace for a while. No watcher comes: this program stands in for it."""
    with tempfile.TemporaryDirectory() as name:
        workspace = build(Path(name), size)
        lock = try_lock(workspace.watcher_lock)
        try:
            yield workspace
        finally:
            if lock is not None:
                os.close(lock)


def main() -> int:
    """Print the table; 1 if the screen or the page costs too much."""
    with workspace_of(BUSY) as workspace:
        changed, still = looks(workspace)
        share = screen(workspace)
        all_live, _ = once(workspace)
    with workspace_of(OLD) as workspace:
        page, bare = once(workspace)
    print(
        f"a look when all of {BUSY.live} live runs have moved  {changed:6.1f} ms of processor time"
    )
    print(f"a look when nothing has                {still:6.1f} ms")
    print(f"the live screen, all moving at 1 Hz    {share:6.1%} of a core   budget {BUDGET:.0%}")
    print(f"exp status of {BUSY.runs} live runs            {all_live:6.0f} ms of wall time")
    print(
        f"exp status of {OLD.runs:,} runs, {OLD.live} live      {page:6.0f} ms   budget {ONCE_MS}"
    )
    print(f"a bare Python                          {bare:6.0f} ms")
    return int(share > BUDGET or page > ONCE_MS)


if __name__ == "__main__":
    sys.exit(main())
