"""The two documents of SAGE as cases: sage-oom-checkpoint.md and sage-status-update.md.

Comments quote the sentence that a line comes from. Times are UTC.
"""

from dataclasses import replace

from diagnose.cases import case, curve, event
from diagnose.seeds import GIB, at, ended, failed, notes, said

from orchestrator.domain.retry import Cause
from orchestrator.domain.run import Outcome

SAGE_PARAMS = {
    "batch_size": 8,  # "Training batch_size=8"
    "num_heads": 8,  # "Transformer (6 layers, 8 heads)"
    "num_layers": 6,
    "hidden_dim": 512,
    "seq_len": 5164,  # "Features: [~5164, 2048] bfloat16 per example"
    "num_classes": 10,  # "30×30 grid with 10 colors"
    # "Task loss (1.0x): Cross-entropy", "Feature distillation (0.5x): MSE + cosine"
    "loss_weights": {"task": 1.0, "feature": 0.5},
    "epochs": 100,
    "save_every": 1940,  # "Save checkpoints every 10 epochs" of 194 batches
}
# No card of the name in the notes has 15.57 GiB; what NVML would have said is made up here.
SAGE_GPU = {"ordinal": 0, "name": "NVIDIA RTX A4000", "memory_total": int(15.57 * GIB)}
# "GPU: RTX 2060 SUPER (15.57 GiB VRAM)"
SAGE_NOTES = ("- GPU: RTX 2060 SUPER (15.57 GiB VRAM)", "- Speed: ~5 seconds per batch")
SAGE_OOM_EVAL = (
    "torch.OutOfMemoryError: CUDA out of memory.\n"
    "Tried to allocate 6.36 GiB. GPU has 15.57 GiB total, 6.14 GiB free.\n"
    "Process using 9.41 GiB (7.77 GiB by PyTorch)."
)
SAGE_OOM_TRAIN = (
    "torch.OutOfMemoryError: CUDA out of memory.\n"
    "Tried to allocate 3.18 GiB. GPU has 15.57 GiB total, 1.53 GiB free.\n"
    "Process using 14.02 GiB (10.59 GiB allocated by PyTorch, 3.14 GiB reserved)."
)
SAGE_BEGAN = at("2025-10-10 01:00")
SAGE_CRASHED = at("2025-10-10 02:06")  # "~2:06 AM: OOM crash during Epoch 2 batch 172/194"
SAGE_AGAIN = at("2025-10-12 19:10")  # "~7:10 PM: Memory fix applied, training restarted"


def sage_events():
    begun = SAGE_BEGAN + 5
    return [
        event("start", {}, time=SAGE_BEGAN),
        event("gpu", SAGE_GPU, time=SAGE_BEGAN),
        event("phase", {"phase": "train", "state": "begin"}, time=begun, line=2),
    ]


def sage_first():
    """Epoch 1 went well, its validation ran out of memory."""
    done = SAGE_BEGAN + 20 * 60  # "Time: ~20 minutes (194 batches)"
    two = {"steps": [1, 194], "times": [SAGE_BEGAN + 6, done]}
    died = {"phase": "eval", "state": "end", "seconds": 1.0, "error": SAGE_OOM_EVAL}
    return case(
        params={**SAGE_PARAMS, "eval_batch_size": 8},  # "batch_size=4,  # Reduced from 8"
        planned=19400,
        curves=[
            # "Start: 10.24% accuracy, loss 4764; End: 90.19% accuracy, loss 3265"
            curve("train/loss", [4764, 3265], **two),
            curve("train/accuracy", [0.1024, 0.9019], **two),
        ],
        events=[
            *sage_events(),
            event("phase", {"phase": "eval", "state": "begin"}, step=194, time=done, line=3),
            event("phase", died, step=194, time=done + 1, line=4),
        ],
        hits={"cuda_oom": said(1, SAGE_OOM_EVAL)},
        failures={1: failed(Cause.CUDA_OOM, SAGE_OOM_EVAL, step=194)},
        reported=notes(*SAGE_NOTES),
        started=SAGE_BEGAN,
        ended=True,
        outcome=Outcome.FAILED,
        exit=ended(SAGE_BEGAN, done + 1),
    )


def sage_second(**fields):
    """The second try of October 10: out of memory in training, in epoch 2, at batch 172."""
    two = {"steps": [1, 366], "times": [SAGE_BEGAN + 6, SAGE_CRASHED - 5]}
    fields.setdefault("ended", True)
    fields.setdefault("outcome", Outcome.FAILED)
    fields.setdefault("exit", ended(SAGE_BEGAN, SAGE_CRASHED))
    fields.setdefault("now", SAGE_CRASHED)
    fields.setdefault("events", sage_events())
    # "Loss: 4756 → 3551"
    fields.setdefault("curves", [curve("train/loss", [4756, 3551], **two)])
    return case(
        params={**SAGE_PARAMS, "eval_batch_size": 4},
        planned=19400,
        hits={"cuda_oom": said(1, SAGE_OOM_TRAIN)},
        failures={1: failed(Cause.CUDA_OOM, SAGE_OOM_TRAIN, step=366)},
        reported=notes(*SAGE_NOTES),
        started=fields.pop("started", SAGE_BEGAN),
        **fields,
    )


def sage_third():
    """The run of October 12, 65 hours later, and the evaluation of the first run's model."""
    began, now = SAGE_AGAIN, at("2025-10-12 19:46")
    source = "attempt-2/events-host-0-2.jsonl"
    # "Loss: 3276.6 (decreasing from 4728 → 3276)", "batch 127/194"
    loss = curve(
        "train/loss", [4756, 3551, 4728, 3276.6], steps=[1, 366, 1, 127],
        times=[SAGE_BEGAN + 6, SAGE_CRASHED - 5, began + 10, now],
    )  # fmt: skip
    loss = replace(loss, sources=[*loss.sources[:2], source, source])
    return sage_second(
        curves=[loss],
        events=[*sage_events(), event("start", {}, time=began, attempt=2)],
        attempt=2,
        started=began,
        now=now,
        ended=False,
        outcome=None,
        exit=None,
    )


# "Color 0 (background): 99.94% accuracy (146,289 pixels)" and so on
SAGE_RECALL = (0.9994, 0.0014, 0.0, 0.0010, 0.0, 0.0, 0.0016, 0.0, 0.0031, 0.0)
SAGE_PIXELS = (146_289, 1402, 1238, 2000, 776, 1007, 638, 308, 970, 172)


def sage_evaluated():
    """The evaluation of best_model.pt: 94.45% of the pixels, no grid."""
    one = {"steps": [194], "times": [SAGE_CRASHED]}
    return case(
        params={**SAGE_PARAMS, "eval_batch_size": 4},
        planned=19400,
        ended=True,
        events=[event("gpu", SAGE_GPU)],
        curves=[
            curve("val/pixel_accuracy", [0.9445], **one),  # "Pixel Accuracy: 94.45%"
            curve("val/grid_accuracy", [0.0], **one),  # "Grid Accuracy: 0.00%"
            *(curve(f"val/recall/{n}", [v], **one) for n, v in enumerate(SAGE_RECALL)),
            *(curve(f"val/count/{n}", [v], **one) for n, v in enumerate(SAGE_PIXELS)),
        ],
        reported=notes("- Pixel Accuracy: 94.45% ✓", "- Grid Accuracy: 0.00% ✗"),
    )
