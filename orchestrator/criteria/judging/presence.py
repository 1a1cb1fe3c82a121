"""That a series was logged, that its points are clean, that it rises or falls."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace

from orchestrator.criteria.judging.binding import in_glob
from orchestrator.criteria.judging.counts import Slope
from orchestrator.criteria.judging.folds import MOST_KEPT, Extent, Fold, Hazard
from orchestrator.criteria.judging.lanes import Ask, Lane
from orchestrator.criteria.judging.order import key_of
from orchestrator.criteria.judging.series import Found, SeriesWatch
from orchestrator.criteria.judging.watching import (
    REST_OF_RUN,
    Setting,
    hedged,
    manual,
    no_point,
    open_or,
    point_evidence,
)
from orchestrator.criteria.predicates.expression import Free, Logged, Name, Trend
from orchestrator.criteria.predicates.write import window_text
from orchestrator.criteria.values import shown
from orchestrator.domain.criterion import State, Verdict
from orchestrator.domain.facts import RunFacts
from orchestrator.domain.point import Point

_FEWEST = 3  # points that make a trend


class LoggedTest:
    """That a series has a finite point."""

    def __init__(self, leaf: Logged, setting: Setting) -> None:
        self._series = SeriesWatch(leaf.name, setting)
        self.wants = self._series.wants

    def asks(self, series: str) -> Iterable[tuple[str, Ask[Fold]]]:
        """Its first finite point."""
        return self._series.asks()

    def verdict(self, facts: RunFacts) -> Verdict:
        """Whether there is one."""
        found = self._series.find(facts)
        if isinstance(found, Verdict):
            return found
        point = found.extent().first_finite
        if point is None:
            return open_or(State.FAILED, facts, f"{found.name} has no finite value")
        return Verdict(
            state=State.MET,
            final=facts.ended or found.settled,
            why=f"{point.metric} was logged from step {point.at.step:,} on ({found.how})",
            value=point.value,
            evidence=point_evidence(point),
        )


class CleanTest:
    """That no effective point of any series, or of those of a glob, is NaN (or infinite)."""

    def __init__(self, leaf: Free, setting: Setting) -> None:
        name = leaf.series or Name(text="*")
        self._glob, self._ranks = name.text.casefold(), name.ranks
        self._what = "any metric" if leaf.series is None else name.text
        self._bad = "NaN" if leaf.hazard == "nan" else "infinity"
        self._fold = Ask(Hazard, parts=(leaf.hazard,))
        self._board = setting.board

    def wants(self, series: str) -> bool:
        """Whether the series is searched."""
        return in_glob(series, self._glob)

    def asks(self, series: str) -> Iterable[tuple[str, Ask[Fold]]]:
        """Its first bad point."""
        yield self._ranks, self._fold

    def _lanes(self) -> Iterator[Lane]:
        for series in sorted(self._board.lanes):
            lane = self._board.lane(series, self._ranks) if self.wants(series) else None
            if lane is not None and lane.newest is not None:
                yield lane

    def verdict(self, facts: RunFacts) -> Verdict:
        """What the points so far say; the first bad one of all series decides."""
        lanes = list(self._lanes())
        newest = [lane.newest for lane in lanes if lane.newest is not None]
        if not newest:
            return no_point(self._what, facts)
        folds = [lane.fold(self._fold) for lane in lanes]
        lost = sum(fold.lost for fold in folds)
        taken_back = (
            f"; {lost:,} superseded point{' was' if lost == 1 else 's were'}" if lost else ""
        )
        if bad := [fold.first for fold in folds if fold.first is not None]:
            point = min(bad, key=_place)
            return Verdict(
                state=State.FAILED,
                final=True,
                why=f"{point.metric} is {shown(point.value)} at step {point.at.step:,}{taken_back}",
                value=point.value,
                evidence=point_evidence(point),
            )
        last = max(newest, key=_place)
        where = (
            f"in any point up to step {last.at.step:,}"
            if facts.ended
            else (f"up to step {last.at.step:,}")
        )
        why = f"no {self._bad} {where}{taken_back}"
        verdict = open_or(State.MET, facts, why if facts.ended else f"{why}; {REST_OF_RUN}")
        return replace(verdict, evidence=point_evidence(last))


def _place(point: Point) -> tuple[object, ...]:
    return (*key_of(point)[:6], point.metric)


class TrendTest:
    """That the line of least squares through the points of a window rises, or falls."""

    def __init__(self, leaf: Trend, setting: Setting) -> None:
        self._rising = leaf.direction == "increasing"
        self._window = setting.plain(leaf.window)
        self._spoken = window_text(leaf.window)
        self._board = setting.board
        self._fold = Ask(Slope, self._window)
        self._series = SeriesWatch(leaf.name, setting)
        self.wants = self._series.wants

    def asks(self, series: str) -> Iterable[tuple[str, Ask[Fold]]]:
        """The sums behind the line."""
        return self._series.asks(Ask(Extent, self._window), self._fold)

    def verdict(self, facts: RunFacts) -> Verdict:
        """What the points so far say."""
        found = self._series.find(facts)
        if isinstance(found, Verdict):
            return found
        if self._window.kind == "last" and found.lane.recent(self._window).clipped:
            why = f"{self._spoken} are more than {MOST_KEPT:,} points: name a smaller window"
            return manual(why, final=facts.ended or found.settled)
        past = found.past(self._window, self._board.origin)
        verdict = self._judge(found, facts, over=facts.ended or past)
        if verdict.final and not (facts.ended or found.settled):
            return replace(verdict, final=False)
        return verdict

    def _judge(self, found: Found, facts: RunFacts, *, over: bool) -> Verdict:
        newest, sums = found.extent(self._window).newest, found.lane.fold(self._fold)
        where = f", {self._spoken}" if self._spoken else ""
        slope = sums.per_step
        if newest is None or sums.count + sums.odd < _FEWEST or (slope is None and not sums.odd):
            points = sums.count + sums.odd
            why = f"{points} point{'' if points == 1 else 's'} of {found.name}{where} make no trend"
            return open_or(State.NO_DATA, facts, why, over=over)
        evidence = point_evidence(newest)
        if sums.odd or slope is None:
            why = f"{sums.odd:,} of the points of {found.name}{where} are not finite"
            return replace(open_or(State.FAILED, facts, why, over=over), evidence=evidence)
        margin = slope if self._rising else 0.0 - slope
        state = State.MET if margin > 0 else State.FAILED if over else State.PENDING
        why = f"{found.name} {_movement(slope)} over {sums.count:,} points{where}"
        if state is State.MET and not over:
            why = hedged(why)
        return Verdict(
            state=state, final=over, why=why, value=slope, margin=margin, evidence=evidence
        )


def _movement(slope: float) -> str:
    """In words, by the thousand steps."""
    if slope == 0 or not math.isfinite(slope):
        return "neither rises nor falls"
    return f"{'rises' if slope > 0 else 'falls'} by {shown(abs(slope) * 1000)} per 1,000 steps"
