"""Checks that ride along with a criterion: they warn, and never change its state."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from orchestrator.criteria.judging.counts import Count
from orchestrator.criteria.judging.folds import Extent, Fold
from orchestrator.criteria.judging.lanes import Ask
from orchestrator.criteria.judging.measure import is_higher_better
from orchestrator.criteria.judging.series import Found, SeriesWatch
from orchestrator.criteria.judging.watching import Setting, Watch
from orchestrator.criteria.predicates.expression import Name
from orchestrator.criteria.values import shown
from orchestrator.domain.criterion import Verdict
from orchestrator.domain.facts import RunFacts

_FEWEST = 3  # equal points that make a constant
_COUNT = Ask(Count)
_EXTENT = Ask(Extent)


class Check(Protocol):
    """Something that may give warnings."""

    def wants(self, series: str) -> bool:
        """Whether points of a series matter to it."""

    def asks(self, series: str) -> Iterable[tuple[str, Ask[Fold]]]:
        """Which folds of such a series are needed."""

    def warnings(self, facts: RunFacts) -> Iterator[str]:
        """What does not look right."""


class SeriesCheck:
    """A series that is compared is finite, not constant, and better than a constant predictor."""

    def __init__(self, name: Name, op: str, setting: Setting) -> None:
        self._series = SeriesWatch(name, setting)
        self._op = op
        rivals = {spec.chance for spec in setting.metrics.values() if isinstance(spec.chance, str)}
        self._chances = {rival: SeriesWatch(Name(text=rival), setting) for rival in rivals}

    def wants(self, series: str) -> bool:
        """The series, and those that hold what chance would give."""
        return self._series.wants(series) or any(c.wants(series) for c in self._chances.values())

    def asks(self, series: str) -> Iterable[tuple[str, Ask[Fold]]]:
        """How many points there are, and their extremes."""
        if self._series.wants(series):
            yield from self._series.asks(_COUNT)
        for chance in self._chances.values():
            if chance.wants(series):
                yield from chance.asks()

    def warnings(self, facts: RunFacts) -> Iterator[str]:
        """At most one of each kind."""
        found = self._series.find(facts)
        if isinstance(found, Verdict):
            return
        newest = found.newest
        if not math.isfinite(newest.value):
            yield f"{found.name} is {shown(newest.value)} at step {newest.at.step:,}, its latest"
            return
        yield from self._constant(found)
        yield from self._chance(found, facts)

    def _constant(self, found: Found) -> Iterator[str]:
        extent, count = found.extent(), found.lane.fold(_COUNT).count
        low, high = extent.lowest, extent.highest
        if self._op in {"==", "~="} or extent.odd or count < _FEWEST or low is None or high is None:
            return
        if low.value == high.value:
            yield f"{found.name} has been {shown(low.value)} at each of {count:,} points"

    def _chance(self, found: Found, facts: RunFacts) -> Iterator[str]:
        chance = None if found.spec is None else found.spec.chance
        if isinstance(chance, str):
            other = self._chances[chance].find(facts)
            chance = None if isinstance(other, Verdict) else other.newest.value
        rising = is_higher_better(found.name, found.spec, self._op)
        if chance is None or rising is None or not math.isfinite(chance):
            return
        value = found.newest.value
        if not (value > chance if rising else value < chance):
            yield f"{found.name} {shown(value)} is no better than the {shown(chance)} of chance"


class LossCheck:
    """A run that makes progress has finite losses."""

    def __init__(self, setting: Setting) -> None:
        self._board = setting.board

    def wants(self, series: str) -> bool:
        """Every series that calls itself a loss."""
        return "loss" in series.casefold()

    def asks(self, series: str) -> Iterable[tuple[str, Ask[Fold]]]:
        """The newest point."""
        yield "0", _EXTENT

    def warnings(self, facts: RunFacts) -> Iterator[str]:
        """One for each loss that is not finite."""
        for series in sorted(filter(self.wants, self._board.lanes)):
            lane = self._board.lane(series, "0")
            newest = None if lane is None else lane.newest
            if newest is not None and not math.isfinite(newest.value):
                yield f"{series} is {shown(newest.value)} at step {newest.at.step:,}, its latest"


@dataclass(frozen=True)
class Accompanied:
    """A part of a criterion with checks beside it."""

    watch: Watch
    checks: Sequence[Check]

    def wants(self, series: str) -> bool:
        """Whether the part or a check does."""
        return self.watch.wants(series) or any(check.wants(series) for check in self.checks)

    def asks(self, series: str) -> Iterable[tuple[str, Ask[Fold]]]:
        """What the part and the checks need."""
        askers: list[Watch | Check] = [self.watch, *self.checks]
        for asker in askers:
            if asker.wants(series):
                yield from asker.asks(series)

    def verdict(self, facts: RunFacts) -> Verdict:
        """The verdict of the part, with the warnings of the checks."""
        notes = dict.fromkeys(note for check in self.checks for note in check.warnings(facts))
        return replace(self.watch.verdict(facts), companions=tuple(notes))
