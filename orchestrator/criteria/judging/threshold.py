"""`X op number`: one value of a series against a constant."""

from collections.abc import Iterable
from dataclasses import replace

from orchestrator.criteria.judging.bound import Bound
from orchestrator.criteria.judging.folds import Fold, Recent
from orchestrator.criteria.judging.lanes import Ask
from orchestrator.criteria.judging.measure import Measured, Operand, Value
from orchestrator.criteria.judging.projection import POINTS, in_words, project
from orchestrator.criteria.judging.scale import Scale, one_unit
from orchestrator.criteria.judging.series import Found
from orchestrator.criteria.judging.watching import (
    QuestionError,
    Setting,
    hedged,
    manual,
    point_evidence,
    without_hedge,
)
from orchestrator.criteria.predicates.expression import WHOLE, Reduced, Window
from orchestrator.criteria.values import shown, shown_margin
from orchestrator.domain.criterion import State, Verdict
from orchestrator.domain.facts import RunFacts

TAIL = Ask(Recent, WHOLE, (POINTS, "point"))


class Threshold:
    """A comparison of one `Reduced` with a bound, whose numbers have the unit as written."""

    def __init__(self, reduced: Reduced, bound: Bound, unit: str | None, setting: Setting) -> None:
        self._bound = bound
        self._unit = None if reduced.how == "count" else one_unit(unit)
        self._operand = Operand(reduced, setting)
        self._window = setting.plain(reduced.window)
        self.series = self._operand.series
        self.wants = self.series.wants

    def _scale(self, series: str) -> Scale:
        spec = None if self._operand.how == "count" else self.series.spec(series)
        return Scale.of(self._bound, self._unit, series, spec)

    def asks(self, series: str) -> Iterable[tuple[str, Ask[Fold]]]:
        """The folds of the value, and the tail that a projection needs."""
        yield from self._operand.asks(self._scale(series).logged)
        if self._is_projected:
            yield self.series.name.ranks, TAIL

    @property
    def _is_projected(self) -> bool:
        return self._operand.how == "latest" and self._window.kind in {"whole", "at", "by"}

    def verdict(self, facts: RunFacts) -> Verdict:
        """What the points so far say."""
        found = self.series.find(facts)
        if isinstance(found, Verdict):
            return found
        scale = self._scale(found.name)
        question = None if self._operand.how == "count" else scale.question(found.extent())
        try:
            measured = self._operand.read(found, facts, self._bound.op, scale.logged)
        except QuestionError as error:
            question = str(error)
            measured = Measured()
        if question is not None:
            return manual(question, final=facts.ended or found.settled)
        return settled(found, scale, facts, self._judge(found, scale, measured, facts))

    def _judge(self, found: Found, scale: Scale, measured: Measured, facts: RunFacts) -> Verdict:
        when = self._operand.when
        if measured.point is None or measured.value is None or (measured.waits and facts.ended):
            return without_value(measured, facts)
        value = Value(measured.value, measured.point, about=measured.about, met=measured.met)
        bound, rising = scale.logged, measured.rising
        lasting = rising is not None and bound.lasting(value.number, rising=rising)
        if measured.nan is not None and not lasting:
            value = Value.at(measured.nan)
            lasting = rising is not None and not bound.reachable(rising=rising)
        final = measured.closed or lasting
        if measured.waits:
            state, final, when = State.PENDING, False, f"latest; {measured.why}"
        else:
            met = value.meets(bound)
            state = State.MET if met else State.FAILED if final else State.PENDING
        verdict = numeric(scale, value, state, final=final, when=when)
        if state is State.PENDING and self._is_projected:
            return projected(verdict, found, scale.logged, self._window)
        return verdict


def without_value(measured: Measured, facts: RunFacts) -> Verdict:
    """Why there is nothing to compare."""
    over = facts.ended or measured.closed
    return Verdict(
        state=measured.lacking if over else State.PENDING,
        final=over,
        why=measured.why,
        evidence=None if measured.point is None else point_evidence(measured.point),
    )


def settled(found: Found, scale: Scale, facts: RunFacts, verdict: Verdict) -> Verdict:
    """Nothing is final early while another series may be meant, or another scale."""
    final = verdict.final and (facts.ended or (found.settled and scale.certain))
    why = without_hedge(verdict)
    if not scale.certain and verdict.value is not None:
        why += "; read as a fraction because every value lies in 0…1"
    if verdict.state is State.MET and not final:
        why = hedged(why)
    return replace(verdict, final=final, why=why)


def numeric(scale: Scale, value: Value, state: State, *, final: bool, when: str) -> Verdict:
    """A verdict with value, margin and one sentence: `11.25% > 5% at step 41,444 (latest), …`."""
    point, unit = value.point, scale.unit
    number, margin = scale.read(value.number), scale.margin(value.number)
    rough = "≈ " if value.about else ""
    why = f"{rough}{shown(number, unit)} "
    why += scale.bound.relation(unit, met=value.meets(scale.logged))
    why += f" at step {point.at.step:,} ({when})"
    if margin is not None:
        why += f", margin {rough}{shown_margin(margin, unit)}"
    if state is State.MET and not final:
        why = hedged(why)
    return Verdict(
        state=state,
        final=final,
        why=why,
        value=number,
        margin=margin,
        unit=unit,
        evidence=point_evidence(point, unit, scale.read(point.value)),
    )


def projected(verdict: Verdict, found: Found, bound: Bound, window: Window) -> Verdict:
    """The verdict with what the present trend promises."""
    tail = found.lane.fold(TAIL).points
    projection = project(tail, bound)
    if projection is None:
        return verdict
    limit = window.high if window.unit == "step" else None
    why = f"{verdict.why}; {in_words(projection, limit)}"
    return replace(verdict, projection=projection, why=why)
