"""SAGE's training step and inference: the original's way, its network with SDPA, the student.

In turns within one run, from the same features. The first two have the same weights, and without
dropout their logits must agree; the third answers the same question with another network. The
seeds' log has 5,164 tokens a row, 5 s for a training step of 8 rows and 652 ms for a grid. On a CPU
a step of that size takes minutes, and the original's way as much memory as there is: the cases
there are smaller, and each says its size.
"""

# First, as it sets how threads wait before torch is loaded.
from benchmarks.models import peak_memory  # isort: skip

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import median
from typing import Literal

import torch
from torch import Tensor, nn

from benchmarks.sage_comparator import twin
from models.recurrent import count_parameters
from models.sage import ORIGINAL, Sage, SageConfig, SageOutput, student
from models.sage_losses import cell_losses, colour_weights, feature_losses, shape_losses

TOKENS = 5_164  # of a row in the seeds
# Largest difference of logits, relative to the largest logit: float32 in another order of sums.
TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One measurement: how many rows of how many tokens, and how often."""

    kind: Literal["training", "inference"]
    rows: int
    tokens: int
    repeats: int = 3
    original: SageConfig = ORIGINAL
    student: SageConfig = field(default_factory=student)

    def tiny(self) -> "Case":
        """The same code on a few numbers."""
        sizes = {"features": 12, "width": 16, "layers": 2, "heads": 2, "tokens": 40, "side": 3}
        small = replace(self.original, feedforward=32, **sizes)
        return replace(self, rows=2, tokens=10, original=small, student=student(**sizes))


CPU_CASES = (
    Case(kind="training", rows=1, tokens=TOKENS // 2),
    Case(kind="inference", rows=1, tokens=TOKENS),
    Case(kind="inference", rows=64, tokens=TOKENS // 16, repeats=2),
)
GPU_CASES = (
    Case(kind="training", rows=8, tokens=TOKENS, repeats=10),
    Case(kind="inference", rows=1, tokens=TOKENS, repeats=30),
    Case(kind="inference", rows=64, tokens=TOKENS, repeats=5),
)


@dataclass(slots=True)
class Way:
    """A network and how it is run; seconds of its repeats and bytes at its peak."""

    name: str
    net: nn.Module
    work: Callable[[], object]
    seconds: list[float] = field(default_factory=list)
    peak: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Features [B, L, F], all of them tokens, labels [B, S] and sizes [B, 2] of answers."""

    features_BLF: Tensor
    valid_BL: Tensor
    labels_BS: Tensor
    sizes_B2: Tensor


def data_of(case: Case, device: torch.device) -> Data:
    """The same random rows for all ways; features spread as those of GR00T, 2.1."""
    source = torch.Generator().manual_seed(0)
    size, cells = (case.rows, case.tokens), case.original.side**2
    made = Data(
        features_BLF=2.1 * torch.randn(*size, case.original.features, generator=source),
        valid_BL=torch.ones(size, dtype=torch.bool),
        labels_BS=torch.randint(case.original.colours, (case.rows, cells), generator=source),
        sizes_B2=torch.randint(1, case.original.side + 1, (case.rows, 2), generator=source),
    )
    return Data(**{name: getattr(made, name).to(device) for name in Data.__slots__})


def ways_of(case: Case, data: Data) -> list[Way]:
    """The original's way, its network with SDPA, the student; on a GPU both again in bfloat16."""
    torch.manual_seed(0)
    device = data.features_BLF.device
    ours = Sage(replace(case.original, reconstruct=True)).to(device)
    rebuilt = Sage(case.student).to(device)
    made = [
        _way("original", twin(ours), partial(_call_masked, data=data), case, data),
        _way("SDPA", ours, partial(_call, data=data), case, data),
        _way("student", rebuilt, partial(_call, data=data), case, data),
    ]
    if device.type == "cuda":
        half = partial(_call_half, data=data)
        made.append(_way("SDPA, bfloat16", ours, half, case, data))
        made.append(_way("student, bfloat16", rebuilt, half, case, data))
    return made


def _way(
    name: str, net: nn.Module, call: Callable[[nn.Module], SageOutput], case: Case, data: Data
) -> Way:
    if case.kind == "inference":
        return Way(name, net, torch.no_grad()(partial(call, net.eval())))
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4, weight_decay=0.01)
    return Way(name, net, partial(_train, net.train(), call, optimizer, data))


