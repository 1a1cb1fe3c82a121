"""Exponential moving average of the weights, used for evaluation (TRM 2510.04871 sec. 4.7)."""

import math

import torch
from torch import Tensor, nn


def half_life(decay: float) -> float:
    """Optimizer steps after which a weight's influence on the average has halved."""
    return math.log(0.5) / math.log(decay) if decay else 0.0


def check_decay(decay: float, steps: int) -> None:
    """Refuse an average that would still be mostly old values when training ends; 0 is none.

    Raises:
        ValueError: the decay is not in [0, 1), or its half-life is more than a fifth of the planned
            steps. (A distillation run of 4,676 steps with decay 0.9999 evaluated its start weights
            throughout.)
    """
    if not 0 <= decay < 1:
        raise ValueError(f"ema={decay}: must be at least 0 (no average) and below 1")
    if half_life(decay) > steps / 5:
        raise ValueError(
            f"ema={decay} has a half-life of {half_life(decay):,.0f} steps, more than a fifth of "
            f"the {steps:,} planned; use at most {0.5 ** (5 / steps):.4f}"
        )


def start_average(module: nn.Module) -> dict[str, Tensor]:
    """A copy of the trained weights, by name."""
    return {name: p.detach().clone() for name, p in module.named_parameters()}


@torch.no_grad()
def follow(average: dict[str, Tensor], module: nn.Module, decay: float, step: int) -> None:
    """Move `average` towards the weights after update number `step` (the first is 1), in place.

    Ours: the decay starts low, as min(decay, step / (step + 9)), which is (1 + n) / (10 + n) with n
    updates before: the memory is never longer than what there is to remember.
    """
    weights = dict(module.named_parameters())
    torch._foreach_lerp_(
        list(average.values()),
        [weights[name].detach() for name in average],
        1 - min(decay, step / (step + 9)),
    )
