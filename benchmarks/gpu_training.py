"""The learning curve of benchmarks/gpu.py: hard 9x9 Sudoku through experiments/puzzles/train.py."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GRACE = 15  # seconds from SIGTERM to SIGKILL

# TRM's own recipe for Sudoku (2510.04871 sec. 5, code), on puzzles that are generated here.
TRAINING = {
    "data": "sudoku-9x9",
    "train_puzzles": 1000,
    "test_puzzles": 1000,
    "givens": "21,34",
    "hardest": 0.2,
    "augmentations": 200,
    "model": "trm",
    "cycles": 3,
    "inner": 6,
    "mixer": "mlp",
    "mixer_norm": "positions",
    "positions": "none",
    "identity_tokens": 16,
    "width": 512,
    "heads": 8,
    "layers": 2,
    "inner_multiple": 256,
    "segments": 16,
    "loss": "stablemax",
    "optimizer": "adam_atan2",
    "lr": 1e-4,
    "lr_end": 1.0,
    "warmup": 500,
    "weight_decay": 1.0,
    "identity_lr": 1e-4,
    "identity_weight_decay": 1.0,
    "clip": 0,
    "ema": 0.999,
    "batch": 768,
    "eval_segments": 16,
    "eval_batch": 1000,
    "eval_every": 250,
    "eval_share": 0.5,
    "checkpoint_every": 100_000,
    "log_every": 50,
    "steps": 20_000,  # more than fit: it is stopped when the time is over
    "compile": "blocks",
    "device": "cuda",
}
TINY = {"train_puzzles": 20, "test_puzzles": 10, "augmentations": 1, "hardest": 1.0, "width": 32}
TINY |= {"data": "sudoku-6x6", "givens": "14,20", "layers": 1, "heads": 2, "inner_multiple": 32}
TINY |= {"batch": 4, "cycles": 1, "inner": 1, "segments": 2, "eval_segments": 2, "steps": 20}
TINY |= {"eval_every": 5, "ema": 0.5, "eval_share": 1.0, "log_every": 5, "warmup": 2}
TINY |= {"compile": "off", "device": "cpu", "identity_tokens": 1}


def say(text: str) -> None:
    print(f"[{datetime.now(UTC):%H:%M:%S}] {text}", file=sys.stderr, flush=True)


def start_data(settings: dict[str, object]) -> subprocess.Popen:
    """Generate the puzzles into the cache while the GPU is measured."""
    code = (
        "import sys; from experiments.puzzles.data import data_folder; "
        "from experiments.puzzles.settings import read_settings; "
        "data_folder(read_settings({}, sys.argv[1:]))"
    )
    arguments = [f"{key}={value}" for key, value in settings.items()]
    return subprocess.Popen([sys.executable, "-c", code, *arguments], cwd=ROOT)


def train(settings: dict[str, object], seconds: float, folder: Path) -> tuple[list[str], str]:
    """Lines of validation of a training that is stopped after so many seconds, and its last line.

    A program with arguments, as anyone would start it; SIGTERM makes it save and end.
    """
    argv = [sys.executable, str(ROOT / "experiments/puzzles/train.py")]
    argv += [f"{key}={value}" for key, value in settings.items()]
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    begun, curve, last = time.monotonic(), [], "it said nothing"
    process = subprocess.Popen(
        argv, cwd=folder, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    timers = [
        threading.Timer(seconds, process.send_signal, [signal.SIGTERM]),
        threading.Timer(seconds + GRACE, process.kill),
    ]
    for timer in timers:
        timer.start()
    try:
        for line in process.stdout:
            last = line.strip() or last
            if re.match(r"step \d+ validation:", last):
                curve.append(f"{time.monotonic() - begun:.0f} s, {last}")
                say(curve[-1])
    finally:
        for timer in timers:
            timer.cancel()
        process.kill()
        process.wait()
        process.stdout.close()
    return curve, last


def sudoku(settings: dict[str, object], seconds: float) -> list[str]:
    """The learning curve as Markdown lines."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        curve, last = train(settings, seconds, Path(folder))
    return [
        f"\n#### {settings['data']}, {seconds:.0f} s with compilation and validation\n",
        "```",
        *(curve or ["no validation was reached"]),
        f"last: {last}",
        "```",
        "\nsettings: " + " ".join(f"{key}={value}" for key, value in settings.items()),
    ]
