"""Optimizers of the recurrent models, and the schedule of their learning rate.

    AdamATan2    HRM, TRM and URM train with it; method: Everett et al. 2407.05872
    Muon         URM's other optimizer; method: Jordan 2024 (kellerjordan.github.io/posts/muon),
                 scale of its steps: Moonlight 2502.16982 sec. 2.2
    AdamW        torch's own, for what Muon leaves over, and alone

Why not libraries. adam-atan2 (what the originals use) is built with a CUDA compiler and runs on
CUDA only. adam-atan2-pytorch is well kept, but computes another step: 1.27 * atan2, and the first
moment corrected inside the angle; it counts steps in Python, which a CUDA graph cannot replay.
torch.optim.Muon (2.9 to 2.13) computes the right step, in bfloat16 with one triple of coefficients
(URM has a table, in float32), matrix after matrix, and reads a learning rate that is a tensor back
to the host at every parameter. The tests hold ours to torch's.

The steps here read nothing back to the host and make all their state when they are constructed,
so a CUDA graph can hold them: the count of steps is a tensor, and `lr` may be one, set by `set_lr`.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

Rate = float | Tensor
Coefficients = tuple[tuple[float, float, float], ...]

# Newton-Schulz polynomials a*x + b*x^3 + c*x^5 of the singular values, one triple a step.
JORDAN: Coefficients = ((3.4445, -4.7750, 2.0315),) * 5
URM: Coefficients = (
    (7.2086, -15.5131, 9.0178),
    (3.9623, -2.5813, 0.4542),
    (3.9466, -2.5765, 0.4544),
    (3.8991, -2.5671, 0.4566),
    (3.7186, -2.5308, 0.4653),
)


class AdamATan2(Optimizer):
    """Adam with atan2(m, sqrt(v)) in place of m / (sqrt(v) + eps): no eps, and no step too long.

        p <- p * (1 - lr * weight_decay)
        m <- lerp(m, g, 1 - beta1);  v <- lerp(v, g * g, 1 - beta2)
        p <- p - lr / (1 - beta1^t) * atan2(m, sqrt(v / (1 - beta2^t)))

    That is the code of HRM, TRM and URM (package adam-atan2 0.0.3). The paper corrects the first
    moment inside the angle: `correction="inside"`. Both agree once beta1^t is small; at the first
    step "outside" moves 0.997 lr and "inside" pi/4 lr. t counts the steps of the group: a
    parameter without a gradient is left as it is in that step.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter] | Iterable[dict[str, Any]],
        *,
        lr: Rate,
        betas: tuple[float, float] = (0.9, 0.95),
        weight_decay: float,
        correction: Literal["outside", "inside"] = "outside",
    ) -> None:
        raise NotImplementedError

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter that has a gradient."""
        raise NotImplementedError


class Muon(Optimizer):
    """Momentum whose matrix is replaced by (about) the nearest orthogonal one; 2-D parameters only.

        m <- lerp(m, g, 1 - momentum);  u = lerp(g, m, momentum)            (Nesterov)
        p <- p * (1 - lr * weight_decay) - lr * 0.2 * sqrt(max(A, B)) * orthogonal(u)

    The factor gives an [A, B] matrix the step length of Adam, so that both take the same lr.
    Matrices of one shape are orthogonalised together, in the precision of the weights.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter] | Iterable[dict[str, Any]],
        *,
        lr: Rate,
        momentum: float = 0.95,
        weight_decay: float,
        coefficients: Coefficients = URM,
    ) -> None:
        raise NotImplementedError

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter that has a gradient."""
        raise NotImplementedError


def orthogonal(x_KAB: Tensor, coefficients: Coefficients) -> Tensor:
    """The matrices U S' V^T of U S V^T, S' near 1, by Newton-Schulz; [K, A, B] each."""
    raise NotImplementedError


Kind = Literal["adam_atan2", "adamw", "muon"]


def make_optimizers(
    parameters: Iterable[nn.Parameter],
    kind: Kind,
    *,
    lr: Rate,
    weight_decay: float,
    betas: tuple[float, float] = (0.9, 0.95),
) -> tuple[Optimizer, ...]:
    """One optimizer, or for "muon" two: Muon for every matrix, AdamW for the rest (as URM)."""
    raise NotImplementedError


def set_lr(optimizers: Sequence[Optimizer], lr: float) -> None:
    """Give every group the learning rate `lr`; one that is a tensor is filled, not replaced."""
    raise NotImplementedError


def schedule(
    step: int,
    *,
    warmup: int,
    total: int,
    lr_min_ratio: float = 1.0,
    kind: Literal["constant", "cosine"] = "cosine",
) -> float:
    """Factor of the learning rate for the update after `step` updates: linear rise, then `kind`."""
    raise NotImplementedError
