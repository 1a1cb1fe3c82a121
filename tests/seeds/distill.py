"""The story of distillation-analysis.md: a run that stood still, and the one after its fix."""

from diagnose.seeds import DISTILL_BATCHES, DISTILL_PARAMS, GIB, at
from seeds.spec import spec
from seeds.trial import gpus

DISTILL_NOW = at("2025-10-02 08:13")
PACE = 2.4  # "Speed: 2.4-2.5 it/s"
AFTER = DISTILL_NOW - 2065 / PACE - 20  # "Time elapsed: ~15 minutes"
BEFORE = at("2025-10-02 06:50")
TICKET = """# T-0041: Distil with a schedule that reaches its warm-up

**Status**: READY
**Phase**: —
**After**: —
**Experiment**: experiments/distill/emergency_fix.toml

## Context

- **Speed:** 2.4-2.5 it/s

## Acceptance Criteria

### Must achieve

- [ ] train/loss decreasing over the last 1000 steps
- [ ] Eval loss < 50 by end of epoch 1
- [ ] `gap` < 2
- [ ] Log does not contain "non-finite"
- [ ] All loss components contributing proportionally

### Nice to have

- [ ] Training speed > 3 it/s
- [ ] Perplexity < 100

## Evidence

## Outcome
"""
LATER = """# T-0042: Distil for three epochs

**Status**: BLOCKED
**Phase**: —
**After**: T-0041

## Acceptance Criteria

- [ ] Eval loss < 12
"""
METRICS = """
[metrics.gap]
expr = "eval/loss / train/loss"
goal = "minimize"
"""
PARAMS = DISTILL_PARAMS | {"steps_per_epoch": 24_941, "epochs": 3}  # "2,065 / 24,941"
CARD = gpus(1, "NVIDIA A100-SXM4-40GB", 40 * GIB)  # the document names no card
TERMS = ("loss", "kd", "feature", "attention")


SAID = (
    ("note", "The loss is decreasing: this confirms the scheduler fix worked"),
    ("cause", "Display formatting issue during warmup: LR is not actually zero"),
    ("cause", "Alpha weights not being applied correctly, or raw loss magnitudes differ"),
    ("cause", "Training uses top-256 tokens, eval uses full vocab: could explain the 6x gap"),
    ("decision", "Continue to 50% epoch 1, then reassess"),
    ("risk", "Might waste compute if fundamental issues remain"),
    ("next", "Add debug logging for loss components"),
    ("next", "Reduce temperature to 1.5"),
)


def describe(shop, fix):
    """The program and its spec."""
    shop.write("experiments/distill/train.py", f"{fix}\ntrain()\n")
    text = spec("experiments/distill/train.py", PARAMS, steps=DISTILL_BATCHES, gpus=1)
    shop.write("experiments/distill/emergency_fix.toml", text + METRICS)


def scores(*values):
    """What an evaluation logs."""
    return {f"eval/{name}": value for name, value in zip(TERMS, values, strict=True)}


def before(shop):
    """The document: "Before Fix": the loss is flat, all evaluations are alike."""
    shop.write("tickets/T-0041.md", TICKET)
    shop.write("tickets/T-0042.md", LATER)
    describe(shop, "steps = batches")
    shop.commit("Distillation", BEFORE - 600)
    run = shop.launch("T-0041", BEFORE - 1)
    run.begin(BEFORE, pid=5101, gpus=CARD, torch="2.4.0", cuda="12.1")
    # "No more 16x mismatch": the schedule was sized in batches
    run.event(BEFORE + 1, "config", {"scheduler_steps": DISTILL_BATCHES, "optimizer_steps": 4676})
    for n, loss in enumerate((21.5475, 21.6245, 21.6569), 1):  # "Step 999: loss=21.5475 (flat)"
        step = 1000 * n
        run.log(BEFORE + step / PACE, step - 1, train__loss=loss, lr=0.0)
        run.phase(BEFORE + step / PACE + 1, BEFORE + step / PACE + 30, step)
        run.log(BEFORE + step / PACE + 30, step, **scores(101.40, 21.14, 40.79, 0.49))
    run.samples((BEFORE + 30, 10), (BEFORE + 1200, 2900), 10, memory_used=30e9, utilization=0.9)
    run.stop(BEFORE + 3100 / PACE, "the loss is flat: the schedule is 16 times too long")
    shop.watch(BEFORE + 3100 / PACE + 2)


def after(shop):
    """The document: "After Fix", at step 2065 of the first epoch."""
    describe(shop, "steps = batches // accumulation")
    shop.commit("Scheduler sized in optimizer steps", AFTER - 30)
    run = shop.launch("T-0041", AFTER - 1)
    run.begin(AFTER, gpus=CARD, torch="2.4.0", cuda="12.1")
    run.event(AFTER + 1, "config", {"scheduler_steps": 4676, "optimizer_steps": 4676})
    run.say(
        "[Scheduler] Total batches: 74,823",
        "[Scheduler] Gradient accumulation: 16",
        "[Scheduler] Optimizer steps: 4,676",
        "[Scheduler] Warmup steps: 467 (10.0%)",
    )
    run.curve((AFTER + 5, 1), (AFTER + 1100 / PACE, 1100), 12, **{"train/loss": (21.5, 15.75)})
    for step, loss in ((1118, 15.7221), (1999, 15.6401), (2065, 15.5268)):
        run.log(AFTER + step / PACE, step, train__loss=loss, lr=0.0)
        run.say(f"{step}/24941 loss={loss} lr=0.00e+00")
    run.say("[Warning] lm_loss produced non-finite value (nan); clamping to zero.")
    run.phase(AFTER + 2000 / PACE, AFTER + 2020 / PACE, 2000)
    run.log(AFTER + 2020 / PACE, 2000, **scores(95.86, 14.85, 41.22, 0.47))
    run.say("[Warning] Loss 95.86 too high for meaningful perplexity (capped at 20)")
    run.samples((AFTER + 30, 70), (DISTILL_NOW - 5, 2065), 10, memory_used=30e9, utilization=0.9)
    return run


def analysis_story(shop):
    """Up to 08:13."""
    before(shop)
    after(shop)
    for kind, text in SAID:
        shop.note("T-0041", kind, text, DISTILL_NOW - 60)
    shop.watch(DISTILL_NOW)
