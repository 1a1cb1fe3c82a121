"""Comparisons between values: two series, a series and a baseline, arithmetic over both."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from orchestrator.criteria.judging.binding import spec_of, target_of
from orchestrator.criteria.judging.bound import Bound
from orchestrator.criteria.judging.folds import Fold
from orchestrator.criteria.judging.lanes import Ask
from orchestrator.criteria.judging.measure import Measured, Operand
from orchestrator.criteria.judging.order import key_of
from orchestrator.criteria.judging.projection import in_words, project
from orchestrator.criteria.judging.scale import (
    SIZED,
    fraction_question,
    is_scaled,
    one_unit,
    unit_question,
)
from orchestrator.criteria.judging.series import Found
from orchestrator.criteria.judging.threshold import TAIL, without_value
from orchestrator.criteria.judging.watching import (
    QuestionError,
    Setting,
    hedged,
    manual,
    point_evidence,
)
from orchestrator.criteria.predicates.expression import (
    Arithmetic,
    Baseline,
    Comparison,
    Name,
    Number,
    Reduced,
    Scalar,
    scalars,
)
from orchestrator.criteria.predicates.write import scalar_text
from orchestrator.criteria.values import FRACTIONS, PERCENT, shown, shown_margin
from orchestrator.domain.criterion import State, Verdict
from orchestrator.domain.facts import RunFacts
from orchestrator.domain.point import Point
from orchestrator.domain.run import MetricSpec


@dataclass(frozen=True, slots=True)
class _Scene:
    """What the operands of one comparison are, at one moment."""

    facts: RunFacts
    founds: dict[Reduced, Found]
    measured: dict[Reduced, Measured]
    fractions: bool  # every series is converted by its declared scale

    def factor(self, spec: MetricSpec | None) -> float:
        return spec.scale if self.fractions and spec is not None and is_scaled(spec) else 1.0


class Balance:
    """A comparison whose sides are any scalars. Raises QuestionError for an unknown baseline."""

    def __init__(self, leaf: Comparison, setting: Setting) -> None:
        self._leaf = leaf
        self._setting = setting
        self._sides = [side for side in (leaf.left, leaf.right, leaf.right2) if side is not None]
        self._leaves = [operand for side in self._sides for operand in scalars(side)]
        self._operands = {
            operand: Operand(operand, setting)
            for operand in self._leaves
            if isinstance(operand, Reduced)
        }
        self._percent = any(isinstance(o, Number) and o.unit in FRACTIONS for o in self._leaves)
        for operand in self._leaves:
            if isinstance(operand, Baseline) and operand.key not in setting.baselines:
                raise QuestionError(
                    f"{operand.run} has no value of {operand.series}: "
                    "name a run that logged it, or write the number"
                )

    def wants(self, series: str) -> bool:
        """Whether a series is one of the operands."""
        return any(operand.series.wants(series) for operand in self._operands.values())

    def asks(self, series: str) -> Iterable[tuple[str, Ask[Fold]]]:
        """The folds of each operand that it could be."""
        for operand in self._operands.values():
            if operand.series.wants(series):
                yield from operand.asks()
                yield operand.series.name.ranks, TAIL

    def verdict(self, facts: RunFacts) -> Verdict:
        """What the points so far say."""
        founds: dict[Reduced, Found] = {}
        for reduced, operand in self._operands.items():
            found = operand.series.find(facts)
            if isinstance(found, Verdict):
                return found
            founds[reduced] = found
        settled = facts.ended or all(found.settled for found in founds.values())
        specs = [found.spec for found in founds.values()] + [
            self._spec(o) for o in self._leaves if isinstance(o, Baseline)
        ]
        fractions = self._percent or len({_scale_of(spec) for spec in specs}) > 1
        try:
            self._check(founds)
            measured = {
                reduced: operand.read(founds[reduced], facts).with_nan()
                for reduced, operand in self._operands.items()
            }
        except QuestionError as error:
            return manual(str(error), final=settled)
        verdict = self._judge(_Scene(facts, founds, measured, fractions))
        return verdict if settled or not verdict.final else replace(verdict, final=False)

    def _spec(self, baseline: Baseline) -> MetricSpec | None:
        metrics = self._setting.metrics
        declared = target_of(Name(text=baseline.series), metrics).declared
        return spec_of(declared or baseline.series, metrics)

    def _check(self, founds: dict[Reduced, Found]) -> None:
        """Refuse to compare what has different units, or scales that nobody declared."""
        units = {unit for side in self._sides if (unit := self._unit_of(side, founds)) is not None}
        if len(units) > 1:
            raise QuestionError(f"the sides are in {' and '.join(sorted(units))}: write one unit")
        for found in founds.values():
            if self._percent and not is_scaled(found.spec):
                question = fraction_question(found.name, found.extent())
                if question is not None:
                    raise QuestionError(question)

    def _unit_of(self, scalar: Scalar, founds: dict[Reduced, Found]) -> str | None:
        """The unit that a side must share with the other, None where it does not matter."""
        match scalar:
            case Number():
                return scalar.unit if scalar.unit in SIZED else None
            case Baseline():
                return _declared_unit(self._spec(scalar))
            case Reduced():
                return None if scalar.how == "count" else _declared_unit(founds[scalar].spec)
            case Arithmetic(op="*"):
                units = {self._unit_of(side, founds) for side in (scalar.left, scalar.right)}
                return units.pop() if len(units) == 1 else next(iter(units - {None}), None)
            case Arithmetic(op="/"):
                left, right = (self._unit_of(side, founds) for side in (scalar.left, scalar.right))
                return left if right is None else None
        left, right = (self._unit_of(side, founds) for side in (scalar.left, scalar.right))
        if left is not None and right is not None and left != right:
            raise QuestionError(f"the operands are in {left} and {right}: write one unit")
        if left is None or right is None:
            self._ask_units(scalar, left or right, founds)
        return left or right

    @staticmethod
    def _ask_units(scalar: Arithmetic, unit: str | None, founds: dict[Reduced, Found]) -> None:
        for side in (scalar.left, scalar.right):
            if isinstance(side, Reduced) and unit in SIZED:
                question = unit_question(founds[side].name, founds[side].spec, unit)
                if question is not None:
                    raise QuestionError(question)

    def _judge(self, scene: _Scene) -> Verdict:
        facts = scene.facts
        for measured in scene.measured.values():
            if measured.point is None or measured.value is None or measured.waits:
                return without_value(measured, facts)
        values, problem = [], ""
        for side in self._sides:
            value, trouble = self._value(side, scene)
            values.append(value)
            problem = problem or trouble
        left, right, *more = values
        bound = Bound.of(self._leaf.op, right, more[0] if more else None, self._leaf.tolerance)
        met = not math.isnan(right) and bound.test()(left)
        closed = facts.ended or all(measured.closed for measured in scene.measured.values())
        state = State.MET if met else State.FAILED if closed else State.PENDING
        verdict = self._say(scene, left, bound, state, problem)
        verdict = replace(verdict, final=closed)
        return verdict if closed else self._open(verdict, scene, bound)

    def _open(self, verdict: Verdict, scene: _Scene, bound: Bound) -> Verdict:
        """A verdict that can still change says so, and when it will."""
        if verdict.state is State.MET:
            return replace(verdict, why=hedged(verdict.why))
        left = self._leaf.left
        if not isinstance(left, Reduced) or len(scene.founds) > 1:
            return verdict
        if left.how != "latest" or left.window.kind != "whole":
            return verdict
        found = scene.founds[left]
        factor = scene.factor(found.spec)
        other = None if bound.other is None else bound.other * factor
        logged = Bound(bound.op, bound.value * factor, other, bound.tolerance)
        projection = project(found.lane.fold(TAIL).points, logged)
        if projection is None:
            return verdict
        why = f"{verdict.why}; {in_words(projection, None)}"
        return replace(verdict, projection=projection, why=why)

    def _value(self, scalar: Scalar, scene: _Scene) -> tuple[float, str]:
        """The number that a side is, NaN with the reason where it has none."""
        match scalar:
            case Number():
                return scalar.value, ""
            case Baseline():
                return self._setting.baselines[scalar.key] / scene.factor(self._spec(scalar)), ""
            case Reduced():
                value = scene.measured[scalar].value
                number = math.nan if value is None else value
                trouble = f"{scalar_text(scalar)} is NaN" if math.isnan(number) else ""
                return number / scene.factor(scene.founds[scalar].spec), trouble
        (left, trouble), (right, other) = (
            self._value(side, scene) for side in (scalar.left, scalar.right)
        )
        if scalar.op == "/" and right == 0:
            return math.nan, trouble or other or f"{scalar_text(scalar)} divides by zero"
        return _joined(scalar.op, left, right), trouble or other

    def _say(self, scene: _Scene, left: float, bound: Bound, state: State, problem: str) -> Verdict:
        unit = PERCENT if self._percent else self._common_unit(scene)
        margin = None if not math.isfinite(bound.value) else bound.margin(left)
        of_operands = unit if unit == PERCENT or unit in SIZED else None
        about = "≈ " if any(measured.about for measured in scene.measured.values()) else ""
        met = state is State.MET
        why = f"{scalar_text(self._leaf.left)} = {about}{shown(left, unit)} "
        why += bound.relation(unit, met=met)
        if not isinstance(self._leaf.right, Number):
            why += f" = {scalar_text(self._leaf.right)}"
        why += f" ({self._operand_words(scene, of_operands)})"
        if margin is not None:
            why += f", margin {about}{shown_margin(margin, unit)}"
        if problem:
            why = f"{problem} ({self._operand_words(scene, of_operands)})"
        point = max(
            (measured.point for measured in scene.measured.values() if measured.point is not None),
            key=_recency,
        )
        return Verdict(
            state=state,
            final=False,
            why=why,
            value=left,
            margin=margin,
            unit=unit,
            evidence=point_evidence(point),
        )

    def _operand_words(self, scene: _Scene, unit: str | None) -> str:
        """Every operand with its value and its place."""
        words = {}
        for operand in self._leaves:
            if isinstance(operand, Baseline):
                value, _ = self._value(operand, scene)
                words[operand.key] = f"{operand.key} {shown(value, unit)}"
            elif isinstance(operand, Reduced):
                value, _ = self._value(operand, scene)
                point = scene.measured[operand].point
                step = f" at step {point.at.step:,}" if point is not None else ""
                name = scene.founds[operand].name
                how = "" if operand.how == "latest" else f"{self._operands[operand].when} of "
                words[scalar_text(operand)] = f"{how}{name} {shown(value, unit)}{step}"
        return "; ".join(words.values())

    def _common_unit(self, scene: _Scene) -> str | None:
        units = [self._unit_of(side, scene.founds) for side in self._sides]
        named = next((unit for unit in units if unit is not None), None)
        number = self._leaf.right
        return named or (one_unit(number.unit) if isinstance(number, Number) else None)


def _recency(point: Point) -> tuple[object, ...]:
    return (point.at.attempt, point.at.time, point.metric, *key_of(point))


def _joined(op: str, left: float, right: float) -> float:
    match op:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
    return left / right


def _scale_of(spec: MetricSpec | None) -> float:
    return spec.scale if spec is not None else 1.0


def _declared_unit(spec: MetricSpec | None) -> str | None:
    unit = None if spec is None else spec.unit
    return unit if unit in SIZED else None
