"""`track.log` against a bare `json.dumps` + unbuffered write of the same bytes, side by side."""

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from orchestrator.track.place import Place, Ranks
from orchestrator.track.session import Run

ROUNDS = 7
CALLS = 5_000
BUDGET = 1.5  # times the bare write, for 5 scalars


def scalars(count: int) -> dict[str, float]:
    """Values with full mantissas, as losses have them."""
    return {f"train/metric_{number}": 1 / (3 + number) for number in range(count)}


def bare(folder: Path, data: dict[str, float]) -> Callable[[int], None]:
    """The least that a program could do to have its points in the kernel."""
    descriptor = os.open(folder / "bare.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def write(step: int) -> None:
        record = {"step": step, "time": time.time(), "metrics": data}
        os.write(descriptor, (json.dumps(record, separators=(",", ":")) + "\n").encode())

    return write


def ours(folder: Path, data: dict[str, float]) -> Callable[[int], None]:
    """The product."""
    place = Place(folder, 1, folder)
    run = Run(place, Ranks(0, 1), {})

    def write(step: int) -> None:
        run.log(data, step)

    return write


def timed(write: Callable[[int], None]) -> list[int]:
    """Nanoseconds of each call."""
    times = []
    clock = time.perf_counter_ns
    for step in range(CALLS):
        begun = clock()
        write(step)
        times.append(clock() - begun)
    return times


def measure(count: int) -> dict[str, float]:
    """Median and p99 in µs of both, in turns so that noise falls on both alike."""
    data = scalars(count)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        writers = {"bare": bare(folder, data), "log": ours(folder, data)}
        times: dict[str, list[int]] = {key: [] for key in writers}
        for _ in range(ROUNDS):
            for key, write in writers.items():
                times[key] += timed(write)
        sizes = [file.stat().st_size for file in folder.glob("*.jsonl")]
        assert max(sizes) - min(sizes) < 0.02 * max(sizes), "not the same bytes"  # times differ
    result = {}
    for key, values in times.items():
        result[key] = statistics.median(values) / 1e3
        result[f"{key} p99"] = statistics.quantiles(values, n=100)[98] / 1e3
    return result


def main() -> int:
    """Print the table; 1 if the budget for 5 scalars is missed."""
    print(f"{'scalars':>7} {'bare µs':>9} {'p99':>7} {'log µs':>9} {'p99':>7} {'ratio':>7}")
    missed = False
    for count in (1, 5, 20):
        row = measure(count)
        ratio = row["log"] / row["bare"]
        missed |= count == 5 and ratio > BUDGET
        print(
            f"{count:>7} {row['bare']:>9.2f} {row['bare p99']:>7.2f}"
            f" {row['log']:>9.2f} {row['log p99']:>7.2f} {ratio:>6.2f}x"
        )
    print(f"budget for 5 scalars: {BUDGET}x, {'MISSED' if missed else 'kept'}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
