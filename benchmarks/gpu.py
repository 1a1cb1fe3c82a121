"""Everything that wants a GPU, in one go, within ten minutes: speed, memory, a learning curve.

    python -m benchmarks.gpu [--minutes 10] [--out FILE] [key=value ...]      on one H200
    python -m benchmarks.gpu --cpu-smoke                      each path of it on a few numbers

What is measured and how: benchmarks/gpu_variant.py. First TRM-mlp 9x9 (batch 768, hidden 512, T=3,
n=6) in ours and the comparator's ways, then URM on ARC's canvas (96 rows) and HRM; what is left of
the time trains TRM-mlp on hard 9x9 Sudoku through experiments/puzzles/train.py; key=value changes
a setting of that. Ways of one wave compile at the same time, then each is measured alone. The
results are Markdown on standard output, for benchmarks/RESULTS.md; progress goes to standard error.

Exit codes: 0 measured, 1 a way failed or losses do not agree, 2 no CUDA device here.
"""

import argparse
import json
import platform
import queue
import shlex
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean

import torch

from benchmarks.flops import PEAK_H200
from benchmarks.gpu_training import TINY, TRAINING, say, start_data, sudoku
from benchmarks.gpu_variant import CASES, CHECKED, Variant

ROOT = Path(__file__).resolve().parents[1]
NO_DEVICE = 2
TOLERANCE = 0.02  # mean relative difference of the losses of the first 20 steps
GOAL_SPEED, GOAL_PEAK = 2.0, 0.40
LEAST_TRAINING = 150  # seconds that are kept for the learning curve
BASE = ("comparator", "segment", "default")  # what torch.compile makes of the originals' way

# Waves of (case, way, compiled, mode): those of one wave compile at the same time.
TRM, HRM, URM = CASES
WAVES = (
    (
        (TRM, *BASE),
        (TRM, "ours", "segment", "default"),
        (TRM, "ours", "blocks", "default"),
        (TRM, "ours", "off", "default"),
        (TRM, "comparator", "off", "default"),
    ),
    (
        (URM, "ours", "blocks", "default"),
        (URM, *BASE),
        (HRM, "ours", "blocks", "default"),
        (HRM, *BASE),
    ),
    (
        (TRM, "ours", "segment", "reduce-overhead"),  # its graphs keep their memory: not beside six
        (TRM, "ours", "blocks", "max-autotune-no-cudagraphs"),
    ),
)
LONGEST_WAVE = 200  # seconds, so that each wave has its turn
SMOKE = (
    ((TRM, *BASE), (TRM, "ours", "segment", "reduce-overhead")),
    ((URM, "ours", "blocks", "default"), (HRM, "comparator", "off", "default")),
)


COLUMNS = (
    "| way | it/s | samples/s | TFLOP/s | of peak, step | of peak, in matmul kernels "
    "| peak GiB | speed | losses differ | ready after |"
)


class Child:
    """A process that measures one variant; what it prints is read by a thread."""

    def __init__(self, variant: Variant) -> None:
        self.variant = variant
        self.said: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.gpu_variant", json.dumps(asdict(variant))],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: queue.Queue[str | None] = queue.Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.said.append(line.strip())
            self.lines.put(line)
        self.lines.put(None)

    def line(self, starts: str, deadline: float) -> str | None:
        """The next line that starts so; None if the process ends or the time is over first."""
        while True:
            try:
                line = self.lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return None
            if line is None or line.startswith(starts):
                return line

    def go(self) -> None:
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def end(self) -> str:
        """Stop it; the last that it said."""
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.reader.join()
        self.process.stdout.close()
        return next((line for line in reversed(self.said) if line), "it said nothing")


def run_wave(variants: list[Variant], deadline: float) -> tuple[list[dict], list[str]]:
    """What was measured, and what was not and why. All compile at once, each measures alone."""
    children = [Child(variant) for variant in variants]
    found, failed = [], []
    try:
        ready = [child.line("ready", deadline) is not None for child in children]
        for child, is_ready in zip(children, ready, strict=True):
            line = None
            if is_ready:
                child.go()
                line = child.line("{", deadline)
            why = child.end()
            name = f"{child.variant.case}, {child.variant.name}"
            if line is None:
                late = "the time was over" if time.monotonic() >= deadline else why
                failed.append(f"{name}: {late}")
            else:
                found.append(json.loads(line))
            say(failed[-1] if line is None else f"{name}: {1 / found[-1]['seconds']:.2f} it/s")
    finally:
        for child in children:
            if child.process.poll() is None:
                child.end()
    return found, failed


def apart(found: list[dict], base: dict | None) -> list[float | None]:
    """Mean relative difference of each one's first losses to those of `base`."""
    if base is None:
        return [None] * len(found)
    return [
        fmean(
            abs(ours - theirs) / theirs
            for ours, theirs in zip(one["losses"], base["losses"], strict=True)
        )
        for one in found
    ]


def base_of(found: list[dict]) -> dict | None:
    """The comparator under torch.compile's default mode."""
    keys = ("way", "compiled", "mode")
    return next((f for f in found if tuple(f["variant"][k] for k in keys) == BASE), None)


