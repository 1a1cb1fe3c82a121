"""The originals' training step around benchmarks/trm_comparator.py, with their habits.

    the whole batch goes to the device every step
    metrics are stacked and fetched with `.cpu()` after every step
    AdamATan2 and the moving average are Python loops over tensors
    the sparse sign-SGD of the identity table uses `unique`, which waits for the device

The originals' AdamATan2 is a CUDA kernel of a package with a build step; the plain loop stands for
it. It is a hundredth of the step at full size on a GPU, but weighs on a CPU at width 64.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from benchmarks.trm_comparator import Comparator, SparseTable


@dataclass(slots=True)
class PlainAdamATan2:
    """AdamATan2 as a loop over tensors: decoupled decay, moments by lerp, no epsilon."""

    parameters: list[nn.Parameter]
    lr: float
    weight_decay: float
    betas: tuple[float, float] = (0.9, 0.95)
    state: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)
    steps: int = 0

    @torch.no_grad()
    def step(self) -> None:
        self.steps += 1
        one, two = self.betas
        for place, weight in enumerate(self.parameters):
            zeros = (torch.zeros_like(weight), torch.zeros_like(weight))
            m, v = self.state.setdefault(place, zeros)
            weight.mul_(1 - self.lr * self.weight_decay)
            m.lerp_(weight.grad, 1 - one)
            v.lerp_(weight.grad.square(), 1 - two)
            scale = v.sqrt() / (1 - two**self.steps) ** 0.5
            weight.add_(torch.atan2(m, scale), alpha=-self.lr / (1 - one**self.steps))
            weight.grad = None


@torch.no_grad()
def sparse_sign_sgd(table: SparseTable, lr: float, weight_decay: float) -> None:
    """Sign of the summed gradient of each identity in the batch; `unique` waits for the device."""
    ids, place = table.ids.unique(return_inverse=True)
    summed = torch.zeros(len(ids), table.all.shape[1], device=ids.device)
    summed.scatter_add_(0, place[:, None].expand_as(table.batch), table.batch.grad)
    weights = table.all[ids].mul_(1 - lr * weight_decay).add_(summed.sign(), alpha=-lr)
    table.all[ids] = weights
    table.batch.grad = None


@torch.no_grad()
def average(shadow: dict[str, Tensor], named: Iterable[tuple[str, Tensor]], decay: float) -> None:
    """The moving average, tensor by tensor."""
    for name, weight in named:
        shadow[name].data = (1 - decay) * weight.data + decay * shadow[name].data


class ComparatorTraining:
    """The originals' training step over a Comparator; `wrap` is given model and loss in one."""

    def __init__(
        self,
        model: Comparator,
        first: dict[str, Tensor],
        wrap: Callable[[nn.Module], Callable] = lambda model: model,
    ) -> None:
        self.model, self.forward = model, wrap(model)
        self.device = model.tokens.device
        self.carry = model.start(first)
        self.optimizer = PlainAdamATan2(list(model.parameters()), lr=1e-4, weight_decay=1.0)
        self.shadow = {name: p.detach().clone() for name, p in model.named_parameters()}

    def step(self, batch: dict[str, Tensor]) -> float:
        """One segment on every row, one update; the mean loss, fetched as the originals do."""
        batch = {name: value.to(self.device) for name, value in batch.items()}
        rows = len(batch["inputs"])
        self.carry, loss, metrics = self.forward(self.carry, batch)
        (loss / rows).backward()
        self.optimizer.step()
        sparse_sign_sgd(self.model.table, lr=1e-4, weight_decay=1.0)
        names = sorted(metrics)
        values = torch.stack([metrics[name].float() for name in names]).cpu().numpy()
        logged = dict(zip(names, values, strict=True))
        average(self.shadow, self.model.named_parameters(), 0.999)
        return float(logged["loss"]) / rows
