"""Tests of single points: every one, some one, so many in a row."""

from collections.abc import Iterable

from orchestrator.criteria.judging.bound import Bound
from orchestrator.criteria.judging.folds import MOST_KEPT, Extent, Fold, Hits, Hold
from orchestrator.criteria.judging.lanes import Ask
from orchestrator.criteria.judging.measure import Value
from orchestrator.criteria.judging.scale import Scale, one_unit
from orchestrator.criteria.judging.series import Found, SeriesWatch
from orchestrator.criteria.judging.threshold import TAIL, numeric, projected, settled
from orchestrator.criteria.judging.watching import REST_OF_RUN, Setting, manual
from orchestrator.criteria.predicates.expression import Pointwise
from orchestrator.criteria.predicates.write import window_text
from orchestrator.domain.criterion import State, Verdict
from orchestrator.domain.facts import RunFacts
from orchestrator.domain.point import Point


class PointTest:
    """A `Pointwise` leaf."""

    def __init__(self, leaf: Pointwise, setting: Setting) -> None:
        other = None if leaf.value2 is None else leaf.value2.value
        self._bound = Bound.of(leaf.op, leaf.value.value, other, leaf.tolerance)
        self._unit = one_unit(leaf.value.unit)
        self._leaf = leaf
        self._board = setting.board
        self._window = setting.plain(leaf.window)
        self._spoken = window_text(leaf.window)
        self.series = SeriesWatch(leaf.name, setting)
        self.wants = self.series.wants

    def _scale(self, series: str) -> Scale:
        return Scale.of(self._bound, self._unit, series, self.series.spec(series))

    def _fold(self, scale: Scale) -> Ask[Hits] | Ask[Hold]:
        if self._leaf.mode == "hold":
            return Ask(Hold, self._window, (scale.logged, self._leaf.hold or 1))
        return Ask(Hits, self._window, (scale.logged,))

    def asks(self, series: str) -> Iterable[tuple[str, Ask[Fold]]]:
        """The folds of the test, and the tail that a projection needs."""
        asks: list[Ask[Fold]] = [Ask(Extent, self._window), self._fold(self._scale(series))]
        return self.series.asks(*asks, *([TAIL] if self._leaf.mode == "any" else []))

    def verdict(self, facts: RunFacts) -> Verdict:
        """What the points so far say."""
        found = self.series.find(facts)
        if isinstance(found, Verdict):
            return found
        scale = self._scale(found.name)
        question = scale.question(found.extent()) or self._too_many(found)
        if question is not None:
            return manual(question, final=facts.ended or found.settled)
        over = facts.ended or found.past(self._window, self._board.origin)
        newest = found.extent(self._window).newest
        if newest is None:
            return self._nothing(found, facts, over=over)
        match self._leaf.mode:
            case "all":
                verdict = self._all(found, scale, newest, facts, over=over)
            case "any":
                verdict = self._any(found, scale, newest, facts, over=over)
            case "hold":
                verdict = self._hold(found, scale, newest, over=over)
        return settled(found, scale, facts, verdict)

    def _too_many(self, found: Found) -> str | None:
        if self._window.kind != "last" or not found.lane.recent(self._window).clipped:
            return None
        return f"{self._spoken} are more than {MOST_KEPT:,} points: name a smaller window"

    def _nothing(self, found: Found, facts: RunFacts, *, over: bool) -> Verdict:
        gone = over or self._behind(facts)
        why = f"no point of {found.name} {self._spoken}" + ("" if gone else " yet")
        final = facts.ended or (over and found.settled)
        return Verdict(state=State.NO_DATA if gone else State.PENDING, final=final, why=why)

    def _behind(self, facts: RunFacts) -> bool:
        """Whether the run, if not this series, has gone beyond the window."""
        high = self._window.high
        return self._has_end and high is not None and (facts.max_step or 0) > high

    def _reached_end(self, newest: Point, facts: RunFacts) -> bool:
        """Whether the run went as far as the window does; without an end it always has."""
        return max(newest.at.step, facts.max_step or 0) >= (self._window.high or 0.0)

    @property
    def _has_end(self) -> bool:
        return self._window.unit == "step" and self._window.kind != "last"

    def _all(
        self, found: Found, scale: Scale, newest: Point, facts: RunFacts, *, over: bool
    ) -> Verdict:
        """Every point: one bad one fails it, for as long as it counts."""
        hits = found.lane.fold(Ask(Hits, self._window, (scale.logged,)))
        sliding = self._window.kind == "last" and not over
        if bad := hits.first_bad:
            state = State.PENDING if sliding else State.FAILED
            when = self._when("first that fails")
            return numeric(scale, Value.at(bad), state, final=not sliding, when=when)
        if facts.ended and self._has_end and not self._reached_end(newest, facts):
            why = f"the run ended before the end of: {self._spoken}"
            return Verdict(state=State.NO_DATA, final=True, why=why)
        state = State.MET if over else State.PENDING
        when = "worst of all points" if over else f"worst so far; {REST_OF_RUN}"
        worst = _worst(scale, found.extent(self._window)) or newest
        return numeric(scale, Value.at(worst), state, final=over, when=self._when(when))

    def _any(
        self, found: Found, scale: Scale, newest: Point, facts: RunFacts, *, over: bool
    ) -> Verdict:
        """The first point that meets it; the run may be past the end before the series is."""
        hits = found.lane.fold(Ask(Hits, self._window, (scale.logged,)))
        if good := hits.first_good:
            final = over or self._window.kind != "last"
            when = self._when("first") if self._spoken else "first point that meets it"
            return numeric(scale, Value.at(good), State.MET, final=final, when=when)
        state = State.FAILED if over or self._behind(facts) else State.PENDING
        when = self._when("latest") if self._spoken else "latest; no point met it"
        verdict = numeric(scale, Value.at(newest), state, final=over, when=when)
        if state is State.PENDING and self._window.kind in {"whole", "by"}:
            return projected(verdict, found, scale.logged, self._window)
        return verdict

    def _hold(self, found: Found, scale: Scale, newest: Point, *, over: bool) -> Verdict:
        """So many points in a row."""
        length = self._leaf.hold or 1
        hold = found.lane.fold(Ask(Hold, self._window, (scale.logged, length)))
        if hold.done is not None:
            final = over or self._window.kind != "last"
            when = self._when(f"{length} in a row")
            return numeric(scale, Value.at(hold.done), State.MET, final=final, when=when)
        when = self._when(f"at most {hold.longest} of {length} in a row, now {hold.run}")
        state = State.FAILED if over else State.PENDING
        return numeric(scale, Value.at(newest), state, final=over, when=when)

    def _when(self, words: str) -> str:
        return f"{words}, {self._spoken}" if self._spoken else words


def _worst(scale: Scale, extent: Extent) -> Point | None:
    """The point with the smallest margin; None where none has one, and for `!=`."""
    ends = [point for point in (extent.lowest, extent.highest) if point is not None]
    margins = [
        (margin, point) for point in ends if (margin := scale.margin(point.value)) is not None
    ]
    if not margins or scale.bound.op == "!=":
        return None
    return min(margins, key=lambda pair: pair[0])[1]
