"""Optimizers of the recurrent models, and the schedule of their learning rate.

    AdamATan2   HRM, TRM and URM train with it; method: Everett et al. 2407.05872
    Muon        URM's other optimizer; method: Jordan 2024 (kellerjordan.github.io/posts/muon),
                length of its steps: Moonlight 2502.16982 sec. 2.2
    AdamW       torch's own: for what Muon leaves over, and alone

Why no library. adam-atan2, which the originals use, runs on CUDA only and is compiled on the
user's machine. adam-atan2-pytorch is kept up, but takes another step: 1.27 * atan2, with the first
moment corrected inside the angle, and t counted in Python. torch.optim.Muon (2.9 to 2.13) takes
the right step, but with one triple of coefficients, in bfloat16, a matrix at a time, and it reads
a learning rate that is a tensor back to the host for every matrix. A CUDA graph cannot hold either.

The steps here read nothing back, and all state is there from the start, so that a CUDA graph can
hold them: the count of steps is a tensor, and so is `lr` if it was given as one.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

Rate = float | Tensor
Parameters = Iterable[nn.Parameter] | Iterable[dict[str, Any]]
Coefficients = tuple[tuple[float, float, float], ...]

# Newton-Schulz polynomials a*s + b*s^3 + c*s^5 of the singular values s, one triple a step.
# Jordan's five bring 0.01 .. 1 to 0.68 .. 1.13. URM runs the first five of a table made for eight,
# which bring them to 0.45 .. 1.83.
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
        m <- beta1 * m + (1 - beta1) * g;  v <- beta2 * v + (1 - beta2) * g * g
        p <- p - lr / (1 - beta1^t) * atan2(m, sqrt(v / (1 - beta2^t)))

    This is the code of the originals (adam-atan2 0.0.3). The paper corrects the first moment inside
    the angle; from some thirty steps on both agree. t counts the steps of a group; a parameter that
    has no gradient is left alone.

    Raises:
        ValueError: a setting out of range, or parameters that are not float32 or float64 on one
            device; low precision is for copies of the weights, not for the weights.
    """

    def __init__(
        self,
        params: Parameters,
        *,
        lr: Rate,
        betas: tuple[float, float] = (0.9, 0.95),
        weight_decay: float,
    ) -> None:
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas={betas}: each must be at least 0 and below 1")
        _check_sizes(lr=lr, weight_decay=weight_decay)
        defaults = {"lr": lr, "betas": betas, "weight_decay": weight_decay}
        super().__init__(params, defaults)
        self.register_load_state_dict_post_hook(_keep_device)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters, with moments of zero and a step count of their own."""
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        first = _check_parameters(group)
        group["step"] = torch.zeros((), dtype=first.dtype, device=first.device)
        for p in group["params"]:
            self.state[p] = {"exp_avg": torch.zeros_like(p), "exp_avg_sq": torch.zeros_like(p)}

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if parameters:
                self._update(group, parameters)

    def _update(self, group: dict[str, Any], parameters: list[nn.Parameter]) -> None:
        grads = [p.grad for p in parameters]
        first = [self.state[p]["exp_avg"] for p in parameters]
        second = [self.state[p]["exp_avg_sq"] for p in parameters]
        beta1, beta2 = group["betas"]
        group["step"].add_(1)
        filled1, filled2 = (_filled(beta, group["step"]) for beta in (beta1, beta2))
        torch._foreach_lerp_(first, grads, 1 - beta1)
        torch._foreach_mul_(second, beta2)
        torch._foreach_addcmul_(second, grads, grads, 1 - beta2)
        roots = _copies(second, 1 / filled2)
        torch._foreach_sqrt_(roots)
        # There is no foreach form of atan2.
        angles = [torch.atan2(top, root) for top, root in zip(first, roots, strict=True)]
        torch._foreach_mul_(angles, -group["lr"] / filled1)
        torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(parameters, angles)


class Muon(Optimizer):
    """Momentum whose matrix is replaced by (about) the nearest orthogonal one; for matrices only.

        m <- momentum * m + (1 - momentum) * g
        u = momentum * m + (1 - momentum) * g                           (Nesterov)
        p <- p * (1 - lr * weight_decay) - lr * 0.2 * sqrt(max(A, B)) * orthogonal(u)

    The factor gives the step of an [A, B] matrix the length of Adam's, so that both use one lr.
    Matrices of one shape are made orthogonal together, in the precision of the weights.

    Raises:
        ValueError: as AdamATan2; or a parameter that is not a matrix.
    """

    def __init__(
        self,
        params: Parameters,
        *,
        lr: Rate,
        momentum: float = 0.95,
        weight_decay: float,
        coefficients: Coefficients = JORDAN,
    ) -> None:
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum={momentum}: must be at least 0 and below 1")
        _check_sizes(lr=lr, weight_decay=weight_decay)
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(params, defaults | {"coefficients": coefficients})
        self.register_load_state_dict_post_hook(_keep_device)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add matrices, with a momentum of zero."""
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        _check_parameters(group)
        for p in group["params"]:
            if p.ndim != 2:
                raise ValueError(f"Muon moves matrices; give the {tuple(p.shape)} to AdamW")
            self.state[p] = {"momentum": torch.zeros_like(p)}

    @torch.no_grad()
    def step(self) -> None:
        """Update every matrix that has a gradient."""
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            for shape, alike in groupby(sorted(parameters, key=_shape), key=_shape):
                self._update(group, list(alike), 0.2 * math.sqrt(max(shape)))

    def _update(self, group: dict[str, Any], parameters: list[nn.Parameter], scale: float) -> None:
        grads = [p.grad for p in parameters]
        momenta = [self.state[p]["momentum"] for p in parameters]
        torch._foreach_lerp_(momenta, grads, 1 - group["momentum"])
        ahead_KAB = torch.stack(grads).lerp_(torch.stack(momenta), group["momentum"])
        update_KAB = orthogonal(ahead_KAB, group["coefficients"]) * (-scale * group["lr"])
        torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(parameters, list(update_KAB.unbind()))


