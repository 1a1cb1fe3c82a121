"""Floating-point operations of one training step, counted by hand.

What is counted: matrix products, two operations a multiply-add; attention's two products included.
A graded call costs three forwards (its own, the gradient of what came in, that of its weights), a
forward-only call one. HRM's second forward is counted; elementwise work, depthwise convolutions,
the optimizer and the embedding are not. What a kernel computes again is not: it is that kernel's
price, not work done.
"""

from dataclasses import dataclass

from models.layers import inner_width
from models.recurrent import CoreConfig

PEAK_H200 = 989e12  # dense bf16 FLOP/s of one H200, the vendor's figure


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFlops:
    """Operations of one training step over all rows: in the layers, and in the heads."""

    layers: int
    heads: int

    @property
    def total(self) -> int:
        return self.layers + self.heads


def layer_flops(config: CoreConfig) -> int:
    """One block on one row, forward."""
    length, width = config.length, config.width
    inner = inner_width(width, config.expansion, config.inner_multiple)
    gated = 3 * width * inner * length
    if config.mixer == "mlp":
        inner = inner_width(length, config.expansion, config.inner_multiple)
        mixing = 3 * length * inner * width
    else:
        mixing = 4 * width * width * length + 2 * length * length * width
    return 2 * (gated + mixing)


def step_flops(config: CoreConfig, rows: int, *, look_ahead: bool) -> StepFlops:
    """One training step: forward, backward, and with `look_ahead` HRM's second forward."""
    calls = config.plan.calls
    forwards = [config.layers[call.module] * (3 if call.graded else 1) for call in calls]
    reads = 1 + sum(call.read for call in calls[:-1])
    answer = 2 * config.width * config.vocabulary * config.side**2
    halting = 2 * config.width * 2  # only the last reading of it is trained
    heads = 3 * reads * answer + (reads + 2) * halting
    if look_ahead:
        forwards += [config.layers[call.module] for call in calls]
        heads += reads * (answer + halting)
    return StepFlops(layers=rows * sum(forwards) * layer_flops(config), heads=rows * heads)
