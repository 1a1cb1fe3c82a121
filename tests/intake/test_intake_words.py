import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.store.formats.words import plain_text, read_line

# line → step, epoch, values; what is None or absent is not read.
LINES = [
    ("step 100 | loss 2.31 | lr 3e-4", 100, None, {"loss": 2.31, "lr": 3e-4}),
    ("step=7 loss=0.25", 7, None, {"loss": 0.25}),
    ("Epoch 1: loss 0.5", None, 1, {"loss": 0.5}),
    ("[epoch 3/10] train_loss: 0.12 acc: 94.1%", None, 3, {"train_loss": 0.12, "acc": 0.941}),
    (
        "{'loss': 0.5, 'grad_norm': 1.2, 'learning_rate': 3e-05, 'epoch': 1.0}",
        None,
        1,
        {"loss": 0.5, "grad_norm": 1.2, "learning_rate": 3e-5},
    ),
    ("{'loss': '0.5', 'epoch': '2'}", None, 2, {"loss": 0.5}),
    ('{"step": 12, "loss": -0.5}', 12, None, {"loss": -0.5}),
    ("iter 25: loss 2.5, time 30ms, mfu 10%", 25, None, {"loss": 2.5, "time_ms": 30, "mfu": 0.1}),
    ("step 250: train loss 2.4, val loss 2.5", 250, None, {"train_loss": 2.4, "val_loss": 2.5}),
    ("Epoch [1/5], Step [100/600], Loss: 0.5", 100, 1, {"Loss": 0.5}),
    ("Train Epoch: 1 [640/60000 (1%)]\tLoss: 2.277847", None, 1, {"Loss": 2.277847}),
    ("Epoch 2 batch 30/938 loss=0.5", 30, 2, {"loss": 0.5}),
    ("global_step: 1,200 | Validation acc: 94.1 %", 1200, None, {"validation_acc": 0.941}),
    ("Test: Average loss: 0.05, Accuracy: 98/100 (98%)", None, None, {"test_average_loss": 0.05}),
    ("step 3 y=1,234.5 z=-.5 w=+1e3.", 3, None, {"y": 1234.5, "z": -0.5, "w": 1000.0}),
    ("step 3 train/loss=0.5 pass@1: 5%", 3, None, {"train/loss": 0.5, "pass@1": 0.05}),
    ("step 4 mem 3.5GB mem=3.5GiB at=120 tok/s", 4, None, {"mem_GiB": 3.5, "at_tok_per_s": 120}),
    ("loss 0.5 min 0.4 step 3", 3, None, {"loss": 0.5}),
    ("Train Loss: 0.5 Acc: 90% | Val. Loss: 0.6 Acc: 80%", None, None,
     {"train_Loss": 0.5, "Acc": 0.9, "val_Loss": 0.6, "val_Acc": 0.8}),
    ("train: step=1 loss=0.5 | valid: step=1 loss=0.7", 1, None, {"loss": 0.5, "valid_loss": 0.7}),
    ("step 2 loss=0.5 acc=0.1 loss=0.7 acc=0.1", 2, None, {"acc": 0.1}),
    ("step 2 test=0.5 f1=0.1 val_loss=0.7", 2, None, {"test": 0.5, "f1": 0.1, "val_loss": 0.7}),
    ("| valid | epoch 001 | loss 8.1 | num_updates 90", 90, 1, {"valid_loss": 8.1}),
    ("Epoch: [0][ 10/391]\tTime  0.1 ( 0.2)\tLoss 4.5 (4.6)", 10, 0, {"Time": 0.1, "Loss": 4.5}),
    ("Training Epoch: 1 [640/50000]\tLoss: 0.5\tLR: 0.1", None, 1, {"Loss": 0.5, "LR": 0.1}),
    ("Epoch(train) [1][50/7330] lr: 0.1", 50, 1, {"lr": 0.1}),
    ("Epoch(val) [1][625/625] mAP: 0.1", None, None, {"val_mAP": 0.1}),
    (" iteration      100/  500000 | learning rate: 1.5E-06 | grad norm: 1.8", 100, None,
     {"learning_rate": 1.5e-6, "grad_norm": 1.8}),
    ("[rank0]: step 3 loss=0.5", 3, None, {"loss": 0.5}),
    ("[rank3]: step 3 loss=0.5", None, None, {}),
]  # fmt: skip
# What looks like a value or a step and is none.
NOTHING = [
    "at 12:30:45 v1.2.3 x=85/100 z=3e-4x hash=3f2a",
    "python train.py --step 10 --lr=3e-4",
    "lr=3e-4x",
    "10.5 ms/step 30",
    "takes 3 s per step 30",
    "seed=3 rank: 0 eta=12",
    "batch=64",
    "step: 3.",
    "saved to checkpoint_step100.pt",
    "loss: 0.5-0.7",
    "https://host/step/30?loss=1&acc=1",
    "loss 0,5 acc=91,2%",
    "elapsed: 1h 3m 5s remaining time: 1 day, 3:00:00 parameters: 10 M left: 3 hours",
    "Namespace(lr=0.1, epoch=200)",
    "args: TrainingArguments(lr=0.1)",
    "[rank0]: ValueError: size: 64, got: 32",
    "torch.OutOfMemoryError: CUDA out of memory. free: 3.5",
    "/a/b.py:62: UserWarning: lr=0.1 is large",
    "wandb:  loss 0.5",
]


