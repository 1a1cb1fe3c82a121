"""The index: ingest, latest values, histories, `exp status`'s questions (DESIGN, budgets)."""

import sqlite3
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.synthetic import event_lines, fill_index, rows_of, run_folder
from orchestrator.domain.run import RunStatus
from orchestrator.store import Reader
from orchestrator.store.index import Index

ROUNDS = 5
INGEST_BUDGET = 300_000  # points/s of one core
RUNS, STEPS, SCALARS = 1_000, 1_000, 10
LONG = 100_000
BUDGETS_MS = {"latest": 20.0, "history": 60.0}

_BARE = """CREATE TABLE point (stream INTEGER, line INTEGER, segment INTEGER, step INTEGER,
    time REAL, value REAL, PRIMARY KEY (stream, line)) WITHOUT ROWID"""


def ingest_rate(folder: Path, scalars: int, points: int = 200_000) -> tuple[float, float]:
    """Points per second of processor time: ours from the file, and bare inserts of its rows."""
    text = event_lines(points // scalars, scalars)
    rows = rows_of(text)
    ours, bare = [], []
    for number in range(1, ROUNDS + 1):
        place = folder / f"{scalars}-{number}"
        run = run_folder(place, 1, text)
        with Index(place / "exp.db") as index:
            begin = time.process_time()
            taken = index.ingest(run).points
            ours.append(taken / (time.process_time() - begin))
        assert taken == len(rows)
        bare.append(len(rows) / bare_insert(place / "bare.db", rows))
    return median(ours), median(bare)


def bare_insert(path: Path, rows: list[tuple]) -> float:
    """Processor seconds to put the same rows into the same table, with nothing read or checked."""
    keys = {name: place << 40 for place, name in enumerate(dict.fromkeys(row[0] for row in rows))}
    ready = sorted((keys[name], line, 0, step, at, v) for name, line, step, at, v in rows)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(_BARE)
    begin = time.process_time()
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO point VALUES (?, ?, ?, ?, ?, ?)", ready)
    connection.execute("COMMIT")
    spent = time.process_time() - begin
    connection.close()
    return spent


def milliseconds(*works) -> list[float]:
    """Medians of several functions measured in turns, so that a busy moment hits them all.

    Of processor time: the pages are in memory, so on an idle machine it is the time waited.
    """
    spent = [[] for _ in works]
    for _ in range(2 * ROUNDS + 1):
        for place, work in enumerate(works):
            begin = time.process_time()
            result = work()
            spent[place].append(1000 * (time.process_time() - begin))
            del result
    return [median(times) for times in spent]


def queries(folder: Path) -> list[tuple[str, float, float | None, float | None]]:
    """(question, ours, bare SQLite, budget), in ms, at 1,000 runs and 10 million points."""
    path = folder / "exp.db"
    points = fill_index(path, runs=RUNS, steps=STEPS, scalars=SCALARS)
    assert points == RUNS * STEPS * SCALARS
    with Index(path) as index:
        index.ingest(run_folder(folder / "long", RUNS + 1, event_lines(LONG, 1)))
    size = path.stat().st_size / 1e6
    print(f"index of {RUNS:,} runs and {points / 1e6:.0f} million points: {size:.0f} MB\n")
    runs = [f"R-{number:06d}" for number in range(1, RUNS + 1)]
    long = f"R-{RUNS + 1:06d}"
    bare = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    (stream,) = bare.execute("SELECT id FROM stream WHERE run = ?", (long,)).fetchone()
    curve = "SELECT step, value, time FROM point WHERE stream = ? ORDER BY line"
    last = "SELECT run, name, step, value, time FROM series"
    with Reader(path) as reader:
        latest = milliseconds(lambda: reader.latest(runs), lambda: bare.execute(last).fetchall())
        history = milliseconds(
            lambda: reader.history(long, "train/metric_0"),
            lambda: bare.execute(curve, (stream,)).fetchall(),
        )
        thinned, listed, ended, opened = milliseconds(
            lambda: reader.sketch(long, "train/metric_0", 1000),
            reader.runs,
            lambda: reader.runs(ticket="T-0017", status=RunStatus.ENDED),
            lambda: status(path),
        )
    bare.close()
    return [
        (f"latest values of {RUNS:,} runs x {SCALARS} metrics", *latest, BUDGETS_MS["latest"]),
        (f"history of {LONG:,} points", *history, BUDGETS_MS["history"]),
        ("the same thinned to 1,000 points", thinned, None, None),
        (f"all {RUNS:,} runs", listed, None, None),
        ("ended runs of one ticket", ended, None, None),
        ("open, all runs, latest values of each (status)", opened, None, None),
    ]


def status(path: Path) -> object:
    """What `exp status` asks, from a closed database."""
    with Reader(path) as reader:
        return reader.latest([row.id for row in reader.runs()])


def main() -> int:
    """Print the tables; 1 if a budget was missed."""
    missed = False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print("| ingest | points/s | bare executemany of the same rows | ratio | budget |")
        print("|---|---|---|---|---|")
        for scalars in (1, 5):
            ours, bare = ingest_rate(folder, scalars)
            missed |= ours < INGEST_BUDGET
            print(
                f"| {scalars} scalar{'s' * (scalars > 1)} a line | {ours:,.0f} | {bare:,.0f} "
                f"| {bare / ours:.2f} | ≥ {INGEST_BUDGET:,} |"
            )
        print("\nprocessor time, here and below; ingest reads and parses too\n")
        begin = time.perf_counter()
        rows = queries(folder)
        print("| question | ms | bare SQLite, ms | budget, ms |")
        print("|---|---|---|---|")
        for question, ours, bare, budget in rows:
            missed |= budget is not None and ours > budget
            limits = [f"{value:.1f}" if value is not None else "" for value in (bare, budget)]
            print(f"| {question} | {ours:.1f} | {limits[0]} | {limits[1]} |")
        print(f"\nmade and asked in {time.perf_counter() - begin:.0f} s")
    return int(missed)


if __name__ == "__main__":
    raise SystemExit(main())
