"""What is trained to minimize what, and the figures of a step or of a split."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from experiments.common.settings import TrainingSettings
from models.objective import (
    Objective,
    Weights,
    added,
    check_counts,
    check_sum,
    combine,
    not_finite,
)
from models.stream import Passes

B = TypeVar("B")
Part = Literal["train", "val"]


class Task(Protocol[B]):
    """What is trained, on what, to minimize what.

    Fields:
        module: everything that is trained, on its device: no parameter can be forgotten.
        sizes: examples of each part.
        weights: of the terms of the objective.
        facts: what a checkpoint must agree with to go on, by name.
        attached: what a checkpoint holds beside the weights for whoever reads it.
        lower_is_better: the scores of which this is true; so it is of all parts of the objective.
    """

    module: nn.Module
    sizes: Mapping[Part, int]
    weights: Weights
    facts: Mapping[str, Any]
    attached: Mapping[str, Any]
    lower_is_better: frozenset[str]

    def batch(self, rows: NDArray[np.int64], part: Part) -> B:
        """These examples of a part, on the processor."""

    def counts(self, batch: B) -> dict[str, float]:
        """How much the valid elements of each term weigh."""

    def totals(self, batch: B) -> dict[str, Tensor]:
        """What the elements of each term add up to, with gradients."""

    def scores(self) -> dict[str, float]:
        """Scores of the validation part beside the objective."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """Figures of one step, read from the device once."""

    loss: float
    raw: dict[str, float]
    weighted: dict[str, float]
    norm: float = 0.0

    @property
    def broken(self) -> list[str]:
        """What is not finite, by name."""
        return not_finite(self.raw | {"gradient norm": self.norm})


def detached(objective: Objective) -> dict[str, Tensor]:
    """The figures of a part without its graph: total, raw/TERM, weighted/TERM."""
    raw = {f"raw/{name}": value.detach() for name, value in objective.raw.items()}
    weighted = {f"weighted/{name}": value.detach() for name, value in objective.weighted.items()}
    return {"total": objective.total.detach()} | raw | weighted


def look(parts: list[dict[str, Tensor]], norm: Tensor | None = None) -> Looked:
    """The sums over the parts as numbers; the device is waited for once."""
    sums = added(parts) | ({} if norm is None else {"norm": norm})
    values = torch.stack([value.double() for value in sums.values()]).tolist()
    figures = dict(zip(sums, values, strict=True))
    looked = Looked(
        loss=figures["total"],
        raw=_under("raw/", figures),
        weighted=_under("weighted/", figures),
        norm=figures.get("norm", 0.0),
    )
    if not looked.broken:
        check_sum(looked.weighted, looked.loss)
    return looked


def _under(prefix: str, figures: Mapping[str, float]) -> dict[str, float]:
    return {k.removeprefix(prefix): v for k, v in figures.items() if k.startswith(prefix)}


def computing(settings: TrainingSettings, device: torch.device) -> AbstractContextManager[Any]:
    """Autocast to bfloat16 where the settings, or for auto the device, say so."""
    half = settings.precision == "bf16" or (settings.precision == "auto" and device.type == "cuda")
    return torch.autocast(device.type, torch.bfloat16) if half else nullcontext()


@contextmanager
def using(module: nn.Module, weights: Mapping[str, Tensor]) -> Iterator[None]:
    """Evaluate with these weights in place of the trained ones, without gradients."""
    trained = {name: p.detach().clone() for name, p in module.named_parameters()}
    training = module.training
    module.eval()
    try:
        with torch.no_grad():
            put(module, weights)
            yield
    finally:
        put(module, trained)
        module.train(training)


@torch.no_grad()
def put(module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Copy weights into the parameters of these names.

    Raises:
        ValueError: one is missing, or of another shape.
    """
    for name, parameter in module.named_parameters():
        found = weights[name].shape if name in weights else None
        if found != parameter.shape:
            there = "not there" if found is None else f"{list(found)}"
            raise ValueError(
                f"weights of another network: {name} is {there} and should be"
                f" {list(parameter.shape)}"
            )
        parameter.copy_(weights[name])


def measure(
    task: Task[Any],
    part: Part,
    rows: NDArray[np.int64],
    settings: TrainingSettings,
    step: int,
) -> dict[str, float]:
    """The objective of rows of a part, by the function and the weights of the training step.

    Names: loss, raw/TERM, weighted/TERM, share/TERM (of the loss).

    Raises:
        ValueError: there is no row, or no valid element for a term.
    """
    if len(rows) == 0:
        raise ValueError(f"the {part} split is empty: nothing can be measured")
    device = next(task.module.parameters()).device
    totals, counts = [], []
    for first in range(0, len(rows), settings.eval_batch):
        batch = task.batch(rows[first : first + settings.eval_batch], part)
        counts.append(task.counts(batch))
        with computing(settings, device):
            totals.append({k: v.detach().double() for k, v in task.totals(batch).items()})
    whole = added(counts)
    check_counts(whole, f"{part} split")
    return named(look([detached(combine(added(totals), whole, task.weights.at(step)))]))


def named(looked: Looked) -> dict[str, float]:
    """The objective as points: loss, raw/TERM, weighted/TERM, share/TERM."""
    points = {"loss": looked.loss}
    points |= {f"raw/{name}": value for name, value in looked.raw.items()}
    points |= {f"weighted/{name}": value for name, value in looked.weighted.items()}
    if looked.loss:
        points |= {f"share/{name}": v / looked.loss for name, v in looked.weighted.items()}
    return points


def sample(task: Task[Any], part: Part) -> NDArray[np.int64]:
    """The rows of a part that a validation measures: all of val, as many of train."""
    size = task.sizes[part]
    if part == "val":
        return np.arange(size)
    return np.sort(Passes(size, 0).window(0, min(size, task.sizes["val"])))
