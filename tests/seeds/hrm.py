"""The story of hrm-training-log.md: three runs, five attempts, one night.

The table of the document is told row by row; its times are taken for UTC.
"""

from diagnose.seeds import GIB, HRM_GPU, HRM_PARAMS, at
from seeds.spec import spec
from seeds.trial import gpus

HRM_NOW = at("2025-09-01 08:50")
VALIDATION = 42 * 60.0  # "took ~42 minutes each time"
TICKET = """# T-0031: Train HRM 5.7M on ARC with 500 augmentations

**Status**: READY
**Phase**: —
**After**: —
**Experiment**: experiments/hrm/train.toml

## Context

- **Training Speed**: ~26-30 it/s after optimization

## Acceptance Criteria

- [ ] val/loss < 1.16
- [ ] val/accuracy > 80%
- [ ] Checkpoints saved

## Evidence

## Outcome
"""
MODEL = {
    "model": {"name": "HRM", "parameters": 5_700_000},  # "Parameters: 5.7M"
    "data": {
        "name": "ARC, 500 augmentations",
        "train_examples": 3_887_892,  # "Training: 3,887,892 samples"
        "val_examples": 408_990,
        "train_batches": 194_395,
        "val_batches": 20_450,
    },
    "h_layers": 4,  # "4 H-level (strategic) transformer layers"
    "l_layers": 3,
    "act_max_cycles": 8,  # "Adaptive Computation Time (ACT) with max 8 cycles"
}
CARD = gpus(1, HRM_GPU["name"], HRM_GPU["memory_total"])
OPTIMIZED = {**HRM_PARAMS, "pin_memory": True}
STARTED = {**OPTIMIZED, "batch_size": 32, "gradient_accumulation_steps": 1, "num_workers": 4}


SAID = (
    ("cause", "OOM errors: batch_size=32 too large"),
    ("cause", "nv_queue crashes: driver issues under memory pressure"),
    ("decision", "Changed eval_frequency from 50 to 1000 steps"),
    ("lesson", "Training now gets 950 steps of uninterrupted training vs 50"),
    ("next", "Check if new best model achieved"),
    ("next", "Consider switching to Nova's optimized script (train_arc_full_nova.py)"),
    ("next", "Deploy best model to Jetson for inference testing"),
)


def describe(shop, params, *, eval_frequency, text, resume=None):
    """The program and its spec."""
    shop.write("experiments/hrm/train_arc_full.py", text)
    whole = (
        params | {"eval_frequency": eval_frequency} | ({"resume_from": resume} if resume else {})
    )
    shop.write(
        "experiments/hrm/train.toml",
        spec("experiments/hrm/train_arc_full.py", whole, steps=194_395, gpus=1),
    )


def rounds(run, first, last, loss):
    """Fifty steps, then 42 minutes of validation, again and again between `(time, step)`s."""
    count = (last[1] - first[1]) // 50
    every = (last[0] - first[0]) / count
    for n in range(1, count + 1):
        end, step = first[0] + n * every, first[1] + 50 * n
        run.log(end - VALIDATION - 5, step, train__loss=loss - 0.01 * n, train__accuracy=0.82)
        run.phase(end - VALIDATION, end, step)
    run.samples(first, last, 10, memory_used=15 * GIB, utilization=0.97)


