"""Losses of the recurrent core: cross-entropy per grid, and the halting head.

Shapes: B rows, S cells of a canvas, V vocabulary. A label of IGNORE is not scored.
"""

from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812 - the name that every PyTorch text uses
from torch import Tensor

IGNORE = -100
CrossEntropy = Literal["softmax", "stablemax"]


def log_stablemax(logits_BSV: Tensor) -> Tensor:
    """Logarithm of s(x) / sum s(x), with s(x) = x + 1 for x >= 0 and 1 / (1 - x) below.

    Grows linearly instead of exponentially, so large logits do not absorb the gradient
    (2501.04697 sec. 4). In float64, as HRM and TRM compute it.
    """
    x_BSV = logits_BSV.double()
    grown = torch.where(x_BSV < 0, 1 / (1 - x_BSV.clamp(max=0)), x_BSV.clamp(min=0) + 1)
    return torch.log(grown / grown.sum(-1, keepdim=True))


def grid_loss(logits_BSV: Tensor, labels_BS: Tensor, kind: CrossEntropy = "softmax") -> Tensor:
    """Mean cross-entropy over the scored cells of each row, [B], in nats.

    Per row first, so that a small grid weighs as much as a large one. A row without a scored cell
    counts 0.
    """
    scored_BS = labels_BS != IGNORE
    target_BS = labels_BS.where(scored_BS, 0)
    if kind == "stablemax":
        logp_BSV = log_stablemax(logits_BSV)
    else:
        logp_BSV = F.log_softmax(logits_BSV.float(), -1)
    nll_BS = -logp_BSV.gather(-1, target_BS[..., None]).squeeze(-1)
    cells_B = scored_BS.sum(-1).clamp(min=1)
    return (nll_BS.where(scored_BS, 0).sum(-1) / cells_B).float()


def rows_exact(logits_BSV: Tensor, labels_BS: Tensor) -> Tensor:
    """Whether every scored cell of a row is predicted right, [B] of bool."""
    return ((logits_BSV.argmax(-1) == labels_BS) | (labels_BS == IGNORE)).all(-1)


def halt_loss(halt_B: Tensor, exact_B: Tensor) -> Tensor:
    """Binary cross-entropy of the halting logit against "this row is right now", [B], in nats.

    TRM's halting without the continue head, so no second forward pass (2510.04871 sec. 4.6).
    """
    return F.binary_cross_entropy_with_logits(halt_B.float(), exact_B.float(), reduction="none")
