"""The rules, one module a family; each is a function from a case to what it finds in it."""

from collections.abc import Callable, Iterator

from orchestrator.diagnose.case import Case
from orchestrator.diagnose.rules import (
    collapse,
    evaluation,
    evaluation_time,
    finite,
    losses,
    stillness,
    zeros,
)
from orchestrator.domain.finding import Finding

RULES: tuple[Callable[[Case], Iterator[Finding]], ...] = (
    finite.non_finite,
    finite.hidden_nan,
    losses.jumps,
    zeros.rate_zero,
    zeros.gradient_zero,
    stillness.stillness,
    evaluation.frozen,
    evaluation.gap,
    evaluation.overfitting,
    evaluation.pooled_votes,
    evaluation_time.dominates,
    collapse.collapse,
)
