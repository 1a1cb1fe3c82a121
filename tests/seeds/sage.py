"""The story of sage-oom-checkpoint.md and sage-status-update.md: one ticket, three runs.

Numbers are those of diagnose/seeds_sage.py, or are quoted from the documents here. The documents
give times without a zone; they are taken for UTC. "12:20 PM" is taken for 00:20: the first epoch
took 20 minutes and the second run crashed at 2:06 AM.
"""

from diagnose.seeds import GIB, at
from diagnose.seeds_sage import (
    SAGE_AGAIN,
    SAGE_CRASHED,
    SAGE_GPU,
    SAGE_NOTES,
    SAGE_OOM_EVAL,
    SAGE_OOM_TRAIN,
    SAGE_PARAMS,
    SAGE_PIXELS,
    SAGE_RECALL,
)
from seeds.spec import spec
from seeds.trial import gpus

SAGE_EPOCH = 194  # "194 batches"
SAGE_BEGAN = at("2025-10-10 00:20")
SAGE_FIXED = at("2025-10-10 01:27")
SAGE_REPORTED = at("2025-10-10 01:30")  # "October 10, 2025, 1:30 AM"
SAGE_NOW = at("2025-10-12 19:46")  # "October 12, 2025, 7:46 PM"
TICKET = f"""# T-0021: Distil GR00T into SAGE, 100 epochs

**Status**: READY
**Phase**: —
**After**: —
**Experiment**: experiments/sage/train.toml

## Context

{SAGE_NOTES[0]}
{SAGE_NOTES[1]}

## Acceptance Criteria

- [ ] Training runs for 19,400 steps
- [ ] Grid accuracy > 50%
- [ ] Perfect grids > 85/172
- [ ] Pixel accuracy: 80-90%
- [ ] `val/recall/*` > 70% each
- [ ] Peak GPU memory < 14 GB
- [ ] No OOM

## Evidence

## Outcome
"""
WEIGHTED = """# T-0022: Weighted cross-entropy and focal loss for SAGE

**Status**: BLOCKED
**Phase**: —
**After**: T-0021

## Acceptance Criteria

- [ ] Per-color F1 > 70%
"""
METRICS = """
[metrics."train/accuracy"]
unit = "%"
goal = "maximize"

[metrics."Grid accuracy"]
key = "val/grid_accuracy"
unit = "%"
goal = "maximize"

[metrics."Perfect grids"]
key = "val/perfect_grids"
total = "val/grids"
goal = "maximize"

[metrics."Pixel accuracy"]
key = "val/pixel_accuracy"
unit = "%"
goal = "maximize"
"""
# "Parameters: 44.1M (61x smaller than GR00T's 2.7B)", "Train: 1546 examples (194 batches)" …
MODEL = {
    "model": {
        "name": "SAGE Student",
        "parameters": 44_100_000,
        "teacher_parameters": 2_700_000_000,
    },
    "data": {
        "name": "ARC-AGI with GR00T features",
        "examples": 1718,
        "train_examples": 1546,
        "val_examples": 172,
        "train_batches": 194,
        "val_batches": 43,
    },
}
SETUP = {
    **SAGE_PARAMS,
    "lr": 1e-4,  # "AdamW (lr=1e-4, weight_decay=0.01)"
    "weight_decay": 0.01,
    "min_lr": 1e-6,  # "CosineAnnealingLR (decay to 1e-6)"
    "max_norm": 1.0,  # "Gradient clipping: max_norm=1.0"
    "dtype": "bfloat16",
    "steps_per_epoch": 194,
}
CARD = gpus(1, SAGE_GPU["name"], SAGE_GPU["memory_total"])


