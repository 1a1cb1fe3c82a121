"""`exp report` of a run with 10 million points, cold: the command as a person starts it."""

import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from benchmarks.synthetic import ended, event_lines, record
from benchmarks.watcher import EXP
from orchestrator.codec import encode
from orchestrator.store.index import Index
from orchestrator.watch.reporting import report_facts
from orchestrator.workspace import RunFolder, Workspace

POINTS, SCALARS = 10_000_000, (10, 100)
REPEATED = 10  # the steps of one ingested file, so many times over
TIMES, BUDGET = 5, 2.0
TICKET = "# T-0001: Train\n\n**Status**: ONGOING\n\n## Acceptance Criteria\n\n- [ ] loss < 1\n"


def build(root: Path, scalars: int) -> Workspace:
    """A workspace with one ended run of ten million points."""
    workspace = Workspace(root)
    workspace.prepare_state()
    workspace.tickets.mkdir()
    (workspace.tickets / "T-0001.md").write_text(TICKET)
    steps = POINTS // scalars
    facts, state = replace(record(1, tickets=1), planned_steps=steps), ended(1)
    folder = RunFolder(workspace.runs / facts.id)
    attempt = folder.attempt(1)
    attempt.path.mkdir(parents=True)
    folder.record_file.write_bytes(encode(facts))
    attempt.exit_file.write_bytes(encode(state.attempt.exit))
    (attempt.path / "events-box-0-1.jsonl").write_text(event_lines(steps // REPEATED, scalars))
    with Index(workspace.database) as index:
        index.put_run(facts, state)
        index.ingest(folder)
    lengthen(workspace.database, steps // REPEATED)
    return workspace


def lengthen(database: Path, base: int) -> None:
    """The points of `base` steps again and again behind themselves, as a longer file gives them."""
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA synchronous = OFF")
    with connection:
        for again in range(1, REPEATED):
            shift = {"base": base, "lines": again * base, "seconds": again * base * 0.731}
            connection.execute(
                """INSERT INTO point SELECT stream, line + :lines, segment, step + :lines,
                time + :seconds, value FROM point WHERE line <= :base""",
                shift,
            )
        last = {"times": REPEATED, "more": (REPEATED - 1) * base}
        grown = """count = count * :times, max_step = max_step + :more, step = step + :more,
            time = time + :more * 0.731"""
        connection.execute(f"UPDATE stream SET {grown}, line = line + :more", last)
        connection.execute(f"UPDATE series SET {grown}", last)
    (count,) = connection.execute("SELECT sum(count) FROM series").fetchone()
    connection.close()
    assert count == POINTS


def cold(workspace: Workspace) -> tuple[float, float]:
    """Seconds of one `exp report` from its start to its end, and of processor time."""
    used = sum(os.times()[2:4])
    begun = time.perf_counter()
    done = subprocess.run(
        [*EXP, "report", "T-0001"], cwd=workspace.root, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return time.perf_counter() - begun, sum(os.times()[2:4]) - used


def gathered(workspace: Workspace) -> float:
    """Seconds of processor time to gather the facts alone."""
    begun = time.process_time()
    report_facts(workspace, "T-0001", now=time.time())
    return time.process_time() - begun


def main() -> int:
    """Print seconds; 1 if the budget was missed."""
    missed = False
    for scalars in SCALARS:
        with tempfile.TemporaryDirectory() as root:
            workspace = build(Path(root), scalars)
            cold(workspace)
            taken = [cold(workspace) for _ in range(TIMES)]
            seconds, busy = (statistics.median(column) for column in zip(*taken, strict=True))
            facts = statistics.median(gathered(workspace) for _ in range(TIMES))
        missed |= seconds > BUDGET
        print(
            f"{POINTS / 1e6:.0f} million points in {scalars} series: exp report {seconds:.2f} s"
            f" (limit {BUDGET:g} s), {busy:.2f} s of processor time, {facts:.2f} s of it for facts"
        )
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
