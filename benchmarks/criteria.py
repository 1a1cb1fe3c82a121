"""Criteria: verdict updates per second while points stream in, and the reading of lines."""

import math
import time
from statistics import median

from orchestrator.criteria import Judge, read
from orchestrator.domain.criterion import Criterion, Decidable, Kind, Reading
from orchestrator.domain.facts import RunFacts
from orchestrator.domain.point import Point, Position

POINTS, SERIES, CHUNK = 10_000_000, 20, 200_000
UPDATE_BUDGET = 300_000  # points/s
LINES, READ_BUDGET = 1_000, 1.0  # seconds
ROUNDS = 3

# One of each kind, on the series m00 to m19; every series has two or three of them.
TESTS = [
    "{0} < 2",
    "{0} < 2 best",
    "{0} < 9 all",
    "{0} < 0.1 by step 100000",
    "{0} < 2 mean",
    "{0} < 2 p95",
    "{0} < 2 median",
    "{0} < 1 for 3 consecutive",
    "mean({0}, last 1000 points) < 2",
    "{0} decreasing over last 1000 steps",
    "{0} decreasing",
    "{0} < {1}",
    "{0} / {1} < 1.1",
    "{0} in 0..9 all",
    "max({0}, steps 1000..100000) < 9",
]
ALSO = ["no nan", "no inf", "step >= 100", "each m0* < 9", "share(m1* < 9 all) >= 80%"]
WORDS = [
    "pass@1 > 5%",
    "Eval loss stays below 3",
    "best eval/acc ≥ 0.85",
    "No OOM errors for the entire training run",
    "Training runs for ~52,000 steps",
    "Evaluation runs and reports pass@1 metric - pass@1=11.25% at 80%",
    "Loss curve looks smooth and stable",
    "entropy between 0.1 and 0.4",
    "`results/model.pt` exists",
    "Accuracy improves over the baseline by 2 points on most classes",
]
FACTS = RunFacts(
    run="R-000001", ended=False, outcome=None, exit=None, attempts=1, planned_steps=None
)


def criteria() -> list[Criterion]:
    """Fifty, each with its predicate."""
    names = [f"m{number:02d}" for number in range(SERIES)]
    texts = [
        TESTS[place % len(TESTS)].format(names[place % SERIES], names[(place + 1) % SERIES])
        for place in range(50 - len(ALSO))
    ]
    return [
        Criterion(
            key=text,
            text=text,
            section="Acceptance Criteria",
            required=True,
            reading=Reading(kind=Kind.THRESHOLD, decidable=Decidable.YES, predicate=text),
        )
        for text in [*texts, *ALSO]
    ]


def points_of(first_step: int, steps: int) -> list[Point]:
    """Points of all series at so many steps; falling, noisy, never twice the same."""
    source, made = "attempt-1/events-host-0-1.jsonl", []
    for step in range(first_step, first_step + steps):
        at = Position(
            attempt=1, segment=0, step=step, time=float(step), source=source, line=step + 1
        )
        value = 1.0 + 1.0 / (1 + step) + 0.5 * math.sin(step * 0.7)
        made += [
            Point(metric=f"m{number:02d}", value=value + number * 1e-3, at=at)
            for number in range(SERIES)
        ]
    return made


def unneeded(metric: str):
    """The history of a series that came in order is never asked for."""
    raise AssertionError(f"{metric} was folded anew")


def update_rate() -> tuple[float, float]:
    """Points per second of processor time over all points, verdicts included, and ms a verdict."""
    judge = Judge(criteria(), {}, history=unneeded)
    steps = CHUNK // SERIES
    spent, looks = 0.0, []
    for chunk in range(POINTS // CHUNK):
        points = points_of(chunk * steps, steps)
        begin = time.process_time()
        observe = judge.observe_point
        for point in points:
            observe(point)
        fed = time.process_time()
        judge.verdicts(FACTS)
        done = time.process_time()
        spent += done - begin
        looks.append(1000 * (done - fed))
    return POINTS / spent, median(looks)


def reading_time() -> float:
    """Seconds to read 1,000 lines, no two of them the same; the grammar is loaded before."""
    read("loss < 2")
    spent = []
    for turn in range(ROUNDS):
        lines = [f"{WORDS[n % len(WORDS)]} v{turn}x{n}" for n in range(LINES // 2)]
        lines += [f"metric_{turn}_{n} > 0.{n}" for n in range(LINES // 2)]
        begin = time.process_time()
        for line in lines:
            read(line)
        spent.append(time.process_time() - begin)
    return median(spent)


def main() -> int:
    """Print the table; 1 if a budget was missed."""
    rate, look = update_rate()
    seconds = reading_time()
    print("| question | measured | budget |")
    print("|---|---|---|")
    print(
        f"| 50 criteria over {POINTS / 1e6:.0f} million points of {SERIES} series, "
        f"with {POINTS // CHUNK} looks | {rate:,.0f} points/s | ≥ {UPDATE_BUDGET:,} |"
    )
    print(f"| one look at 50 verdicts, with the last {CHUNK % 16_384:,} points | {look:.0f} ms | |")
    print(f"| reading of {LINES:,} lines | {seconds:.2f} s | ≤ {READ_BUDGET:.0f} s |")
    print("\nprocessor time")
    return int(rate < UPDATE_BUDGET or seconds > READ_BUDGET)


if __name__ == "__main__":
    raise SystemExit(main())