# What no machine can know: said by people, quoted from the documents.
FIX_SAID = (
    ("cause", "Validation batch_size=8 attempted an additional 6.36 GiB allocation"),
    ("lesson", "Training and validation have different memory footprints"),
    ("lesson", "Cache clearing between phases essential for memory hygiene"),
    ("lesson", "61x compression (2.7B → 44M params) feasible with minimal accuracy loss"),
    ("note", "Accuracy trajectory matches first run (good sign)"),
    ("risk", "Will 90% train accuracy hold on the validation set?"),
    ("risk", "Which ARC tasks will SAGE fail on vs GR00T?"),
    ("next", "Train through Epoch 10 (~2.5 hours)"),
    ("next", "Evaluate vs GR00T, measure inference speed"),
    ("confidence", "High - fix working, training stable, path forward clear"),
)
STATUS_SAID = (
    ("cause", "Memory fragmentation during training: it accumulates over time"),
    ("lesson", "Pixel accuracy is misleading for imbalanced datasets"),
    ("lesson", "Set memory config upfront, monitor throughout training"),
    ("decision", "Let the current run complete to gather data"),
    ("risk", "Current run may hit same imbalance issue"),
    ("risk", "100 epochs may not fix imbalance without weighted loss"),
    ("next", "Implement weighted cross-entropy: weight each color by inverse frequency"),
    ("next", "Evaluate checkpoints at epochs 10, 50, 100"),
    ("confidence", "Medium: class imbalance is critical blocker"),
)


def describe(shop, *, fixes=(), eval_batch=8, env=""):
    """The program and its spec, with the fixes made so far."""
    program = "import torch\n" + "".join(f"{line}\n" for line in fixes) + "train()\n"
    shop.write("experiments/sage/train_sage.py", program)
    params = SETUP | {"eval_batch_size": eval_batch}
    command = "experiments/sage/train_sage.py"
    text = spec(command, params, steps=19_400, gpus=1) + METRICS + env
    shop.write("experiments/sage/train.toml", text)


def first(shop):
    """Epoch 1 went well, its validation ran out of memory."""
    shop.write("tickets/T-0021.md", TICKET)
    shop.write("tickets/T-0022.md", WEIGHTED)
    describe(shop)
    shop.commit("SAGE training", SAGE_BEGAN - 600)
    run = shop.launch("T-0021", SAGE_BEGAN - 1)
    run.begin(SAGE_BEGAN, pid=1_490_001, gpus=CARD, torch="2.5.1", cuda="12.4")
    run.event(SAGE_BEGAN + 5, "config", MODEL)
    # "Start: 10.24% accuracy, loss 4764. End: 90.19% accuracy, loss 3265. Time: ~20 minutes"
    done = SAGE_BEGAN + 20 * 60
    ends = {"train/loss": (4764, 3265), "train/accuracy": (0.1024, 0.9019)}
    run.curve((SAGE_BEGAN + 30, 1), (done, SAGE_EPOCH), 60, **ends)
    # "Training used 7.77 GiB"; "Process using 9.41 GiB"
    run.samples((SAGE_BEGAN + 60, 5), (done, 194), 20, memory_used=9.41 * GIB, utilization=0.99)
    run.phase(done, done + 1, SAGE_EPOCH, error=SAGE_OOM_EVAL.splitlines()[0])
    run.say("Epoch 1 done", "Traceback (most recent call last):", *SAGE_OOM_EVAL.splitlines())
    run.end(done + 2, code=1)
    shop.watch(done + 3)


FIXES = ("torch.cuda.empty_cache()  # before validation",)
# "Enables expandable segments": its own commit, two days later
SEGMENTS = '\n[env]\nPYTORCH_CUDA_ALLOC_CONF = "expandable_segments:True"\n'


def second(shop, *, alive):
    """The run with the smaller validation batch, up to 14% of its first epoch."""
    describe(shop, fixes=FIXES, eval_batch=4)
    shop.commit("OOM fix and restart", SAGE_FIXED - 60)
    run = shop.launch("T-0021", SAGE_FIXED - 1)
    # "New training run started: PID 1503423"
    run.begin(SAGE_FIXED, pid=None if alive else 1_503_423, gpus=CARD, torch="2.5.1", cuda="12.4")
    run.event(SAGE_FIXED + 5, "config", MODEL)
    # "Accuracy: 10.97% → 64.86% (current)", "Loss: 4756 → 3551", "Epoch: 1/100 (14% complete)"
    ends = {"train/loss": (4756, 3551), "train/accuracy": (0.1097, 0.6486)}
    run.curve((SAGE_FIXED + 15, 1), (SAGE_REPORTED - 5, 27), 27, **ends)
    ends = (SAGE_FIXED + 25, 4), (SAGE_REPORTED - 5, 27)
    run.samples(*ends, 7, memory_used=9.41 * GIB, utilization=0.99)
    return run


