"""Verdicts on series of points: thresholds, ranges, existence, no NaN."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fnmatch import fnmatchcase

from orchestrator.criteria.binding import Binding, Target, bind, spec_of, suggestions, target_of
from orchestrator.criteria.monitors import PointMonitor
from orchestrator.criteria.values import PERCENT, comparison, margin_of, shown, shown_margin
from orchestrator.criteria.vocabulary import direction_of, words_of
from orchestrator.domain.criterion import Clause, Evidence, State, Verdict
from orchestrator.domain.facts import RunFacts
from orchestrator.domain.point import Point
from orchestrator.domain.run import MetricSpec, Outcome

# Units that are logged in more than one size: a bound in one of them needs a declaration.
_SIZED = words_of("ms s min h days B kB MB GB TB kiB MiB GiB TiB nats bits")
_REST_OF_RUN = "can change until the run ends"


@dataclass(slots=True)
class SeriesWatch:
    """One clause on a metric, with a monitor for each series that it could be about."""

    clause: Clause
    metrics: Mapping[str, MetricSpec]
    monitors: dict[str, PointMonitor] = field(default_factory=dict)
    target: Target = field(init=False)

    def __post_init__(self) -> None:
        """Prepare the look-up of names."""
        self.target = target_of(self.clause, self.metrics)

    def wants(self, name: str) -> bool:
        """Whether a series of this name could matter."""
        if self.clause.op == "absent":
            pattern = self.clause.metric
            return pattern is None or fnmatchcase(name.casefold(), pattern.casefold())
        return name == self.target.declared or self.target.rank(name) is not None

    def monitor_of(self, name: str) -> PointMonitor:
        """The monitor that takes in the points of a series."""
        key = "" if self.clause.op == "absent" else name
        if key not in self.monitors:
            self.monitors[key] = self._new_monitor(name)
        return self.monitors[key]

    def _new_monitor(self, name: str) -> PointMonitor:
        clause = self.clause
        if clause.op == "absent":
            return PointMonitor(_not_nan if clause.unit == "nan" else _not_inf)
        if clause.op == "exists":
            return PointMonitor(math.isfinite)
        scale = Scale.of(clause, name, spec_of(name, self.metrics))
        until = int(clause.anchor.split()[-1]) if clause.anchor else None
        return PointMonitor(scale.test(), until)

    def verdict(self, facts: RunFacts) -> Verdict:
        """What the points so far say."""
        if self.clause.op == "absent":
            return _absent(self.clause, self.monitors.get(""), facts)
        binding = bind(self.target, self.monitors.keys())
        if binding.series is None:
            return self._unbound(binding, facts)
        monitor = self.monitors.get(binding.series)
        if monitor is None or (monitor.latest is None and not monitor.past):
            return _no_point(binding.series, facts)
        if self.clause.op == "exists":
            return _exists(binding, monitor, facts)
        scale = Scale.of(self.clause, binding.series, spec_of(binding.series, self.metrics))
        if question := scale.question(monitor):
            return Verdict(state=State.MANUAL, final=True, why=question)
        verdict = _AGGREGATES[self.clause.aggregate or "latest"](scale, monitor, facts)
        if verdict.final and not facts.ended and not (binding.settled and scale.certain):
            verdict = replace(verdict, final=False)
        if scale.assumed:
            why = f"{verdict.why}; read as a fraction because every value lies in 0…1"
            verdict = replace(verdict, why=why)
        return verdict

    def _unbound(self, binding: Binding, facts: RunFacts) -> Verdict:
        """Several series fit, or none does yet."""
        if binding.rivals:
            why = f"{binding.how}: {', '.join(binding.rivals)}; write the key in backticks"
            state = State.MANUAL if facts.ended else State.PENDING
            return Verdict(state=state, final=facts.ended, why=why)
        near = suggestions(self.target, [*facts.series, *self.metrics])
        hint = f"; near: {', '.join(near)}" if near else ""
        state = State.NO_DATA if facts.ended else State.PENDING
        until = "" if facts.ended else " yet"
        return Verdict(state=state, final=facts.ended, why=f"{binding.how}{until}{hint}")


@dataclass(frozen=True, slots=True)
class Scale:
    """How a bound compares with what is logged. A series may log percent of 100 (factor 100)."""

    clause: Clause
    name: str
    spec: MetricSpec | None
    factor: float
    certain: bool

    @classmethod
    def of(cls, clause: Clause, name: str, spec: MetricSpec | None) -> "Scale":
        """The scale of one clause against one series."""
        declared = spec is not None and (spec.unit is not None or spec.scale != 1.0)
        percent = clause.unit == PERCENT
        factor = spec.scale if spec is not None and percent and declared else 1.0
        return cls(clause, name, spec, factor, declared or not percent)

    @property
    def assumed(self) -> bool:
        """Whether a percentage is compared with a series of undeclared scale."""
        return not self.certain

    def test(self) -> Callable[[float], bool]:
        """Whether a logged value meets the clause."""
        clause = self.clause
        bound, other = self._logged(clause.value), self._logged(clause.value2)
        tolerance = clause.tolerance or 0.0
        if bound is None:
            return math.isfinite
        return comparison(clause.op, bound, other, tolerance)

    def _logged(self, value: float | None) -> float | None:
        """A bound in the units of the log; in decimal, so that 29% of 100 is 29 and not 28.99…."""
        if value is None or self.factor == 1.0:
            return value
        return float(Decimal(repr(value)) * Decimal(repr(self.factor)))

    def read(self, value: float) -> float:
        """A logged value in the threshold's unit."""
        return value if self.factor == 1.0 else value / self.factor

    def margin(self, value: float) -> float | None:
        """Signed distance from the (nearer) bound in the threshold's unit; None for NaN and ±∞."""
        bound, other = self._logged(self.clause.value), self._logged(self.clause.value2)
        if bound is None or not math.isfinite(value):
            return None
        tolerance = self.clause.tolerance or 0.0
        margin = margin_of(self.clause.op, value, bound, other, tolerance)
        return margin if self.factor == 1.0 else margin / self.factor

    def question(self, monitor: PointMonitor) -> str | None:
        """What a person must declare before the bound can be compared, or None."""
        unit, declared = self.clause.unit, self.spec.unit if self.spec else None
        where = f'[metrics."{self.name}"]'
        if unit == PERCENT:
            odd = _outside_fractions(monitor) if self.assumed else None
            if odd is None:
                return None
            return (
                f"the bound is a percentage and {self.name} logs values such as {shown(odd)}: "
                f"declare scale = 100 (percent) or a unit (fractions) under {where}"
            )
        if unit is not None and declared is not None and unit != declared:
            return f"the bound is in {unit} and {self.name} in {declared}: write one unit"
        if unit in _SIZED and declared is None and not _names_unit(self.name, unit):
            return f"is {self.name} logged in {unit}? Declare the unit under {where}"
        bound = abs(self.clause.value or 0.0)
        if unit is None and self.spec is not None and self.spec.scale == 100 and 0 < bound <= 1:
            return (
                f"{self.name} is logged in percent: does {shown(bound)} mean {shown(bound, '%')}?"
            )
        return None


