"""Training steps of models/ on the CPU: speed, operations, memory, beside the originals' way.

For each configuration, in turns within one run: ours in float32, ours under autocast, ours with
weights cast once a step to bfloat16, and the comparator in bfloat16 (benchmarks/trm_comparator.py)
with the same weights and rows. Ours in bfloat16 and the comparator take 20 steps, and their losses
must agree. Operations are those of benchmarks/flops.py.
"""

import ctypes
import gc
import os
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import fmean, median

# Threads that wait give way: beside other work, spinning made steps up to a hundred times longer.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

from benchmarks.cases import Case, OurTraining, batches, twin
from benchmarks.comparator_step import ComparatorTraining
from models import hrm, trm, urm
from models.recurrent import Convolution, CoreConfig, RecurrentCore, count_parameters

STEPS, FEW, WARM = 20, 6, 2
# Mean over the steps of |ours - comparator| / comparator: bfloat16 rounds to one part in 256.
TOLERANCE = 0.02
CPU = torch.device("cpu")

_SMALL = CoreConfig(
    vocabulary=8,
    side=6,
    layers={"net": 1},
    width=64,
    heads=4,
    inner_multiple=32,
    mixer="mlp",
    positions="none",
    plan=trm.trm_plan(1, 3),
)
_ATTENTION = replace(_SMALL, mixer="attention", positions="rotary_flat", vocabulary=6, side=11)
_ARC = replace(
    _ATTENTION,
    vocabulary=12,
    side=8,
    positions="rotary_grid",
    convolution=Convolution(kind="plane", place="mlp_input", kernel=3),
)
_SUDOKU = replace(_SMALL, vocabulary=11, side=9)
CASES = (
    Case(name="Sudoku 6x6, d64", config=_SMALL, rows=64, kind="trm_mlp", segments=8),
    Case(name="Sudoku 9x9, d64", config=_SUDOKU, rows=48, kind="trm_mlp"),
    Case(name="Sudoku 9x9, d128", config=replace(_SUDOKU, width=128), rows=32, kind="trm_mlp"),
    Case(name="maze 11x11, attention", config=_ATTENTION, rows=16, kind="trm_attention"),
    Case(name="ARC 8x8", config=_ARC, rows=32, kind=None, identifiers=300, segments=2),
    Case(name="TRM-mlp 9x9", config=trm.mlp(), rows=2, kind="trm_mlp"),
    Case(name="HRM 9x9", config=hrm.original(), rows=2, kind="hrm"),
    Case(name="URM 9x9", config=urm.original(11, 9), rows=2, kind="urm"),
)


@dataclass(slots=True)
class Measured:
    """One way of training one case: seconds and losses of its steps, and bytes at the peak."""

    way: str
    step: Callable[[dict[str, torch.Tensor]], object]
    steps: int
    seconds: list[float]
    losses: list[float]
    peak: int | None = None


def autocast(segment: Callable) -> Callable:
    def under_autocast(*arguments):
        with torch.autocast("cpu", torch.bfloat16):
            return segment(*arguments)

    return under_autocast


def ways(case: Case, first: dict[str, torch.Tensor]) -> list[Measured]:
    """The ways of training a case, all from the same weights."""
    torch.manual_seed(0)
    core = RecurrentCore(case.config)

    def same() -> RecurrentCore:
        copy = RecurrentCore(case.config)
        copy.load_state_dict(core.state_dict())
        return copy

    ours = OurTraining(case, same(), torch.bfloat16)
    made = {
        "float32": (OurTraining(case, same(), None).step, FEW),
        "autocast": (OurTraining(case, same(), None, autocast).step, FEW),
        "cast once": (ours.step, STEPS),
    }
    if case.kind is not None:
        comparator = ComparatorTraining(twin(case, core, torch.bfloat16), first)
        made["comparator"] = (comparator.step, STEPS)
    return [
        Measured(way=way, step=step, steps=steps, seconds=[], losses=[])
        for way, (step, steps) in made.items()
    ]


def measure(case: Case) -> list[Measured]:
    """All ways in turns, step by step, so that what else the machine does meets all alike."""
    fed = batches(case, STEPS, CPU)
    measured = ways(case, fed[0])
    for place, batch in enumerate(fed):
        for one in measured:
            if place < one.steps:
                begun = time.perf_counter()
                loss = float(one.step(batch))
                one.seconds.append(time.perf_counter() - begun)
                one.losses.append(loss)
    for one in measured:
        one.peak = peak_memory(partial(one.step, fed[0]))
    return measured


def peak_memory(work: Callable[[], object]) -> int | None:
    """Bytes that `work` needs at its peak over what stood before; None if Linux does not say."""
    gc.collect()
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins anew
        before = _status("VmRSS")
        work()
        return _status("VmHWM") - before
    except OSError:
        return None


def _status(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    if found is None:
        raise OSError(f"/proc/self/status has no {name}")
    return 1024 * int(found[1])


def difference(measured: list[Measured]) -> float | None:
    """Mean relative difference of the losses of ours cast once and the comparator's."""
    by_way = {one.way: one.losses for one in measured}
    if "comparator" not in by_way:
        return None
    pairs = zip(by_way["cast once"], by_way["comparator"], strict=True)
    return fmean(abs(ours - theirs) / theirs for ours, theirs in pairs)


def rows_of(case: Case, measured: list[Measured]) -> list[str]:
    """A line of the table for each way; ratios are to the comparator, else to float32."""
    times = {one.way: median(one.seconds[WARM:]) for one in measured}
    base = times.get("comparator", times["float32"])
    lines = []
    for one in measured:
        spent = times[one.way]
        peak = "unknown" if one.peak is None else f"{one.peak / 2**20:,.0f}"
        lines.append(
            f"{case.name:<22} {one.way:<11} {1 / spent:8.2f} {case.rows / spent:10.1f} "
            f"{case.flops.total / spent / 1e12:8.3f} {peak:>8} {base / spent:6.2f}x"
        )
    return lines


def main() -> int:
    """Print the table; 1 if the losses of a case do not agree."""
    print(
        f"{'configuration':<22} {'way':<11} {'it/s':>8} {'samples/s':>10} {'TFLOP/s':>8} "
        f"{'peak MiB':>8} {'speed':>7}"
    )
    notes, missed = [], False
    for case in CASES:
        measured = measure(case)
        print("\n".join(rows_of(case, measured)), flush=True)
        apart = difference(measured)
        missed |= apart is not None and not apart <= TOLERANCE
        parameters = count_parameters(RecurrentCore(case.config))
        said = "no original like it" if apart is None else f"losses differ by {apart:.2%}"
        notes.append(
            f"{case.name}: {parameters:,} parameters, {case.rows} rows, "
            f"{case.flops.total / 1e9:.1f} GFLOP a step, {said}"
        )
    print("\nspeed: over the comparator's, where there is none over float32's; medians")
    print("\n".join(notes))
    print(
        f"losses of cast once and comparator over {STEPS} steps, at most {TOLERANCE:.0%}: "
        f"{'missed' if missed else 'kept'}"
    )
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