def crash(shop, run):
    """What became of it: one validation, then out of memory in epoch 2, at batch 172."""
    done = at("2025-10-10 01:44")
    ends = {"train/accuracy": (0.65, 0.8967)}  # "Epoch 1 complete (89.67% train, 94.45% val)"
    run.curve((SAGE_REPORTED, 28), (done, SAGE_EPOCH), 50, **ends)
    validated = done + 43 * 0.652 * 4  # "652ms/grid", "43 batches, batch_size=4"
    run.phase(done, validated, SAGE_EPOCH)
    scores = {"val/pixel_accuracy": 0.9445, "val/grid_accuracy": 0.0, "val/perfect_grids": 0}
    scores |= {"val/grids": 172, "val/inference_ms": 652}
    scores |= {f"val/recall/{n}": value for n, value in enumerate(SAGE_RECALL)}
    scores |= {f"val/count/{n}": value for n, value in enumerate(SAGE_PIXELS)}
    run.log(validated, SAGE_EPOCH, **scores)
    run.checkpoint(validated + 5, SAGE_EPOCH, "best_model.pt", 176_400_000)
    ends = {"train/accuracy": (0.8967, 0.90)}
    run.curve((validated + 10, 195), (SAGE_CRASHED - 5, 366), 40, **ends)
    ends = (validated + 10, 195), (SAGE_CRASHED - 5, 366)
    run.samples(*ends, 40, memory_used=14.02 * GIB, utilization=0.99)
    run.say("Traceback (most recent call last):", *SAGE_OOM_TRAIN.splitlines())
    run.end(SAGE_CRASHED, code=1)
    shop.watch(SAGE_CRASHED + 1)


def third(shop):
    """The run of October 12, 65 hours later, in its first epoch."""
    describe(shop, fixes=FIXES, eval_batch=4, env=SEGMENTS)
    shop.write("experiments/sage/evaluate_sage.py", "evaluate()\n")
    shop.commit("Training restart with memory fix", SAGE_AGAIN - 120)
    run = shop.launch("T-0021", SAGE_AGAIN - 1)
    run.begin(SAGE_AGAIN, gpus=CARD, torch="2.5.1", cuda="12.4")
    run.event(SAGE_AGAIN + 5, "config", MODEL)
    # "10.29% → 88.08%", "decreasing from 4728 → 3276", "batch 127/194"
    ends = {"train/loss": (4728, 3276.6), "train/accuracy": (0.1029, 0.8808)}
    run.curve((SAGE_AGAIN + 17, 1), (SAGE_NOW - 5, 127), 127, **ends)
    run.say("epoch 1 of 100")
    # "GPU: 100% utilization, 13.2GB VRAM in use, stable"
    ends = (SAGE_AGAIN + 60, 3), (SAGE_NOW - 5, 127)
    run.samples(*ends, 36, memory_used=13.2e9, utilization=1.0)
    return run


def checkpoint_story(shop):
    """Up to October 10, 1:30 AM."""
    first(shop)
    second(shop, alive=True)
    for kind, text in FIX_SAID:
        shop.note("T-0021", kind, text, SAGE_REPORTED - 60)
    shop.watch(SAGE_REPORTED)


def status_story(shop):
    """Up to October 12, 7:46 PM."""
    first(shop)
    crash(shop, second(shop, alive=False))
    third(shop)
    for kind, text in STATUS_SAID:
        shop.note("T-0021", kind, text, SAGE_NOW - 60)
    shop.watch(SAGE_NOW)