def _outside_fractions(monitor: PointMonitor) -> float | None:
    for point in (monitor.highest, monitor.lowest):
        if point is not None and not 0 <= point.value <= 1:
            return point.value
    return None


def _names_unit(name: str, unit: str) -> bool:
    return name.casefold().endswith((f"_{unit.casefold()}", f"/{unit.casefold()}"))


def _not_nan(value: float) -> bool:
    return not math.isnan(value)


def _not_inf(value: float) -> bool:
    return not math.isinf(value)


def point_evidence(point: Point, unit: str | None = None, value: float | None = None) -> Evidence:
    """A point as evidence; `value` is shown instead of the logged one where the scale differs."""
    text = shown(point.value if value is None else value, unit)
    return Evidence(
        kind="point",
        text=f"{point.metric} = {text} at step {point.at.step:,}",
        source=point.at.source,
        line=point.at.line,
        step=point.at.step,
        time=point.at.time,
    )


def _no_point(name: str, facts: RunFacts) -> Verdict:
    if facts.ended:
        return Verdict(
            state=State.NO_DATA, final=True, why=f"the run ended without a point of {name}"
        )
    return Verdict(state=State.PENDING, final=False, why=f"waits for the first point of {name}")


def _absent(clause: Clause, monitor: PointMonitor | None, facts: RunFacts) -> Verdict:
    what = "NaN" if clause.unit == "nan" else "infinity"
    if monitor is None or monitor.latest is None:
        return _no_point(clause.metric or "any metric", facts)
    if bad := monitor.first_bad:
        why = f"{bad.metric} is {shown(bad.value)} at step {bad.at.step:,}"
        return Verdict(
            state=State.FAILED, final=True, why=why, value=bad.value, evidence=point_evidence(bad)
        )
    latest = monitor.latest
    if facts.ended:
        why = f"no {what} in any point up to step {latest.at.step:,}"
        return Verdict(state=State.MET, final=True, why=why, evidence=point_evidence(latest))
    why = f"no {what} up to step {latest.at.step:,}; {_REST_OF_RUN}"
    return Verdict(state=State.PENDING, final=False, why=why, evidence=point_evidence(latest))


def _exists(binding: Binding, monitor: PointMonitor, facts: RunFacts) -> Verdict:
    if point := monitor.first_finite:
        why = f"{point.metric} was logged from step {point.at.step:,} on ({binding.how})"
        final = facts.ended or binding.settled
        return Verdict(
            state=State.MET, final=final, why=why, value=point.value, evidence=point_evidence(point)
        )
    state = State.FAILED if facts.ended else State.PENDING
    why = f"{binding.series} has no finite value"
    return Verdict(state=state, final=facts.ended, why=why)