@pytest.mark.parametrize(("line", "step", "epoch", "values"), LINES)
def test_a_line_says_its_step_its_epoch_and_its_values(line, step, epoch, values):
    """What people print is read as they mean it, whatever stands between name and value."""
    words = read_line(line)
    assert (words.step.count if words.step else None) == step
    assert (words.epoch.count if words.epoch else None) == epoch
    assert words.values == values


@pytest.mark.parametrize("line", NOTHING)
def test_what_only_looks_like_a_value_is_none(line):
    """Times, versions, paths, options of commands, shares and sizes are no metrics."""
    assert read_line(line).values == {}


@pytest.mark.parametrize(
    "line",
    [
        "python train.py --step 10",
        "10.5 ms/step 30",
        "takes 3 s per step 30",
        "max_step=100 steps=50",
        "batch=64",
        "saved to checkpoint_step100.pt",
        "https://host/step/30",
        "step_time=3",
        "Namespace(lr=0.1, step=10)",
        f"step {10**20} loss 1",
    ],
)
def test_what_only_looks_like_a_step_is_none(line):
    """Speeds per step, limits, sizes and file names name no step."""
    assert read_line(line).step is None


@pytest.mark.parametrize("written", ["nan", "NaN", "-inf", "inf", "Infinity"])
def test_what_is_not_finite_is_a_value(written):
    """A loss that went to NaN is what a run must not hide."""
    value = read_line(f"step 3 loss={written} acc=0.5").values["loss"]
    assert repr(value) == repr(float(written)) or (math.isnan(value) and written in {"nan", "NaN"})


@pytest.mark.parametrize(
    ("line", "heading"),
    [
        ("Epoch 3/10", True),
        ("==== Training epoch 3 ====", True),
        ("--- step 100 ---", True),
        ("Saving at epoch 3", False),
        ("resumed from step 100", False),
        ("will evaluate every epoch 5", False),
    ],
)
def test_a_heading_names_its_place_and_nothing_else(line, heading):
    """Only a line that announces an epoch or step gives it to the lines below."""
    assert read_line(line).heading is heading


def test_colours_and_cursor_moves_are_no_text():
    """What a terminal would not show is not read."""
    line = b"\x1b[1;32mstep\x1b[0m 3 \x1b[Aloss\x1b[31m: 0.5\x1b[0m\x1b]0;title\x07\r"
    assert plain_text(line) == "step 3 loss: 0.5"


@given(st.text(max_size=200) | st.binary(max_size=200).map(plain_text))
def test_no_line_is_an_error(text):
    """Whatever a program prints is read or passed over."""
    words = read_line(text)
    assert all(isinstance(value, float) and name for name, value in words.values.items())
