"""Losses of the recurrent core: cross-entropy per grid, and that of the halting heads.

Choices, each with its source:

    stablemax in place of softmax                     HRM and TRM code; 2501.04697 sec. 4
    in float64 as HRM and TRM, or in float32          ours: default, tested against float64
    mean over the scored cells of a row, per row      HRM and TRM code
    halting heads: binary cross-entropy per row       HRM 2506.21734 sec. 2; TRM 2510.04871 sec. 4.6

Shapes: B rows, S cells of a canvas, V vocabulary. A label of IGNORE is not scored.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from models.puzzles import IGNORE


@dataclass(frozen=True, slots=True, kw_only=True)
class LossConfig:
    """Which cross-entropy, and the least precision it is computed in; finer logits stay so."""

    kind: Literal["stablemax", "softmax"] = "stablemax"
    precision: Literal["float32", "float64"] = "float32"


def stablemax(x: Tensor) -> Tensor:
    """s(x) = x + 1 for x >= 0 and 1 / (1 - x) below: the unscaled probability of a logit.

    It grows linearly instead of exponentially, so large logits do not absorb the gradient.
    """
    return torch.where(x < 0, 1 / (1 - x.clamp(max=0)), x.clamp(min=0) + 1)


def log_stablemax(x: Tensor) -> Tensor:
    """Logarithm of `stablemax`, without the cancellation of log(1 / (1 - x)) near zero."""
    return torch.where(x < 0, -torch.log1p(-x.clamp(max=0)), torch.log1p(x.clamp(min=0)))


def cell_loss(logits_BSV: Tensor, labels_BS: Tensor, loss: LossConfig) -> Tensor:
    """Cross-entropy of every cell, [B, S], in nats; 0 where the label is IGNORE.

    A label outside of the vocabulary costs NaN: asking the device whether there is one would make
    every step wait. The label's logit is picked by a mask, whose gradient, unlike that of a gather,
    is deterministic at no cost.
    """
    least = torch.float64 if loss.precision == "float64" else torch.float32
    x_BSV = logits_BSV.to(torch.promote_types(logits_BSV.dtype, least))
    vocabulary_V = torch.arange(x_BSV.shape[-1], device=x_BSV.device)
    others_BSV = labels_BS[..., None] != vocabulary_V

    def of_label(values_BSV: Tensor) -> Tensor:
        return values_BSV.masked_fill(others_BSV, 0).sum(-1)

    if loss.kind == "softmax":
        nll_BS = -of_label(F.log_softmax(x_BSV, -1))
    else:
        nll_BS = stablemax(x_BSV).sum(-1).log() - log_stablemax(of_label(x_BSV))
    nll_BS = nll_BS.masked_fill(others_BSV.all(-1), math.nan)
    return nll_BS.masked_fill(labels_BS == IGNORE, 0)


def grid_loss(logits_BSV: Tensor, labels_BS: Tensor, loss: LossConfig) -> Tensor:
    """Mean cross-entropy over the scored cells of each row, [B], in nats.

    Per row first, so that a small grid weighs as much as a large one. A row without a scored cell
    counts 0 and sends no gradient.
    """
    cells_B = (labels_BS != IGNORE).sum(-1).clamp(min=1)
    return cell_loss(logits_BSV, labels_BS, loss).sum(-1) / cells_B


def rows_scored(labels_BS: Tensor) -> Tensor:
    """Whether a row has a scored cell, [B] of bool; padding rows have none."""
    return (labels_BS != IGNORE).any(-1)


def rows_exact(logits_BSV: Tensor, labels_BS: Tensor) -> Tensor:
    """Whether every scored cell of a row is predicted right, [B] of bool; padding rows are not."""
    right_BS = (logits_BSV.argmax(-1) == labels_BS) | (labels_BS == IGNORE)
    return right_BS.all(-1) & rows_scored(labels_BS)


def head_loss(logit_B: Tensor, target_B: Tensor) -> Tensor:
    """Binary cross-entropy of a halting head against a probability or a truth, [B], in nats.

    The halting head is asked "is this row right now?"; TRM asks nothing else, HRM also asks the
    continue head what another segment would be worth.
    """
    x_B = logit_B.to(torch.promote_types(logit_B.dtype, torch.float32))
    return F.binary_cross_entropy_with_logits(x_B, target_B.to(x_B.dtype), reduction="none")
