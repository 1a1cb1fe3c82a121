"""Which series of a stage can be compared, and how far two of them are apart."""

import math
import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from orchestrator.domain.finding import Quote
from orchestrator.domain.rehearsal import StageFacts
from orchestrator.domain.series import surest

_LOSS = re.compile(r"loss|nll|perplexity|\bppl\b", re.IGNORECASE)
_RATE = re.compile(r"(?:.*/)?(?:lr|learning_rate)", re.IGNORECASE)
_EVALUATION = re.compile(r"(?:^|[/_.])(?:eval|val|valid|validation|test)(?:$|[/_.])", re.IGNORECASE)
# What differs between two equal programs: the clock and the machine.
_CLOCK = re.compile(
    r"(?:^|[/_.-])(?:(?:milli|micro)?sec(?:ond)?s?|ms|time|times|took|took_s|elapsed|duration|speed|"
    r"throughput|latency|memory|mem|rss|fps|it_s|steps_s)(?:$|[/_.-])|(?:_per_|/)(?:s|sec|second)$|per_sec",
    re.IGNORECASE,
)


BFLOAT16 = 2.0**-8  # relative; how far apart its numbers lie


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Two values that should be equal; `apart` is relative to the larger of the two."""

    name: str
    step: int | None
    value: float
    expected: float
    apart: float

    def __str__(self) -> str:
        at = "" if self.step is None else f" at step {self.step:,}"
        return f"{number(self.value)} against {number(self.expected)}{at} ({self.name})"


def number(value: float) -> str:
    """A value with as many digits as two that should be equal need."""
    return f"{value:.6g}"


def percent(share: float) -> str:
    """A share or a relative difference: `3.2%`, `0.1%`, `0.004%`."""
    return f"{share * 100:.2g}%" if share < 0.1 else f"{share:.0%}"


def losses(facts: StageFacts) -> list[str]:
    """Series of the training loss and its terms."""
    return sorted(name for name in surest(facts.values) if _LOSS.search(name))


def learning_rates(facts: StageFacts) -> list[str]:
    """Series of the learning rate."""
    return sorted(name for name in surest(facts.values) if _RATE.fullmatch(name))


def is_evaluation(name: str) -> bool:
    """Whether a series is that of an evaluation within training."""
    return _EVALUATION.search(name) is not None


def is_measured_by_clock(name: str) -> bool:
    """Whether a metric tells of the machine, so that equal programs give unequal values."""
    return _CLOCK.search(name) is not None


def logged_steps(facts: StageFacts) -> list[int]:
    """Steps of training in order: those that were logged outside of phases, where that is known."""
    if facts.pace:
        return sorted({step for step, _ in facts.pace})
    return sorted({step for series in facts.values.values() for step in series})


def is_bfloat16(facts: StageFacts, names: Iterable[str]) -> bool:
    """Whether all values of these series are such as bfloat16 can hold: of about three digits."""
    values = [value for name in names for value in facts.values[name].values()]
    return bool(values) and all(map(_fits_bfloat16, values))


def _fits_bfloat16(value: float) -> bool:
    try:
        single = struct.pack(">f", value)
    except OverflowError:
        return False
    return single[2:] == b"\0\0" and (struct.unpack(">f", single)[0] == value or math.isnan(value))


def gaps(
    found: Mapping[str, Mapping[int, float]],
    expected: Mapping[str, Mapping[int, float]],
    names: Iterable[str],
    steps: range,
) -> list[Gap]:
    """Differences between two executions at the same steps, in the order of the steps."""
    return sorted(
        (
            gap(name, step, found[name][step], expected[name][step])
            for name in names
            if name in found and name in expected
            for step in steps
            if step in found[name] and step in expected[name]
        ),
        key=lambda each: (each.step or 0, -each.apart),
    )


def gap(name: str, step: int | None, value: float, expected: float) -> Gap:
    """How far apart two values are; unequal ones that are not finite are infinitely far."""
    if value == expected or (math.isnan(value) and math.isnan(expected)):
        apart = 0.0
    elif math.isfinite(value) and math.isfinite(expected):
        apart = abs(value - expected) / max(abs(value), abs(expected))
    else:
        apart = math.inf
    return Gap(name=name, step=step, value=value, expected=expected, apart=apart)


def quote(facts: StageFacts, name: str, step: int) -> Quote:
    """A point of a stage in words."""
    value = facts.values[name][step]
    return Quote(source=facts.folder, text=f"{name} = {number(value)} at step {step:,}")