def _numeric(scale: Scale, point: Point, state: State, *, final: bool, when: str) -> Verdict:
    """A verdict with value, margin and one sentence: `11.25% > 5% at step 41,444 (latest), …`."""
    clause, value = scale.clause, scale.read(point.value)
    met = scale.test()(point.value)
    margin = scale.margin(point.value)
    how = f"{shown(value, clause.unit)} {_relation(clause, met=met)} at step {point.at.step:,}"
    why = f"{how} ({when})"
    if margin is not None:
        why += f", margin {shown_margin(margin, clause.unit)}"
    if state is State.MET and not final:
        why = f"met so far: {why}; {_REST_OF_RUN}"
    return Verdict(
        state=state,
        final=final,
        why=why,
        value=value,
        margin=margin,
        unit=clause.unit,
        evidence=point_evidence(point, clause.unit, value),
    )


def _relation(clause: Clause, *, met: bool) -> str:
    """`> 5%`, or `is not > 5%` where that is false."""
    bound = shown(clause.value or 0.0, clause.unit)
    if clause.op == "between" and clause.value2 is not None:
        test = f"in {bound} to {shown(clause.value2, clause.unit)}"
        return test if met else f"is not {test}"
    test = f"{clause.op} {bound}"
    return test if met else f"is not {test}"


def _latest(scale: Scale, monitor: PointMonitor, facts: RunFacts) -> Verdict:
    point = monitor.latest
    if point is None:
        return _no_point(scale.name, facts)
    if scale.clause.aggregate == "final" and facts.ended and facts.outcome is not Outcome.COMPLETED:
        why = f"the run did not reach its end: {scale.name} has no final value"
        return Verdict(state=State.NO_DATA, final=True, why=why, evidence=point_evidence(point))
    state = State.MET
    if not scale.test()(point.value):
        state = State.FAILED if facts.ended else State.PENDING
    return _numeric(scale, point, state, final=facts.ended, when="latest")


def _best(scale: Scale, monitor: PointMonitor, facts: RunFacts) -> Verdict:
    """The best value over the whole run; a bound that it passed stays passed."""
    clause = scale.clause
    rising = _rising(scale)
    if rising is None:
        why = f'is a higher or a lower {scale.name} better? Declare goal = "max" or "min"'
        return Verdict(state=State.MANUAL, final=True, why=why)
    point = monitor.highest if rising else monitor.lowest
    if point is None:
        state = State.FAILED if facts.ended else State.PENDING
        return Verdict(state=state, final=facts.ended, why=f"{scale.name} has no finite value")
    lasting = clause.op in ({">", ">="} if rising else {"<", "<="})
    if scale.test()(point.value):
        return _numeric(scale, point, State.MET, final=facts.ended or lasting, when="best")
    state = State.FAILED if facts.ended else State.PENDING
    return _numeric(scale, point, state, final=facts.ended, when="best")


def _rising(scale: Scale) -> bool | None:
    goal = (scale.spec.goal if scale.spec else None) or ""
    if goal.casefold().startswith(("max", "min")):
        return goal.casefold().startswith("max")
    # What the name means outranks the operator: the best of a loss is its lowest value, also in
    # `best loss > 0.5`, where taking the highest would make the claim true by the first point.
    direction = direction_of(scale.name)
    if direction is not None:
        return direction == "max"
    if scale.clause.op in {">", ">="}:
        return True
    return False if scale.clause.op in {"<", "<="} else None


def _all(scale: Scale, monitor: PointMonitor, facts: RunFacts) -> Verdict:
    """Every point: one bad one fails it for ever."""
    if bad := monitor.first_bad:
        return _numeric(scale, bad, State.FAILED, final=True, when="first that fails")
    worst = _worst(scale, monitor)
    if worst is None:
        return _no_point(scale.name, facts)
    state = State.MET if facts.ended else State.PENDING
    when = "worst of all points" if facts.ended else f"worst so far; {_REST_OF_RUN}"
    return _numeric(scale, worst, state, final=facts.ended, when=when)


def _worst(scale: Scale, monitor: PointMonitor) -> Point | None:
    ends = [point for point in (monitor.lowest, monitor.highest) if point is not None]
    margins = [
        (margin, point) for point in ends if (margin := scale.margin(point.value)) is not None
    ]
    if not margins or scale.clause.op == "!=":
        return monitor.latest
    return min(margins, key=lambda pair: pair[0])[1]


def _any(scale: Scale, monitor: PointMonitor, facts: RunFacts) -> Verdict:
    """At the first point up to the anchor that meets it; a resumed run may still log one."""
    anchor = scale.clause.anchor or "any point"
    if good := monitor.first_good:
        return _numeric(scale, good, State.MET, final=True, when=f"first, {anchor}")
    behind = monitor.until is not None and (facts.max_step or 0) > monitor.until
    over = facts.ended or monitor.past or behind
    if monitor.latest is None:
        state = State.NO_DATA if over else State.PENDING
        return Verdict(state=state, final=facts.ended, why=f"no point of {scale.name} {anchor}")
    state = State.FAILED if over else State.PENDING
    return _numeric(scale, monitor.latest, state, final=facts.ended, when=f"latest {anchor}")


_AGGREGATES: dict[str, Callable[[Scale, PointMonitor, RunFacts], Verdict]] = {
    "latest": _latest,
    "final": _latest,
    "best": _best,
    "all": _all,
    "any": _any,
}
