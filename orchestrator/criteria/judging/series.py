"""From a name in a predicate to the series that was logged."""

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.criteria.judging.binding import Binding, bind, spec_of, suggestions, target_of
from orchestrator.criteria.judging.folds import Extent, Fold
from orchestrator.criteria.judging.lanes import Ask, Lane
from orchestrator.criteria.judging.watching import Setting, no_point, open_or
from orchestrator.criteria.predicates.expression import WHOLE, Name, Window
from orchestrator.domain.criterion import State, Verdict
from orchestrator.domain.facts import RunFacts
from orchestrator.domain.point import Point
from orchestrator.domain.run import MetricSpec
from orchestrator.domain.series import plain_name


@dataclass(frozen=True, slots=True)
class Found:
    """The series of a name; `settled` says that no name logged later can take its place."""

    lane: Lane
    newest: Point
    spec: MetricSpec | None
    how: str
    settled: bool

    @property
    def name(self) -> str:
        """The series as it is logged."""
        return self.lane.name

    def extent(self, window: Window = WHOLE) -> Extent:
        """First, last, lowest and highest point in a window."""
        return self.lane.fold(Ask(Extent, window))

    def past(self, window: Window, origin: float) -> bool:
        """Whether the series has gone beyond a window, so that no later point can lie in it."""
        if window.high is None or window.kind == "last":
            return False
        at = self.newest.at
        return (at.time - origin if window.unit == "s" else at.step) > window.high


class SeriesWatch:
    """A name, and the series that it could be about."""

    def __init__(self, name: Name, setting: Setting) -> None:
        self.name = name
        self._setting = setting
        self._target = target_of(name, setting.metrics)
        self._frozen = setting.bindings.get(self._target.spoken)
        self._bound: tuple[int, Binding] | None = None  # for so many series known

    def wants(self, series: str) -> bool:
        """Whether a series of this name could matter."""
        if self._frozen is not None:
            return series == self._frozen
        declared = self._target.declared
        if declared is not None:
            return declared in {series, plain_name(series)}
        return self._target.rank(series) is not None

    def asks(self, *asks: Ask[Fold]) -> Iterable[tuple[str, Ask[Fold]]]:
        """These folds on the ranks of the name, and what every series needs."""
        return ((self.name.ranks, ask) for ask in (Ask(Extent), *asks))

    def spec(self, series: str) -> MetricSpec | None:
        """What the spec declares of a series."""
        return spec_of(series, self._setting.metrics)

    def find(self, facts: RunFacts) -> Found | Verdict:
        """The series with at least one point, or why there is none."""
        binding = self._binding()
        if binding.series is None:
            return self._unbound(binding, facts)
        lane = self._setting.board.lane(binding.series, self.name.ranks)
        if lane is None or lane.newest is None:
            elsewhere = binding.series in self._setting.board.lanes
            where = f" on rank {self.name.ranks}" if elsewhere else ""
            return no_point(binding.series, facts, where)
        spec = self.spec(binding.series)
        return Found(lane, lane.newest, spec, binding.how, binding.settled)

    def _binding(self) -> Binding:
        """The binding among the series logged so far, looked for when one was added."""
        if self._frozen is not None:
            return Binding(series=self._frozen, how="bound at start", settled=True)
        names = self._setting.board.lanes.keys()
        if self._bound is None or self._bound[0] != len(names):
            self._bound = (len(names), bind(self._target, names))
        return self._bound[1]

    def _unbound(self, binding: Binding, facts: RunFacts) -> Verdict:
        """Several series fit, or none does yet."""
        if binding.rivals:
            why = f"{binding.how}: {', '.join(binding.rivals)}; write the key in backticks"
            return open_or(State.MANUAL, facts, why)
        near = suggestions(self._target, [*facts.series, *self._setting.metrics])
        hint = f"; near: {', '.join(near)}" if near else ""
        until = "" if facts.ended else " yet"
        return open_or(State.NO_DATA, facts, f"{binding.how}{until}{hint}")