def original(shop):
    """batch_size 32 (out of memory), then 24 (driver crashes), then 20."""
    shop.write("tickets/T-0031.md", TICKET)
    describe(shop, STARTED, eval_frequency=50, text="train()\n")
    began = at("2025-08-31 04:14")
    shop.commit("HRM on ARC", began - 600)
    run = shop.launch("T-0031", began - 1)
    run.begin(began, pid=4101, gpus=CARD, torch="2.4.0", cuda="12.1")
    run.event(began + 3, "config", MODEL)
    rounds(run, (began, 0), (at("2025-08-31 18:15"), 1000), 0.8)
    run.checkpoint(at("2025-08-31 18:16"), 1000, "model.pt", 68_000_000)
    rounds(run, (at("2025-08-31 18:16"), 1000), (at("2025-08-31 22:41"), 1200), 0.7)
    run.checkpoint(at("2025-08-31 22:42"), 1200, "model.pt", 68_000_000)
    run.say("torch.OutOfMemoryError: CUDA out of memory.")
    run.end(at("2025-08-31 22:44"), code=1)
    shop.watch(at("2025-08-31 22:44") + 1)
    # "Best model | val_loss=1.16, batch_size=24"
    run.again(at("2025-08-31 22:50"), "a smaller batch", batch_size=24)
    run.begin(at("2025-08-31 22:51"), pid=4102, gpus=CARD)
    best = at("2025-09-01 00:20")
    run.log(best - VALIDATION - 5, 1250, train__loss=0.68, train__accuracy=0.83)
    run.phase(best - VALIDATION, best, 1250)
    run.log(best, 1250, val__loss=1.16, val__accuracy=0.80)  # "71-80% validation accuracy"
    run.checkpoint(best + 1, 1250, "best_model.pt", 68_000_000, val_loss=1.16)
    run.say("nv_queue: driver crash", "Aborted")
    run.end(at("2025-09-01 00:40"), signal=6)
    shop.watch(at("2025-09-01 00:40") + 1)
    # "01:09 | 1200 | Resumed | After crashes, batch_size=20"
    changed = {name: OPTIMIZED[name] for name in STARTED if OPTIMIZED[name] != STARTED[name]}
    run.again(at("2025-09-01 01:08"), "driver crashes", **changed)
    run.begin(at("2025-09-01 01:09"), pid=4103, gpus=CARD)
    run.log(at("2025-09-01 01:10"), 1250, train__loss=0.69, train__accuracy=0.82)
    run.stop(at("2025-09-01 01:53"), "a fresh start instead")
    shop.watch(at("2025-09-01 01:53") + 2)


def fresh(shop):
    """The document: "Fresh start attempt", stopped at step 400 for it was slow."""
    describe(shop, OPTIMIZED, eval_frequency=50, text="resume()\ntrain()\n")
    began = at("2025-09-01 01:54")
    shop.commit("Resume from checkpoints, batch of 20", began - 20)
    run = shop.launch("T-0031", began - 1)
    run.begin(began, pid=4104, gpus=CARD, torch="2.4.0", cuda="12.1")
    run.event(began + 3, "config", MODEL)
    run.checkpoint(at("2025-09-01 01:55"), 0, "model.pt", 68_000_000)
    rounds(run, (at("2025-09-01 01:55"), 0), (at("2025-09-01 04:45"), 200), 0.9)
    run.checkpoint(at("2025-09-01 04:46"), 200, "model.pt", 68_000_000)
    rounds(run, (at("2025-09-01 04:46"), 200), (at("2025-09-01 07:37"), 400), 0.8)
    run.checkpoint(at("2025-09-01 07:38"), 400, "model.pt", 68_000_000)
    run.stop(at("2025-09-01 07:39"), "validation takes 42 minutes of every 50 steps")
    shop.watch(at("2025-09-01 07:39") + 2)


def optimized(shop):
    """The document: "Resumed optimized | eval_freq=1000", in its validation at step 2000."""
    describe(
        shop,
        OPTIMIZED,
        eval_frequency=1000,
        text="resume()\ntrain()\n",
        resume=".exp/runs/R-000001/checkpoints/step_1200",
    )
    shop.commit("Validate every 1000 steps", at("2025-09-01 08:20"))
    began = at("2025-09-01 08:23")
    run = shop.launch("T-0031", began - 1)
    run.begin(began, gpus=CARD, torch="2.4.0", cuda="12.1")
    run.event(began + 3, "config", MODEL)
    # "08:24 | 1200 | Resumed optimized", "08:26 | 1500 | Checkpoint", "08:45 | 2000 | Validation"
    resumed, saved, validates = (
        at("2025-09-01 08:24"),
        at("2025-09-01 08:26"),
        at("2025-09-01 08:45"),
    )
    ends = {"train/loss": (0.8, 0.6), "train/accuracy": (0.82, 0.86)}
    run.curve((resumed, 1200), (saved, 1500), 31, **ends)
    run.checkpoint(saved, 1500, "model.pt", 68_000_000)
    ends = {"train/loss": (0.6, 0.5), "train/accuracy": (0.86, 0.89)}
    run.curve((saved + 20, 1510), (validates, 2000), 50, **ends)
    run.phase(validates, None, 2000)
    # "GPU: RTX 4090 Laptop (99% utilization, 12GB/16GB VRAM)"
    run.samples((resumed, 1200), (HRM_NOW - 5, 2000), 20, memory_used=12 * GIB, utilization=0.99)
    return run


def log_story(shop):
    """Up to September 1, in the validation of step 2000."""
    original(shop)
    fresh(shop)
    optimized(shop)
    for kind, text in SAID:
        shop.note("T-0031", kind, text, HRM_NOW - 60)
    shop.watch(HRM_NOW)