def orthogonal(x_KAB: Tensor, coefficients: Coefficients = JORDAN) -> Tensor:
    """U S' V^T of each matrix U S V^T, with S' near 1, by Newton-Schulz steps; [K, A, B].

    Divided by its Frobenius norm a matrix has singular values of at most 1, from where each step
    drives them to 1. A matrix of zeros stays one.
    """
    tall = x_KAB.shape[1] > x_KAB.shape[2]
    x = x_KAB.mT if tall else x_KAB
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp_min(1e-7)
    for a, b, c in coefficients:
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


Kind = Literal["adam_atan2", "adamw", "muon", "muon_urm"]


def make_optimizers(
    parameters: Iterable[nn.Parameter],
    kind: Kind,
    *,
    lr: Rate,
    weight_decay: float,
    betas: tuple[float, float] = (0.9, 0.95),
) -> tuple[Optimizer, ...]:
    """The optimizers of a model, all at rate `lr`; all decay every parameter, as the originals do.

    With "muon" and "muon_urm" (its table of coefficients) there are two: Muon for every matrix,
    embeddings and heads too, as URM's code has it, and AdamW for the rest.

    Raises:
        ValueError: no such kind; or what AdamATan2 and Muon refuse.
    """
    if kind not in get_args(Kind):
        raise ValueError(f"optimizer={kind!r}: write one of {', '.join(get_args(Kind))}")
    trained = [p for p in parameters if p.requires_grad]
    if kind == "adam_atan2":
        return (AdamATan2(trained, lr=lr, betas=betas, weight_decay=weight_decay),)
    if kind == "adamw":
        return (_adamw(trained, lr, betas, weight_decay),)
    coefficients = URM if kind == "muon_urm" else JORDAN
    matrices = [p for p in trained if p.ndim == 2]
    rest = [p for p in trained if p.ndim != 2]
    muon = Muon(matrices, lr=lr, weight_decay=weight_decay, coefficients=coefficients)
    return (muon, _adamw(rest, lr, betas, weight_decay)) if rest else (muon,)


def set_lr(optimizers: Sequence[Optimizer], lr: float) -> None:
    """Give every group the rate `lr`; one that is a tensor is filled: CUDA graphs may hold it."""
    for group in (group for optimizer in optimizers for group in optimizer.param_groups):
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(lr)
        else:
            group["lr"] = lr


def schedule(step: int, warmup: int, total: int, lr_min_ratio: float = 1.0) -> float:
    """Factor of the learning rate for update number `step` (the first is 1) of `total`.

    A straight rise to 1 at update `warmup`; then half a cosine that ends at `lr_min_ratio` with the
    last update. HRM, TRM and URM: lr_min_ratio 1, which is constant.
    """
    if step < warmup:
        return step / warmup
    progress = min(1.0, (step - warmup) / max(1, total - warmup))
    return lr_min_ratio + (1 - lr_min_ratio) * 0.5 * (1 + math.cos(math.pi * progress))


def _copies(tensors: list[Tensor], factor: Tensor) -> list[Tensor]:
    copies = [torch.empty_like(t) for t in tensors]
    torch._foreach_copy_(copies, tensors)
    torch._foreach_mul_(copies, factor)
    return copies


def _filled(beta: float, step: Tensor) -> Tensor:
    """1 - beta^t, the share of an average from zero that t steps have filled.

    By expm1: the difference of two numbers near 1 would lose digits in float32.
    """
    return -torch.expm1(step * math.log(beta)) if beta else torch.ones_like(step)


def _adamw(
    parameters: list[nn.Parameter], lr: Rate, betas: tuple[float, float], weight_decay: float
) -> AdamW:
    graphs = parameters[0].is_cuda
    optimizer = AdamW(
        parameters, lr=lr, betas=betas, weight_decay=weight_decay, fused=True, capturable=graphs
    )
    optimizer.register_load_state_dict_post_hook(_keep_device)
    return optimizer


def _keep_device(optimizer: Optimizer) -> None:
    """After loading a state: the tensors among a group's settings go where its parameters are."""
    for group in optimizer.param_groups:
        device = group["params"][0].device
        moved = {k: v.to(device) for k, v in group.items() if isinstance(v, Tensor)}
        group.update(moved)


def _check_sizes(**sizes: Rate) -> None:
    for name, size in sizes.items():
        if not isinstance(size, Tensor) and not 0 <= size < math.inf:
            raise ValueError(f"{name}={size}: must be a finite number of at least 0")


def _check_parameters(group: dict[str, Any]) -> nn.Parameter:
    """The first parameter of a group whose parameters and rate fit together."""
    first = group["params"][0]
    if first.dtype not in {torch.float32, torch.float64}:
        raise ValueError(f"weights of {first.dtype}: train float32 ones and compute with a copy")
    if any((p.dtype, p.device) != (first.dtype, first.device) for p in group["params"]):
        raise ValueError("parameters of several types or devices: give each a group of its own")
    lr, like = group["lr"], (0, first.dtype, first.device)
    if isinstance(lr, Tensor) and (lr.ndim, lr.dtype, lr.device) != like:
        raise ValueError(
            f"lr must be a number, or a tensor without dimensions of {like[1]} on {like[2]}"
        )
    return first


def _shape(parameter: nn.Parameter) -> tuple[int, ...]:
    return tuple(parameter.shape)
