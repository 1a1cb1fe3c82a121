"""`track.log` against a bare `json.dumps` + unbuffered write of the same bytes, side by side.

The row of tensors logs CPU tensors of one element; the bare write then calls `.item()` itself.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from orchestrator.track.place import Place, Ranks
from orchestrator.track.session import Run

ROUNDS = 7
CALLS = 5_000
BUDGET = 1.5  # times the bare write, for 5 scalars
BUDGET_P99 = 20.0  # µs, for 5 scalars
BUDGET_TENSORS = 15.0  # µs, median for 5 tensors


def scalars(count: int) -> dict[str, float]:
    """Values with full mantissas, as losses have them."""
    return {f"train/metric_{number}": 1 / (3 + number) for number in range(count)}


def tensors(count: int) -> dict[str, Any]:
    """The same values as a loss function returns them."""
    import torch

    return {
        name: torch.tensor(value, dtype=torch.float64) for name, value in scalars(count).items()
    }


def bare(folder: Path, data: Mapping[str, Any]) -> Callable[[int], None]:
    """The least that a program could do to have its points in the kernel."""
    items = any(hasattr(value, "item") for value in data.values())
    descriptor = os.open(folder / "bare.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def write(step: int) -> None:
        metrics = {name: value.item() for name, value in data.items()} if items else data
        record = {"step": step, "time": time.time(), "metrics": metrics}
        os.write(descriptor, (json.dumps(record, separators=(",", ":")) + "\n").encode())

    return write


def ours(folder: Path, data: Mapping[str, Any]) -> Callable[[int], None]:
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


def measure(data: Mapping[str, Any]) -> dict[str, float]:
    """Median and p99 in µs of both, in turns so that noise falls on both alike."""
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
    """Print the table; 1 if a budget is missed."""
    rows = {f"{count} scalars": scalars(count) for count in (1, 5, 20)}
    if find_spec("torch") is not None:
        rows["5 tensors"] = tensors(5)
    print(f"{'':>10} {'bare µs':>9} {'p99':>7} {'log µs':>9} {'p99':>7} {'ratio':>7}")
    found = {}
    for name, data in rows.items():
        row = found[name] = measure(data)
        print(
            f"{name:>10} {row['bare']:>9.2f} {row['bare p99']:>7.2f}"
            f" {row['log']:>9.2f} {row['log p99']:>7.2f} {row['log'] / row['bare']:>6.2f}x"
        )
    five = found["5 scalars"]
    budgets = [
        (f"5 scalars, at most {BUDGET} times the bare write", five["log"] / five["bare"], BUDGET),
        (f"5 scalars, p99 at most {BUDGET_P99:.0f} µs", five["log p99"], BUDGET_P99),
    ]
    if "5 tensors" in found:
        spent = found["5 tensors"]["log"]
        text = f"5 tensors, median at most {BUDGET_TENSORS:.0f} µs"
        budgets.append((text, spent, BUDGET_TENSORS))
    for text, value, limit in budgets:
        print(f"{text}: {value:.2f}, {'kept' if value <= limit else 'MISSED'}")
    return int(any(value > limit for _, value, limit in budgets))


if __name__ == "__main__":
    sys.exit(main())
