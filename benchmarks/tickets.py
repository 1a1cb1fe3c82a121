"""Tickets: 10,000 files parsed in at most 2 s, unchanged ones not read again (DESIGN, budgets)."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from orchestrator.tickets import (
    Knowledge,
    lint,
    load_all,
    load_documents,
    parse,
    refresh,
    ticket_files,
)

COUNT = 10_000
BUDGET_S = 2.0

# As long as a real ticket of a training run: 130 lines, 9 boxes, four kilobytes.
_BODY = """# {id}: Run {n}% validation training, delete the pod when done

**Status**: DONE
**Phase**: —
**After**: {after}

## Context

Run a validation training ({n} steps with 100 augmentations) to verify the approach works before
investing in full training. This is approximately 8 hours on eight GPUs.

## Acceptance Criteria

- [x] Training pod launched with 8 GPUs, tracking online
- [x] Training runs for ~{n} steps (5% of full training) - Completed ({n} steps)
- [x] Evaluation runs and reports pass@1 metric - pass@1=11.25% at 80%
- [x] Training curves visible online
- [x] Pod deleted after completion to save resources
- [x] Checkpoints saved to persistent storage

## Verification Plan

### Tests to Create
| Test | Proves | Status |
|------|--------|--------|
| Manual: check the curves | Training metrics visible | - |
| Manual: check evaluation output | pass@1 reported | - |

### Regression Check
```
kubectl get pods | grep run-{n}
```

### Manual Verification
- [x] Run visible online
- [x] pass@1 > 5% indicates learning (achieved 11.25%)
- [x] Pod terminated after run

## Approach

1. Launch pod
2. Sync code
3. Start training with epochs=10000 (5% of 200000)
4. Monitor online
5. Run evaluation after training
6. Delete pod

## Implementation Notes

### PLANNING
- 5% of 200,000 epochs = 10,000 epochs
- Using the data set with 100 augmentations
- 8 GPUs, estimated ~8 hours

### IMPLEMENTING
Started training at 2025-12-21 19:49 UTC
- Pod: validation-{n}
- Total steps: {n}
- Speed: ~1.72 it/s
- ETA: ~8 hours

**Stopped at step 10361 (20% complete)** - Fixed and restarting

### TESTING_GREEN

### REFACTORING

### DEBUGGING

Training failed during the first evaluation at step 10361 (20% progress).

**Error**: RuntimeError: Inplace update to inference tensor outside InferenceMode.

This occurred while results were gathered from all processes.

**Time elapsed**: about 1 hour 42 minutes of training before evaluation.

## Obstacles

**Critical bug**: InferenceMode violation in the evaluation
- Location: the gathering of results
- Cause: in-place update of a tensor
- Impact: prevents evaluation from running
- Status: fixed

## Evidence

The log shows:
```
  20%|██        | 10361/51905 [1:42:10<6:41:48,  1.72it/s]
  Processing batch 55: all
  RuntimeError: Inplace update to inference tensor outside InferenceMode.
```

## Outcome

**Attempt 2**: started at 2025-12-21 21:55 UTC
- Pod: validation-{n}-v2
- Speed: ~1.72 it/s

| Checkpoint | Progress | pass@1 | pass@2 |
|------------|----------|--------|--------|
| step_10361 | 20% | 0.88% | 1.63% |
| step_20722 | 40% | 5.50% | 7.50% |
| step_31083 | 60% | 8.62% | 13.88% |
| step_41444 | 80% | 11.25% | 17.50% |

**Conclusion**: validated. pass@1 exceeded the 5% threshold at 40% training.

**Checkpoints saved**: `/checkpoints/validation-{n}/`
- Files: step_10361.pt, step_20722.pt, step_31083.pt, step_41444.pt (360MB each)
- Total: ~1.4GB
"""


def write_tickets(folder: Path, count: int) -> None:
    """Fill a folder with tickets; each comes after the one before it."""
    folder.mkdir()
    for number in range(1, count + 1):
        after = f"T-{number - 1:04d}" if number > 1 else "—"
        text = _BODY.format(id=f"T-{number:04d}", n=number * 100, after=after)
        (folder / f"T-{number:04d}.md").write_text(text, encoding="utf-8")


def measure(count: int = COUNT) -> dict[str, tuple[float, float]]:
    """Wall and CPU seconds of each way to read `count` tickets, one thread, files in the cache."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "tickets"
        write_tickets(folder, count)
        # A command loads into an empty heap: what the other rows keep is made after the first.
        table = {"load all": _best(lambda: load_all(folder))}
        stamped = {one.ticket.path: one for one in refresh(folder, {})}
        table["load all again, none changed"] = _best(lambda: load_all(folder, stamped))
        raws = [path.read_bytes() for path in ticket_files(folder)]
        table["parse alone, from memory"] = _best(
            lambda: [parse(raw, "T-0001.md").ticket for raw in raws]
        )
        documents = load_documents(folder)
        table["lint all"] = _best(lambda: lint(documents, Knowledge(root=folder.parent)))
        return table


def _best(work: Callable[[], object], times: int = 3) -> tuple[float, float]:
    """The quickest of some rounds, as wall and CPU seconds."""
    rounds = []
    for _ in range(times):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        rounds.append((time.perf_counter() - wall, time.process_time() - cpu))
    return min(rounds)


def main() -> None:
    """Print the table."""
    size = len(_BODY.encode()) / 1000
    print(f"| {COUNT:,} tickets of {size:.1f} kB | wall s | CPU s |")
    print("|---|---|---|")
    for name, (wall, cpu) in measure().items():
        over = f" (budget {BUDGET_S:g} s)" if name == "load all" else ""
        print(f"| {name}{over} | {wall:.2f} | {cpu:.2f} |")


if __name__ == "__main__":
    main()
