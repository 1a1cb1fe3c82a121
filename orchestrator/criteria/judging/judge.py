"""Criteria against the records of a run, as they arrive."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter

from orchestrator.criteria.judging.compile import watch_of
from orchestrator.criteria.judging.lanes import Board
from orchestrator.criteria.judging.watching import Asked, Journal, Setting, Watch
from orchestrator.criteria.predicates.parse import parse_predicate
from orchestrator.domain.criterion import Criterion, Decidable, State, Verdict
from orchestrator.domain.facts import RunFacts
from orchestrator.domain.point import Event, Point
from orchestrator.domain.run import MetricSpec
from orchestrator.errors import InvalidFileError

_TIME = attrgetter("at.time")
_WAITING = 16_384  # points taken in together: one sort and one look at each fold for many of them


class Judge:
    """Watches the records of one run and gives a verdict on each criterion at any time.

    Points, events and logs may come in any order, in any pieces and more than once; the verdicts
    and their evidence are the same. Points taken back by a resumed run do not count, so `final`
    holds as long as the run does not go back to an earlier step.

    `metrics` is what the spec declares under [metrics], `baselines` what other runs had measured,
    by `RUN:SERIES`; `steps_per` how many steps an epoch, iteration or episode has. `history` gives
    all points of a series known so far, in any order (the same at every call), for the few
    occasions on which memory of a few points is not enough; without it the judge keeps every point
    that it wants.
    """

    def __init__(
        self,
        criteria: Sequence[Criterion],
        metrics: Mapping[str, MetricSpec],
        *,
        baselines: Mapping[str, float] | None = None,
        steps_per: Mapping[str, float] | None = None,
        history: Callable[[str], Iterable[Point]] | None = None,
    ) -> None:
        self._kept: dict[str, list[Point]] | None = None if history else defaultdict(list)
        self._board = Board(history or self._remembered)
        self._journal = Journal()
        self._wanted: dict[str, bool] = {}
        self._waiting: list[Point] = []
        base = Setting(
            metrics=metrics,
            baselines=baselines or {},
            steps_per=steps_per or {},
            bindings={},
            board=self._board,
            journal=self._journal,
        )
        self._watches = [_watch(criterion, base) for criterion in criteria]

    def _remembered(self, metric: str) -> Iterable[Point]:
        return () if self._kept is None else self._kept[metric]

    def wants(self, metric: str) -> bool:
        """Whether points of this series could change a verdict.

        Where a window counts from the first record, all could: any of them may be that one.
        """
        return self._board.timed or self._is_watched(metric)

    def _is_watched(self, metric: str) -> bool:
        """Whether a criterion looks at the values of this series."""
        found = self._wanted.get(metric)
        if found is None:
            found = any(watch.wants(metric) for watch in self._watches)
            self._wanted[metric] = found
        return found

    def observe_point(self, point: Point) -> None:
        """Take in one point, in constant time amortised over many."""
        self._waiting.append(point)
        if len(self._waiting) >= _WAITING:
            self._take()

    def observe_event(self, event: Event) -> None:
        """Take in one event."""
        self._board.since(event.at.time)
        for monitor in self._journal.events:
            monitor.observe(event)

    def observe_log(self, source: str, first_line: int, text: str) -> None:
        """Take in complete lines of one log; `first_line` is the number of the first, from 1.

        An empty text says that the log exists.
        """
        for monitor in self._journal.logs.values():
            monitor.observe(source, first_line, text)

    def verdicts(self, facts: RunFacts) -> tuple[Verdict, ...]:
        """One verdict for each criterion, in their order."""
        self._take()
        return tuple(watch.verdict(facts) for watch in self._watches)

    def _take(self) -> None:
        """Hand the waiting points to their series."""
        # Every record counts for the beginning, whether its series is wanted or not.
        if self._waiting:
            self._board.since(min(map(_TIME, self._waiting)))
        series: defaultdict[str, list[Point]] = defaultdict(list)
        for point in self._waiting:
            series[point.metric].append(point)
        self._waiting.clear()
        for name, points in series.items():
            if not self._is_watched(name):
                continue
            if name not in self._board.lanes:
                self._open(name)
            if self._kept is not None:
                self._kept[name].extend(points)
            self._board.take(name, points)

    def _open(self, name: str) -> None:
        asks = (ask for watch in self._watches if watch.wants(name) for ask in watch.asks(name))
        self._board.open(name, asks)


def _watch(criterion: Criterion, base: Setting) -> Watch:
    reading = criterion.reading
    if reading.decidable is not Decidable.YES or reading.predicate is None:
        return Asked(reading.why or "a person decides")
    try:
        predicate = parse_predicate(reading.predicate)
    except InvalidFileError as error:
        return Asked(str(error))
    return watch_of(predicate, base.bound(criterion.bindings))


def decided(criteria: Sequence[Criterion], verdicts: Sequence[Verdict]) -> bool:
    """Whether no required criterion that the machine judges can change any more.

    Criteria that wait for a person do not hold a run; without any that the machine judges,
    nothing is ever decided.
    """
    required = [
        verdict
        for criterion, verdict in zip(criteria, verdicts, strict=True)
        if criterion.required
        and not (verdict.state in {State.MANUAL, State.WAIVED} and verdict.final)
    ]
    return bool(required) and all(verdict.final for verdict in required)
