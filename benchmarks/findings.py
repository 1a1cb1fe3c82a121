"""Findings: how often a healthy curve is accused, whether faults are found, and what it costs."""

import random
import sys
import time
from collections import Counter
from pathlib import Path
from statistics import median

from orchestrator.diagnose.findings import diagnose

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # the curves are those of the tests

from diagnose.cases import case, curve, found
from diagnose.curves import HEALTHY
from diagnose.shapes import begun, cosine, decay, evals, norms
from diagnose.sick import SICK

# True of a run that has not learned anything so far.
HONEST = {"not-learning", "collapse"}
SEEDS, FALSE_BUDGET = 50, 0.02
SERIES, POINTS, COST_BUDGET, ROUNDS = 30, 5_000, 0.100, 5  # seconds


def accused(cases):
    """Findings of healthy runs: in how many of them, in how many a false one, and which."""
    which, runs, wrong = Counter(), 0, 0
    for kind, whole in cases:
        names = {finding.id for finding in diagnose(whole)}
        runs += bool(names)
        wrong += bool(names - HONEST)
        which.update((kind.__name__, name) for name in names)
    return runs, wrong, which


def healthy(seeds):
    """Each kind of healthy run, so often."""
    return [
        (kind, kind(random.Random(f"{kind.__name__} {seed}")))
        for kind in HEALTHY
        for seed in range(seeds)
    ]


def missed(seeds):
    """Sick runs whose findings are not exactly those of their fault; and how many there are."""
    wrong = sum(
        found(diagnose(kind(random.Random(f"{kind.__name__} {seed}")))) != keys
        for kind, keys in SICK.items()
        for seed in range(seeds)
    )
    return wrong, seeds * len(SICK)


def large(members):
    """30 series of 5,000 points: of a single training, or of ten that are compared."""
    rng, curves = random.Random(1), []
    for number in range(members):
        prefix = f"member_{number}/" if members > 1 else ""
        loss = decay(rng, steps=POINTS)
        curves.append(curve(f"{prefix}train/loss", loss))
        curves.append(curve(f"{prefix}train/grad_norm", norms(rng, steps=POINTS)))
        curves.append(curve(f"{prefix}val/loss", evals(rng, loss, every=1)))
    curves.append(curve("train/lr", cosine(steps=POINTS)))
    while len(curves) < SERIES:
        curves.append(curve(f"train/part_{len(curves)}_loss", decay(rng, steps=POINTS)))
    return case(curves=curves[:SERIES], planned=POINTS)


def cost(whole):
    """Processor time in seconds of a diagnosis."""
    spent = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        diagnose(whole)
        spent.append(time.process_time() - begin)
    return median(spent)


def main() -> int:
    """Print the table; 1 if a budget was missed."""
    cases = healthy(SEEDS)
    rng = random.Random(7)
    runs, _, which = accused(cases)
    cut, wrong_cut, early = accused([(kind, begun(whole, rng)) for kind, whole in cases])
    wrong, sick = missed(SEEDS // 5)
    one, ten = cost(large(1)), cost(large(10))
    print("| question | measured | budget |")
    print("|---|---|---|")
    print(
        f"| healthy runs with a finding, {len(HEALTHY)} kinds | {runs} of {len(cases):,} = "
        f"{runs / len(cases):.2%} | ≤ {FALSE_BUDGET:.0%} |"
    )
    print(
        f"| the same, each cut off anywhere: but for what is true of a run that has not learned "
        f"yet; with it | {wrong_cut} = {wrong_cut / len(cases):.2%}; {cut} | ≤ {FALSE_BUDGET:.0%} |"
    )
    print(f"| sick runs without exactly their finding, {len(SICK)} kinds | {wrong} of {sick} | 0 |")
    for what, seconds in (("one training", one), ("ten that are compared", ten)):
        print(
            f"| diagnosis of {SERIES} series of {POINTS:,} points, {what} | "
            f"{1000 * seconds:.0f} ms | ≤ {1000 * COST_BUDGET:.0f} ms |"
        )
    for (kind, name), count in [*which.most_common(), *early.most_common()]:
        print(f"\n{kind}: {name}, {count}", end="")
    print("\n\nprocessor time")
    return int(
        max(runs, wrong_cut) > FALSE_BUDGET * len(cases) or wrong > 0 or max(one, ten) > COST_BUDGET
    )


if __name__ == "__main__":
    raise SystemExit(main())
