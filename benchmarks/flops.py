"""Floating-point operations of one training step, counted by hand.

What is counted: matrix products, two operations a multiply-add; attention's two products included.
A graded call costs three forwards (its own, the gradient of what came in, that of its weights), a
forward-only call one. HRM's second forward is counted; elementwise work, depthwise convolutions,
the optimizer and the embedding are not. What a kernel recomputes is not counted: it is the price of that kernel.
"""

from dataclasses import dataclass

from benchmarks.trm_comparator import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFlops:
    """Operations of one training step over all rows: in the layers, and in the heads."""

    layers: int
    heads: int

    @property
    def total(self) -> int:
        return self.layers + self.heads


def layer_flops(shape: Shape) -> int:
    """One layer on one row, forward."""
    positions, width = shape.positions, shape.width
    gated = 3 * width * shape.inner * positions
    if shape.kind == "trm_mlp":
        mixing = 3 * positions * shape.token_inner * width
    else:
        mixing = 4 * width * width * positions + 2 * positions * positions * width
    return 2 * (gated + mixing)


def calls(shape: Shape) -> tuple[int, int]:
    """(forward-only, graded) calls of a stack in one segment."""
    if shape.kind == "urm":
        return (shape.outer - 1) * shape.inner_calls, shape.inner_calls
    cycle = shape.inner_calls + 1
    graded = 2 if shape.kind == "hrm" else cycle
    return shape.outer * cycle - graded, graded


def step_flops(shape: Shape, rows: int) -> StepFlops:
    """One training step: forward, backward, and for HRM the forward that looks ahead."""
    plain, graded = calls(shape)
    forwards = plain + 3 * graded
    head = 2 * shape.width * (shape.vocabulary * shape.cells + 2)
    heads = 3 * head
    if shape.kind == "hrm":
        forwards += plain + graded
        heads += 2 * shape.width * 2  # looking ahead needs the halting head only
    return StepFlops(
        layers=rows * forwards * shape.layers * layer_flops(shape), heads=rows * heads
    )