def _call(net: nn.Module, *, data: Data) -> SageOutput:
    return net(data.features_BLF)


def _call_masked(net: nn.Module, *, data: Data) -> SageOutput:
    return net(data.features_BLF, data.valid_BL)


def _call_half(net: nn.Module, *, data: Data) -> SageOutput:
    with torch.autocast("cuda", torch.bfloat16):
        return net(data.features_BLF)


def _train(net: nn.Module, call: Callable, optimizer: torch.optim.Optimizer, data: Data) -> Tensor:
    """One step of the original's recipe: AdamW, the norm of the gradient clipped to 1."""
    output = call(net)
    weights_C = colour_weights(torch.ones(output.cells_BSC.shape[-1]), "none")
    values_N, _ = cell_losses(output.cells_BSC, data.labels_BS, weights_C.to(data.labels_BS.device))
    features_N = feature_losses(output.reconstructed_BPF, output.tokens_BPF, output.valid_BP)
    loss = values_N.mean() + 0.5 * features_N.mean()
    if output.height_BM is not None:
        loss = loss + shape_losses(output.height_BM, output.width_BM, data.sizes_B2).mean()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
    return loss.detach()


@torch.no_grad()
def difference(ways: list[Way], data: Data) -> float:
    """Largest difference of the logits of the first two ways, relative to the largest logit."""
    theirs = ways[0].net.eval()(data.features_BLF, data.valid_BL).cells_BSC
    ours = ways[1].net.eval()(data.features_BLF).cells_BSC
    return float((ours - theirs).abs().max() / theirs.abs().max())


def measure(case: Case, device: torch.device) -> tuple[list[Way], float]:
    """Repeats of all ways in turns; what the machine does besides meets all alike."""
    data = data_of(case, device)
    ways = ways_of(case, data)
    apart = difference(ways, data)
    for way in ways:
        if case.kind == "training":
            way.net.train()
        way.peak = _peak(way.work, device)  # also the warm-up
    for _ in range(case.repeats):
        for way in ways:
            begun = time.perf_counter()
            way.work()
            if device.type == "cuda":
                torch.cuda.synchronize()
            way.seconds.append(time.perf_counter() - begun)
    return ways, apart


def _peak(work: Callable[[], object], device: torch.device) -> int | None:
    if device.type != "cuda":
        return peak_memory(work)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    work()
    return torch.cuda.max_memory_allocated() - before


def rows_of(case: Case, ways: list[Way]) -> list[str]:
    """A line of the table for each way; speed is over the original's way."""
    size = f"{case.kind}, {case.rows} x {case.tokens:,}"
    base = median(ways[0].seconds)
    lines = []
    for way in ways:
        spent = median(way.seconds)
        peak = "unknown" if way.peak is None else f"{way.peak / 2**20:,.0f}"
        lines.append(
            f"{size:<22} {way.name:<18} {spent * 1e3:10,.0f} {spent * 1e3 / case.rows:12,.1f} "
            f"{peak:>9} {base / spent:6.2f}x"
        )
    return lines


def main() -> int:
    """Print the table; 1 if the same network says something else in another way."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    print(
        f"{'rows x tokens':<22} {'way':<18} {'ms':>10} {'ms a grid':>12} {'peak MiB':>9} "
        f"{'speed':>7}"
    )
    worst = 0.0
    for case in GPU_CASES if device.type == "cuda" else CPU_CASES:
        ways, apart = measure(case, device)
        print("\n".join(rows_of(case, ways)), flush=True)
        worst = max(worst, apart)
    original, rebuilt = (Sage(config) for config in (ORIGINAL, student()))
    print(
        f"\noriginal: {count_parameters(original):,} parameters; student:"
        f" {count_parameters(rebuilt):,}, tokens pooled by {rebuilt.config.pool};"
        f" float32 on {device.type} where not said otherwise, {torch.get_num_threads()} threads\n"
        f"the seeds' size is {TOKENS:,} tokens, training 8 rows; speed: over the original's way\n"
        f"logits of original and SDPA differ by {worst:.1e} of the largest, at most"
        f" {TOLERANCE:.0e}: {'kept' if worst <= TOLERANCE else 'missed'}"
    )
    return int(not worst <= TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
