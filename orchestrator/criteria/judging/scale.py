"""Units and scales: how a written bound compares with what is logged."""

import re
from dataclasses import dataclass
from decimal import Decimal

from orchestrator.criteria.judging.bound import Bound
from orchestrator.criteria.judging.folds import Extent
from orchestrator.criteria.lines.vocabulary import measured_in_percent, words_of
from orchestrator.criteria.values import FRACTIONS, PERCENT, shown
from orchestrator.domain.hardware import sampled_unit
from orchestrator.domain.run import MetricSpec

# Units that are logged in more than one size: a bound in one of them needs a declaration.
_BYTES = {
    "B": 1.0,
    **{f"{prefix}B": 1e3 ** (at + 1) for at, prefix in enumerate("kMGT")},
    **{f"{prefix}iB": 2.0 ** (10 * (at + 1)) for at, prefix in enumerate("kMGT")},
}
SIZED = words_of("ms s min h days B kB MB GB TB kiB MiB GiB TiB nats bits")


@dataclass(frozen=True, slots=True)
class Scale:
    """A bound against one series, which may log percent of 100 (factor 100)."""

    bound: Bound
    unit: str | None
    name: str
    spec: MetricSpec | None
    factor: float
    certain: bool

    @classmethod
    def of(cls, bound: Bound, unit: str | None, name: str, spec: MetricSpec | None) -> "Scale":
        """The scale of one bound against one series."""
        sampled = _sampled_factor(name, unit)
        if sampled is not None:
            return cls(bound, unit, name, spec, sampled, certain=True)
        declared = is_scaled(spec)
        percent = unit == PERCENT
        factor = spec.scale if spec is not None and percent and declared else 1.0
        return cls(bound, unit, name, spec, factor, declared or not percent)

    @property
    def logged(self) -> Bound:
        """The bound in the units of the log; in decimal, so that 29% of 100 is 29, not 28.99…."""
        if self.factor == 1.0:
            return self.bound
        value, other = self.bound.value, self.bound.other
        logged = None if other is None else self._logged(other)
        return Bound(self.bound.op, self._logged(value), logged, self.bound.tolerance)

    def _logged(self, value: float) -> float:
        return float(Decimal(repr(value)) * Decimal(repr(self.factor)))

    def read(self, value: float) -> float:
        """A logged value in the threshold's unit."""
        return value if self.factor == 1.0 else value / self.factor

    def margin(self, value: float) -> float | None:
        """Signed distance from the (nearer) end in the threshold's unit; None for NaN and ±∞."""
        margin = self.logged.margin(value)
        return margin if margin is None or self.factor == 1.0 else margin / self.factor

    def question(self, extent: Extent) -> str | None:
        """What a person must declare before the bound can be compared, or None."""
        if self.unit == PERCENT:
            return None if self.certain else fraction_question(self.name, extent)
        if self.unit is None and self.spec is None and (odd := _other_scale(self, extent)):
            return odd
        if self.unit is not None:
            if _sampled_factor(self.name, self.unit) is not None:
                return None
            return unit_question(self.name, self.spec, self.unit)
        bound = abs(self.bound.value)
        if self.spec is not None and self.spec.scale == 100 and 0 < bound <= 1:
            return (
                f"{self.name} is logged in percent: does {shown(bound)} mean {shown(bound, '%')}?"
            )
        return None


def _sampled_factor(series: str, unit: str | None) -> float | None:
    """How many of its own unit a sampled series logs for one of the bound's; None if none fits."""
    logged = sampled_unit(series)
    if logged == "share" and unit == PERCENT:
        return 1.0
    return _BYTES.get(unit or "") if logged == "B" else None


def one_unit(unit: str | None) -> str | None:
    """The unit in which verdicts speak: percentage points are percent of one."""
    return PERCENT if unit in FRACTIONS else unit


def is_scaled(spec: MetricSpec | None) -> bool:
    """Whether the spec says if a series logs fractions or percent of 100."""
    return spec is not None and (spec.unit is not None or spec.scale != 1.0)


def fraction_question(name: str, extent: Extent) -> str | None:
    """What to declare of a series compared with a percentage that does not lie in 0…1."""
    for point in (extent.highest, extent.lowest):
        named = re.search(r"pct|percent", name, re.IGNORECASE) is not None
        if point is not None and (named or not 0 <= point.value <= 1):
            return (
                f"the bound is a percentage and {name} logs values such as {shown(point.value)}: "
                f'declare scale = 100 (percent) or a unit (fractions) under [metrics."{name}"]'
            )
    return None


def _other_scale(scale: "Scale", extent: Extent) -> str | None:
    """A bound such as 0.9 against an accuracy that logs 45, or 90 against one that logs 0.95."""
    if not measured_in_percent(scale.name) or extent.highest is None:
        return None
    bound, highest = abs(scale.bound.value), extent.highest.value
    if (0 < bound <= 1 < highest) or (bound > 1 and 0 < highest <= 1):
        return (
            f"the bound is {shown(scale.bound.value)} and {scale.name} logs values such as "
            f"{shown(highest)}: write it with %, and declare scale = 100 (percent) or a unit "
            f'(fractions) under [metrics."{scale.name}"]'
        )
    return None


def unit_question(name: str, spec: MetricSpec | None, unit: str) -> str | None:
    """What to declare of a series compared with a number in `unit`."""
    declared = spec.unit if spec else None
    if declared is not None and unit != declared:
        return f"the bound is in {unit} and {name} in {declared}: write one unit"
    if unit in SIZED and declared is None and not _names_unit(name, unit):
        return f'is {name} logged in {unit}? Declare the unit under [metrics."{name}"]'
    return None


def _names_unit(name: str, unit: str) -> bool:
    return name.casefold().endswith((f"_{unit.casefold()}", f"/{unit.casefold()}"))
