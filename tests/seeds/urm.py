"""The story of T-0017.md: a run that crashed in its first evaluation, and one that was enough."""

from diagnose.seeds import (
    GIB,
    URM_AGAIN,
    URM_BEGAN,
    URM_ERROR,
    URM_EVAL,
    URM_PARAMS,
    URM_PASS_1,
    URM_PASS_2,
    URM_STEPS,
    at,
)
from seeds.spec import spec
from seeds.trial import gpus

LAST = 41_960  # "Completed 80% (41,960 steps)"
PACE = 1.72  # "Speed: ~1.72 it/s"
URM_ENDED = URM_AGAIN + LAST / PACE + 300
TICKET = """# T-0017: Run 5% validation training with wandb online, delete pod when done

**Status**: READY
**Phase**: —
**After**: —
**Experiment**: experiments/urm/validation-5pct.toml

## Context

Run a 5% validation training run (~52,000 steps with 100 augmentations) to verify the URM approach
works before investing in full training.

Goal: If pass@1 > 5% on evaluation, the approach is validated.

## Acceptance Criteria

- [ ] Training pod launched with 8x H100, wandb online
- [ ] Training runs for ~52,000 steps
- [ ] Evaluation runs and reports pass@1 metric
- [ ] Wandb shows training curves online
- [ ] Pod deleted after completion to save resources
- [ ] Checkpoints saved to persistent storage (PVC: urm-checkpoints)

## Verification Plan

### Manual Verification
- [ ] Wandb run visible at wandb.ai
- [ ] pass@1 > 5% indicates learning
- [ ] Pod terminated after run

## Evidence

## Outcome
"""
METRICS = """
[metrics."pass@1"]
key = "eval/pass@1"
unit = "%"
goal = "maximize"
"""
CARDS = gpus(8, "NVIDIA H100 80GB HBM3", 80 * GIB)


SAID = (
    ("cause", "In-place tensor update during distributed gather in evaluators/arc.py"),
    ("decision", "Terminated at 80% to save costs after approach validated"),
)


def describe(shop, program):
    """The program and its spec."""
    shop.write("experiments/urm/train.py", "train()\n")
    shop.write("experiments/urm/evaluators/arc.py", program)
    text = spec("experiments/urm/train.py", URM_PARAMS, steps=51_905, gpus=8)
    shop.write("experiments/urm/validation-5pct.toml", text + METRICS)


def start(shop, at_, pid):
    """Launch it, with what the program says of itself."""
    run = shop.launch("T-0017", at_ - 1)
    run.begin(at_, pid=pid, gpus=CARDS, torch="2.5.1", cuda="12.4")
    run.event(at_ + 1, "config", {"data": {"name": "arc1concept-aug-100", "augmentations": 100}})
    return run


def first(shop):
    """The document: "FAILED at step 10361/51905 (20% complete)"."""
    shop.write("tickets/T-0017.md", TICKET)
    describe(shop, "dist.gather_object(preds)\n")
    shop.commit("URM", URM_BEGAN - 900)
    run = start(shop, URM_BEGAN, 7001)
    run.curve((URM_BEGAN + 1, 1), (URM_EVAL, URM_STEPS[0]), 60, **{"train/loss": (4.6, 1.4)})
    run.phase(URM_EVAL, URM_EVAL + 60, URM_STEPS[0], error=URM_ERROR)
    run.samples(
        (URM_BEGAN + 60, 90), (URM_EVAL, URM_STEPS[0]), 10, memory_used=60e9, utilization=0.97
    )
    run.say("  Running evaluator 1/1: ARC", "Traceback (most recent call last):", URM_ERROR)
    run.end(URM_EVAL + 62, code=1)
    shop.watch(URM_EVAL + 63)


def second(shop):
    """Terminated at 80%, for the approach was validated at 40%."""
    describe(shop, "with torch.inference_mode(False):\n    dist.gather_object(preds)\n")
    shop.commit("Gather outside of inference mode", at("2025-12-21 21:50"))
    run = start(shop, URM_AGAIN, 7002)
    ends = (URM_AGAIN + 1, 1), (URM_AGAIN + LAST / PACE, LAST)
    run.curve(*ends, 200, **{"train/loss": (4.6, 0.5)})
    for step, one, two in zip(URM_STEPS, URM_PASS_1, URM_PASS_2, strict=True):
        now = URM_AGAIN + step / PACE
        run.phase(now, now + 60, step)
        run.log(now + 60, step, **{"eval/pass@1": one, "eval/pass@2": two})
        # "step_10361.pt … (360MB each)"
        run.checkpoint(now + 65, step, f"step_{step}.pt", 360_000_000)
    run.samples(*ends, 20, memory_used=60e9, utilization=0.97)
    left = (51_905 - LAST) / PACE
    run.stop(URM_ENDED, "approach validated: to save costs", saved=left)
    shop.watch(URM_ENDED + 2)


def ticket_story(shop):
    """Both runs, to the end."""
    first(shop)
    second(shop)
    for kind, text in SAID:
        shop.note("T-0017", kind, text, URM_ENDED + 60)