def table(case: str, found: list[dict]) -> tuple[list[str], bool]:
    """Markdown lines for one case, and whether all losses agree."""
    found = [one for one in found if one["variant"]["case"] == case]
    base = base_of(found)
    differences = apart(found, base)
    lines = [
        f"\n#### {case}: {found[0]['parameters']:,} parameters, {found[0]['rows']} rows, "
        f"{found[0]['flops'] / 1e12:.2f} TFLOP a step\n"
        if found
        else f"\n#### {case}: nothing measured\n",
        COLUMNS,
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for one, difference in zip(found, differences, strict=True):
        spent, matmul = one["seconds"], one["matmul"]
        cells = [
            Variant(**one["variant"]).name,
            f"{1 / spent:.2f}",
            f"{one['rows'] / spent:,.0f}",
            f"{one['flops'] / spent / 1e12:.1f}",
            f"{one['layer_flops'] / spent / PEAK_H200:.1%}",
            "unknown" if matmul is None else f"{one['layer_flops'] / matmul / PEAK_H200:.1%}",
            "unknown" if one["peak"] is None else f"{one['peak'] / 2**30:.1f}",
            "unknown" if base is None else f"{base['seconds'] / spent:.2f}x",
            "unknown" if difference is None else f"{difference:.2%}",
            f"{one['prepared']:.0f} s",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines, all(d is None or d <= TOLERANCE for d in differences)


def device_line(device: str) -> str:
    name = torch.cuda.get_device_name() if device == "cuda" else "no GPU (smoke test)"
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    return (
        f"{name}, torch {torch.__version__}, Python {platform.python_version()}, "
        f"commit {commit or 'unknown'}"
    )


def goals(found: list[dict]) -> list[str]:
    """The two goals beside what was measured."""
    trm = [one for one in found if one["variant"]["case"] == TRM]
    base = base_of(trm)
    ours = [one["seconds"] for one in trm if one["variant"]["way"] == "ours"]
    speed = "unknown" if base is None or not ours else f"{base['seconds'] / min(ours):.2f}x"
    shares = [
        one["layer_flops"] / one["seconds"] / PEAK_H200
        for one in found
        if one["variant"]["case"] == URM and one["variant"]["way"] == "ours"
    ]
    share = f"{max(shares):.1%}" if shares else "unknown"
    peak = f"dense bf16 peak ({PEAK_H200 / 1e12:.0f} TFLOP/s)"
    return [
        f"\n{TRM}, our fastest over the comparator compiled: {speed}, goal ≥ {GOAL_SPEED:.0f}x",
        f"\n{URM}, products of attention and MLP: {share} of {peak}, goal ≥ {GOAL_PEAK:.0%}",
    ]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="for all of it")
    parser.add_argument("--out", type=Path, help="write the Markdown there, too")
    parser.add_argument("--cpu-smoke", action="store_true", help="every path, tiny, no GPU")
    parser.add_argument("settings", nargs="*", help="key=value: settings of the training")
    return parser.parse_args()


def measure(waves: tuple, device: str, end: float) -> tuple[list[dict], list[str]]:
    """What was measured of all waves, and what was not and why."""
    found, failed = [], []
    for wave in waves:
        variants = [
            Variant(case=case, way=way, compiled=compiled, mode=mode, device=device)
            for case, way, compiled, mode in wave
        ]
        got, missing = run_wave(variants, min(end, time.monotonic() + LONGEST_WAVE))
        found, failed = found + got, failed + missing
    return found, failed


def report(found: list[dict], failed: list[str], device: str) -> tuple[list[str], bool]:
    """The results as Markdown lines, and whether all losses agree."""
    command = shlex.join(["python", "-m", "benchmarks.gpu", *sys.argv[1:]])
    how = (
        f"`{command}`, medians. Losses: mean relative difference over the first {CHECKED} steps to "
        f"the comparator compiled, at most {TOLERANCE:.0%}. Speed: over the same. Of peak, step: "
        "products of attention and MLP over the whole step's time."
    )
    lines = [
        f"### Models on a GPU, {datetime.now(UTC):%Y-%m-%d}: {device_line(device)}\n",
        how,
    ]
    tables = [table(case, found) for case in CASES]
    lines += [line for more, _ in tables for line in more]
    lines += goals(found)
    lines += [f"\nnot measured: {one}" for one in failed]
    agree = all(same for _, same in tables)
    return lines if agree else [*lines, "\n**losses do not agree**"], agree


def main() -> int:
    options = arguments()
    smoke, device = options.cpu_smoke, "cpu" if options.cpu_smoke else "cuda"
    if not smoke and not torch.cuda.is_available():
        print(
            "gpu.py: torch sees no CUDA device here. Run it on a machine with an NVIDIA GPU, or "
            "`python -m benchmarks.gpu --cpu-smoke` to run every path of it on a few numbers",
            file=sys.stderr,
        )
        return NO_DEVICE
    end = time.monotonic() + 60 * options.minutes - 15
    settings = TRAINING | (TINY if smoke else {})
    settings |= dict(setting.split("=", 1) for setting in options.settings)
    data = start_data(settings)
    found, failed = measure(
        SMOKE if smoke else WAVES, device, end if smoke else end - LEAST_TRAINING
    )
    lines, agree = report(found, failed, device)
    data.wait()
    lines += sudoku(settings, 20 if smoke else max(30.0, end - time.monotonic()))
    text = "\n".join(lines) + "\n"
    print(text)
    if options.out:
        options.out.write_text(text)
    return int(bool(failed) or not agree)


if __name__ == "__main__":
    sys.exit(main())
