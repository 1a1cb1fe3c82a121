"""What is minimized: a weighted sum of named terms, the same while training and in evaluation.

A term is what its valid elements (tokens, cells, rows) add up to, over how much they weigh. Both
are added up over the parts of a batch, or over the batches of a split, before they are divided: so
a mean does not depend on how the elements were shared out, and padding weighs nothing.
"""

import math
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

Totals = Mapping[str, Tensor]
Counts = Mapping[str, float]
# The weighted parts are rounded one by one, and float32 keeps seven digits.
_ROUNDING = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """The weight of each term over the optimizer steps: straight lines between knots.

    `knots`: per term (step, weight) in rising order; before the first and after the last knot the
    weight stays what it is there.
    """

    knots: Mapping[str, tuple[tuple[int, float], ...]]

    @property
    def terms(self) -> tuple[str, ...]:
        """The terms in their order."""
        return tuple(self.knots)

    def at(self, step: int) -> dict[str, float]:
        """The weights at a step."""
        return {name: _between(knots, step) for name, knots in self.knots.items()}


def _between(knots: tuple[tuple[int, float], ...], step: int) -> float:
    if step <= knots[0][0]:
        return knots[0][1]
    for (start, low), (end, high) in pairwise(knots):
        if step < end:
            return low + (high - low) * (step - start) / (end - start)
    return knots[-1][1]


def read_weights(table: Mapping[str, Any], known: Iterable[str]) -> Weights:
    """Weights from a table of numbers, or of lists [[step, weight], ...] for those that change.

    Terms whose weight is 0 throughout are left out: nothing computes them.

    Raises:
        ValueError: an unknown term, a weight that is negative or no number, steps that do not
            rise, or nothing left to minimize.
    """
    known = tuple(known)
    if unknown := [name for name in table if name not in known]:
        raise ValueError(f"weights: no term {unknown[0]!r}; there are {', '.join(known)}")
    knots = {name: _knots(name, table[name]) for name in known if name in table}
    used = {name: line for name, line in knots.items() if any(weight for _, weight in line)}
    if not used:
        raise ValueError(f"weights={dict(table)}: nothing to minimize; terms: {', '.join(known)}")
    return Weights(knots=used)


def _knots(name: str, value: Any) -> tuple[tuple[int, float], ...]:
    try:
        pairs = value if isinstance(value, (list, tuple)) else [(0, value)]
        line = tuple((operator.index(step), float(weight)) for step, weight in pairs)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"weights.{name}={value!r}: a number, or a list of [step, weight]"
        ) from error
    rising = all(a < b for (a, _), (b, _) in pairwise(line))
    if not line or not rising or not all(0 <= weight < math.inf for _, weight in line):
        raise ValueError(f"weights.{name}={value!r}: weights of at least 0 at rising steps")
    return line


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """The weighted sum, and each term's mean before and after its weight."""

    total: Tensor
    raw: dict[str, Tensor]
    weighted: dict[str, Tensor]


def combine(totals: Totals, counts: Counts, weights: Mapping[str, float]) -> Objective:
    """The objective of elements that add up to `totals` among `counts`, both by term.

    For a part of a batch `counts` are those of the whole batch: objectives of its parts add up.
    """
    raw = {name: totals[name] / counts[name] for name in totals}
    weighted = {name: weights[name] * mean for name, mean in raw.items()}
    return Objective(total=torch.stack(list(weighted.values())).sum(), raw=raw, weighted=weighted)


def added(many: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The sum of totals, or of counts, by term."""
    result: dict[str, Any] = {}
    for one in many:
        for name, value in one.items():
            result[name] = result[name] + value if name in result else value
    return result


def check_counts(counts: Counts, where: str) -> None:
    """Refuse a batch in which a term has no valid element: its mean would be 0 / 0.

    Raises:
        ValueError: names the term.
    """
    for name, count in counts.items():
        if not count > 0:
            raise ValueError(f"{where}: no valid element for the term {name!r}: all is padding")


def check_sum(weighted: Mapping[str, float], total: float) -> None:
    """Insist that the weighted terms are the whole loss: no part of it goes unlogged.

    Raises:
        ValueError: they add up to something else.
    """
    together = math.fsum(weighted.values())
    if abs(together - total) > _ROUNDING * max(1.0, abs(total)):
        parts = ", ".join(f"{name} {value:g}" for name, value in weighted.items())
        raise ValueError(f"weighted terms ({parts}) add up to {together:g}, not to {total:g}")


def not_finite(raw: Mapping[str, float]) -> list[str]:
    """The terms whose mean is not a finite number."""
    return [name for name, value in raw.items() if not math.isfinite(value)]
