"""Losses of SAGE, each as one value per element: the mean is taken where all of a batch is known.

Choices, each with its source:

    cells outside of the answer    not scored; in the original they were class 0, and most of all
    class weights                  capped inverse frequency, or effective number of samples
                                   (1901.05555 sec. 3); the cap keeps a colour that is hardly seen
                                   from outweighing all others
    focal (1 - p) ** gamma         1708.02002 sec. 3
    features                       squared error + (1 - cosine) / 2, as in the original, but the
                                   mean over dimensions, where the original took their sum

Shapes: B rows, S cells of a canvas, C colours, N valid elements of a batch, flattened, L tokens,
F feature width, M sizes of a side.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from models.puzzles import IGNORE

ColourWeights = Literal["none", "inverse", "effective"]
Normalise = Literal["dimension", "token"]


def cell_weights(labels_BS: Tensor, weights_C: Tensor) -> Tensor:
    """What each scored cell weighs, [N]; from labels alone, so known without a forward pass."""
    return weights_C[labels_BS[labels_BS != IGNORE]]


def cell_losses(
    logits_BSC: Tensor, labels_BS: Tensor, weights_C: Tensor, gamma: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Cross-entropy of each scored cell in nats, [N], and what it weighs, `cell_weights` [N].

    The weighted mean is sum(values * weights) / sum(weights). With `gamma` over 0 each value is
    multiplied by (1 - p) ** gamma, p the probability of its label.

    Raises:
        ValueError: gamma below 1 and not 0, whose gradient is infinite at p = 1.
    """
    if gamma != 0 and not gamma >= 1:
        raise ValueError(f"gamma={gamma}: choose 0 (cross-entropy) or at least 1 (focal)")
    scored_BS = labels_BS != IGNORE
    wide_NC = logits_BSC[scored_BS].to(torch.promote_types(logits_BSC.dtype, torch.float32))
    values_N = F.cross_entropy(wide_NC, labels_BS[scored_BS], reduction="none")
    if gamma:
        # -expm1(-ce) is 1 - p, without the cancellation near p = 1.
        values_N = (-torch.expm1(-values_N)) ** gamma * values_N
    return values_N, cell_weights(labels_BS, weights_C)


def colour_weights(
    counts_C: Tensor, kind: ColourWeights, cap: float = 10.0, beta: float = 0.9999
) -> Tensor:
    """Weight of each colour, float32 [C], from how many cells of it there are in training.

    "inverse": 1 / count. "effective": (1 - beta) / (1 - beta ** count). "none": all alike. No
    colour weighs more than `cap` times what the commonest one does, and the mean over the counted
    cells is 1. A colour that was never seen weighs as much as the cap allows.

    Raises:
        ValueError: counts that are negative or all 0, a cap below 1, beta outside of 0..1, or an
            unknown kind.
    """
    counts = counts_C.double()
    if (counts < 0).any() or counts.sum() <= 0:
        raise ValueError(f"counts {counts_C.tolist()}: give those of cells in training, at least 1")
    if not cap >= 1:
        raise ValueError(f"cap={cap}: choose at least 1, the weight of the commonest colour")
    if not 0 <= beta < 1:
        raise ValueError(f"beta={beta}: choose from 0 to below 1")
    if kind == "none":
        weights = torch.ones_like(counts)
    elif kind == "inverse":
        weights = 1 / counts
    elif kind == "effective":
        weights = (1 - beta) / (1 - beta**counts)
    else:
        raise ValueError(f'kind={kind!r}: choose "none", "inverse" or "effective"')
    weights = weights.clamp(max=cap * weights.min())
    return (weights * counts.sum() / (weights * counts).sum()).float()


def shape_losses(height_BM: Tensor, width_BM: Tensor, sizes_B2: Tensor) -> Tensor:
    """Cross-entropy of the answer's rows and columns, the mean of both, [B], in nats.

    `sizes_B2` holds rows and columns, 1 to M; logit m - 1 is that of size m.
    """
    both = zip((height_BM, width_BM), sizes_B2.T, strict=True)
    losses = [F.cross_entropy(x_BM.float(), size_B - 1, reduction="none") for x_BM, size_B in both]
    return (losses[0] + losses[1]) / 2


def feature_losses(
    predicted_BLF: Tensor,
    target_BLF: Tensor,
    valid_BL: Tensor | None = None,
    normalise: Normalise = "dimension",
) -> Tensor:
    """Distance of each token's reconstructed features from its own, [N]: squares + (1 - cos) / 2.

    "dimension": the squared error is a mean over the F dimensions. "token" sums over them, the
    original's mistake: F times as much, beside which all other terms vanish. It is there to measure
    what the mistake costs. The target gets no gradient.

    Raises:
        ValueError: predicted and target differ in shape, or an unknown normalisation.
    """
    if predicted_BLF.shape != target_BLF.shape:
        raise ValueError(
            f"predicted features {tuple(predicted_BLF.shape)} for a target of"
            f" {tuple(target_BLF.shape)}; project them to the target's width"
        )
    if normalise not in ("dimension", "token"):
        raise ValueError(f'normalise={normalise!r}: choose "dimension" or "token"')
    least = torch.promote_types(predicted_BLF.dtype, torch.float32)
    keep = ... if valid_BL is None else valid_BL
    predicted_NF = predicted_BLF[keep].flatten(0, -2).to(least)
    target_NF = target_BLF[keep].flatten(0, -2).to(least).detach()
    squares_NF = (predicted_NF - target_NF) ** 2
    squared_N = squares_NF.mean(-1) if normalise == "dimension" else squares_NF.sum(-1)
    return squared_N + (1 - F.cosine_similarity(predicted_NF, target_NF, dim=-1)) / 2
