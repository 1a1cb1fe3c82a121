"""Deep supervision: one optimizer step per segment, with rows that halt and are replaced.

A row of the batch stays in its slot for several segments; its latents are handed on without their
graph. It leaves when it halts: after `segments` segments, or earlier once the halting head says
"right" (TRM 2510.04871 sec. 4.6). With probability `exploration` a row must stay for a random
number of segments first, so that late segments are trained too (HRM 2506.21734 sec. 2).

Shapes: B rows, S cells, L = S + 1 positions, D width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from models.losses import CrossEntropy, grid_loss, halt_loss, rows_exact
from models.recurrent import Latents, Prediction, RecurrentCore


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Examples: cells and labels [B, S], and the I identity rows of each, [B, I]."""

    cells_BS: Tensor
    labels_BS: Tensor
    identifiers_BI: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Carry:
    """What goes from one segment to the next: rows, their latents, age and earliest end."""

    rows: Rows
    latents: Latents
    age_B: Tensor
    minimum_B: Tensor
    halted_B: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Halting:
    """When a row leaves its slot."""

    segments: int = 8
    exploration: float = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentLoss:
    """Means over the rows of one segment, in nats, and the share of rows that are right."""

    total: Tensor
    grid: Tensor
    halt: Tensor
    exact: Tensor


def empty_carry(core: RecurrentCore, rows: int, identifiers: int = 1) -> Carry:
    """A carry of `rows` free slots for puzzles that name `identifiers` rows of the table."""
    cells = core.config.side**2
    nothing = torch.zeros(rows, dtype=torch.long)
    identity_BI = torch.zeros(rows, identifiers, dtype=torch.long)
    canvas_BS = torch.zeros(rows, cells, dtype=torch.long)
    return Carry(
        rows=Rows(cells_BS=canvas_BS, labels_BS=canvas_BS.clone(), identifiers_BI=identity_BI),
        latents=core.start(rows),
        age_B=nothing.clone(),
        minimum_B=nothing.clone(),
        halted_B=torch.ones(rows, dtype=torch.bool),
    )


def refill(core: RecurrentCore, carry: Carry, fresh: Rows, halting: Halting) -> Carry:
    """Put `fresh` rows, in order, into the slots that are free; the others keep what they have.

    Exactly as many rows are drawn as there are free slots, so no example is lost.
    """
    free = carry.halted_B
    count = int(free.sum())
    old, start = carry.rows, core.start(count)
    explored = torch.rand(count) < halting.exploration
    stay = torch.randint(2, max(halting.segments, 2) + 1, (count,)).where(explored, 0)
    return Carry(
        rows=Rows(
            cells_BS=_put(old.cells_BS, free, fresh.cells_BS),
            labels_BS=_put(old.labels_BS, free, fresh.labels_BS),
            identifiers_BI=_put(old.identifiers_BI, free, fresh.identifiers_BI),
        ),
        latents=Latents(
            y_BLD=_put(carry.latents.y_BLD, free, start.y_BLD),
            z_BLD=_put(carry.latents.z_BLD, free, start.z_BLD),
        ),
        age_B=carry.age_B.where(~free, 0),
        minimum_B=_put(carry.minimum_B, free, stay),
        halted_B=torch.zeros_like(free),
    )


def _put(old: Tensor, free_B: Tensor, new: Tensor) -> Tensor:
    out = old.clone()
    out[free_B] = new
    return out


def supervise(
    core: RecurrentCore, carry: Carry, halting: Halting, kind: CrossEntropy
) -> tuple[Carry, SegmentLoss]:
    """Run one segment on every row; the loss has a graph, the carry that comes back has none."""
    rows = carry.rows
    x_BLD = core.embed(rows.cells_BS, rows.identifiers_BI)
    latents, prediction = core.segment(x_BLD, carry.latents)
    exact_B = rows_exact(prediction.logits_BSV.detach(), rows.labels_BS)
    grid = grid_loss(prediction.logits_BSV, rows.labels_BS, kind).mean()
    halt = halt_loss(prediction.halt_B, exact_B).mean()
    age_B = carry.age_B + 1
    wants_B = (prediction.halt_B.detach() > 0) & (age_B >= carry.minimum_B)
    left = Carry(
        rows=rows,
        latents=latents.detach(),
        age_B=age_B,
        minimum_B=carry.minimum_B,
        halted_B=wants_B | (age_B >= halting.segments),
    )
    loss = SegmentLoss(
        total=grid + 0.5 * halt,
        grid=grid.detach(),
        halt=halt.detach(),
        exact=exact_B.float().mean(),
    )
    return left, loss


@torch.no_grad()
def answer(
    core: RecurrentCore, cells_BS: Tensor, identifiers_BI: Tensor, segments: int
) -> Prediction:
    """The prediction after `segments` segments, for every row: nobody halts early in evaluation."""
    x_BLD = core.embed(cells_BS, identifiers_BI)
    latents = core.start(len(cells_BS))
    for _ in range(segments):
        latents, prediction = core.segment(x_BLD, latents)
    return prediction
