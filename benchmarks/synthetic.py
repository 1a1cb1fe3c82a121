"""Run folders and indexes of any size, made up but shaped like real ones."""

import json
import random
import sqlite3
from itertools import chain
from pathlib import Path

from orchestrator.domain.run import (
    AttemptState,
    Command,
    ExitRecord,
    Outcome,
    Phase,
    RunRecord,
    RunState,
    RunStatus,
    TicketRef,
)
from orchestrator.store.index import Index
from orchestrator.workspace import RunFolder

START = 1_763_699_999.0  # seconds since the epoch


def event_lines(steps: int, scalars: int) -> str:
    """A file of `steps` lines with `scalars` metrics each, as `track.log` writes them."""
    dice = random.Random(steps * 1000 + scalars)
    lines = []
    for step in range(1, steps + 1):
        metrics = {f"train/metric_{number}": dice.random() for number in range(scalars)}
        record = {"step": step, "time": START + step * 0.731, "metrics": metrics}
        lines.append(json.dumps(record, separators=(",", ":")))
    return "\n".join(lines) + "\n"


def run_folder(root: Path, number: int, text: str) -> RunFolder:
    """A run folder with one attempt and one event file."""
    folder = RunFolder(root / f"R-{number:06d}")
    attempt = folder.attempt(1)
    attempt.path.mkdir(parents=True)
    (attempt.path / "events-box-0-4711.jsonl").write_text(text)
    return folder


def record(number: int, *, tickets: int = 200) -> RunRecord:
    """run.json of an ended run of one of `tickets` tickets."""
    ticket = f"T-{number % tickets + 1:04d}"
    return RunRecord(
        id=f"R-{number:06d}",
        created=START + number,
        host="box",
        cwd="/somewhere",
        commands=(Command(phase=Phase.TRAIN, argv=("python", "train.py")),),
        ticket=TicketRef(id=ticket, path=f"tickets/{ticket}.md", title="Train", blob="0" * 40),
        params={"lr": 1e-4, "batch": 768, "seed": number},
        planned_steps=1000,
    )


def ended(number: int) -> RunState:
    """The state of a run that went as intended."""
    gone = ExitRecord(
        code=0, signal=None, started=START + number, ended=START + number + 900, recorded_by="shim"
    )
    attempt = AttemptState(number=1, started=START + number, exit=gone)
    return RunState(
        status=RunStatus.ENDED, outcome=Outcome.COMPLETED, attempt=attempt, why="as intended"
    )


def fill_index(path: Path, *, runs: int, steps: int, scalars: int) -> int:
    """An index of `runs` ended runs with `steps` lines of `scalars` metrics; returns its points.

    One run is ingested from a real file; the rows of the others are its rows under other keys,
    which is what ingesting would give and takes a third of the time.
    """
    with Index(path) as index:
        text = event_lines(steps, scalars)
        for number in range(1, runs + 1):
            index.put_run(record(number), ended(number))
        folder = run_folder(path.parent / "runs", 1, text)
        index.ingest(folder)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -262144")
    streams = connection.execute("SELECT * FROM stream").fetchall()
    points = {
        stream[0]: connection.execute(
            "SELECT line, segment, step, time, value FROM point WHERE stream = ?", (stream[0],)
        ).fetchall()
        for stream in streams
    }
    for begin in range(2, runs + 1, 50):
        connection.execute("BEGIN")
        for number in range(begin, min(begin + 50, runs + 1)):
            _copy_run(connection, number, streams, points)
        connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (count,) = connection.execute("SELECT sum(count) FROM series").fetchone()
    connection.close()
    return count


def _copy_run(connection, number, streams, points):
    """Copies of run 1 with keys that rise with the number, so that pages fill in order."""
    run = f"R-{number:06d}"
    source = number << 40
    connection.execute(
        """INSERT INTO source SELECT ?, ?, path, attempt, "offset", line, broken, broken_lines,
        tail, segment, step, memory FROM source WHERE run = 'R-000001'""",
        (source, run),
    )
    for place, stream in enumerate(streams):
        key = source + place
        values = (key, source, run, *stream[3:])
        connection.execute(f"INSERT INTO stream VALUES ({', '.join('?' * len(values))})", values)
        rows = ((key, *row) for row in points[stream[0]])
        connection.executemany("INSERT INTO point VALUES (?, ?, ?, ?, ?, ?)", rows)
    connection.execute(
        """INSERT INTO series SELECT ?, name, count, nonfinite, low, high, max_step, step, time,
        value FROM series WHERE run = 'R-000001'""",
        (run,),
    )


def rows_of(text: str) -> list[tuple]:
    """What a bare program would insert for a file: name, line, step, time, value."""
    lines = enumerate(map(json.loads, text.splitlines()), 1)
    return list(
        chain.from_iterable(
            [
                (name, number, line["step"], line["time"], value)
                for name, value in line["metrics"].items()
            ]
            for number, line in lines
        )
    )
