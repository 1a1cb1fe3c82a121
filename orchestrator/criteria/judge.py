"""Criteria against the records of a run, as they arrive."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from orchestrator.criteria.monitors import LOG_PATTERNS, EventMonitor, LogMonitor, PointMonitor
from orchestrator.criteria.run_verdict import (
    checkpoint_verdict,
    crash_event,
    event_matcher,
    event_verdict,
    file_verdict,
    log_verdict,
    resources_verdict,
    step_verdict,
)
from orchestrator.criteria.series_verdict import SeriesWatch
from orchestrator.domain.criterion import Clause, Criterion, Decidable, State, Subject, Verdict
from orchestrator.domain.facts import RunFacts
from orchestrator.domain.point import Event, Point
from orchestrator.domain.run import MetricSpec

# Which clause speaks for a conjunction: the worst news first.
_WORST_FIRST = (State.FAILED, State.MANUAL, State.NO_DATA, State.PENDING, State.MET)


@dataclass(frozen=True, slots=True)
class _Part:
    """A clause with the monitor that it needs, if it needs one."""

    clause: Clause
    watch: SeriesWatch | EventMonitor | None


class Judge:
    """Watches the records of one run and gives a verdict on each criterion at any time.

    Points, events and logs may come in any order, in any pieces and more than once; the verdicts
    are the same. `metrics` is what the spec declares under [metrics].
    """

    def __init__(self, criteria: Sequence[Criterion], metrics: Mapping[str, MetricSpec]) -> None:
        self._criteria = tuple(criteria)
        self._parts = [_parts(criterion, metrics) for criterion in self._criteria]
        every = [part for parts in self._parts for part in parts]
        self._series = [part.watch for part in every if isinstance(part.watch, SeriesWatch)]
        self._crashes = EventMonitor(crash_event)
        events = [part.watch for part in every if isinstance(part.watch, EventMonitor)]
        self._events = [*events, self._crashes]
        hazards = {part.clause.metric for part in every if part.clause.subject is Subject.LOG}
        self._logs = {
            name: LogMonitor(pattern) for name, pattern in LOG_PATTERNS.items() if name in hazards
        }
        self._monitors: dict[str, tuple[PointMonitor, ...]] = {}

    def wants(self, metric: str) -> bool:
        """Whether points of this series could change a verdict."""
        return any(watch.wants(metric) for watch in self._series)

    def observe_point(self, point: Point) -> None:
        """Take in one point, in constant time."""
        monitors = self._monitors.get(point.metric)
        if monitors is None:
            wanted = [watch for watch in self._series if watch.wants(point.metric)]
            monitors = tuple(watch.monitor_of(point.metric) for watch in wanted)
            self._monitors[point.metric] = monitors
        for monitor in monitors:
            monitor.observe(point)

    def observe_event(self, event: Event) -> None:
        """Take in one event."""
        for monitor in self._events:
            monitor.observe(event)

    def observe_log(self, source: str, first_line: int, text: str) -> None:
        """Take in complete lines of one log; `first_line` is the number of the first, from 1.

        An empty text says that the log exists.
        """
        for monitor in self._logs.values():
            monitor.observe(source, first_line, text)

    def verdicts(self, facts: RunFacts) -> tuple[Verdict, ...]:
        """One verdict for each criterion, in their order."""
        return tuple(
            self._verdict(criterion, parts, facts)
            for criterion, parts in zip(self._criteria, self._parts, strict=True)
        )

    def _verdict(self, criterion: Criterion, parts: tuple[_Part, ...], facts: RunFacts) -> Verdict:
        if not parts:
            why = criterion.reading.why or "a person decides"
            return Verdict(state=State.MANUAL, final=True, why=why)
        return conjunction([self._clause_verdict(part, facts) for part in parts])

    def _clause_verdict(self, part: _Part, facts: RunFacts) -> Verdict:
        clause = part.clause
        match clause.subject:
            case Subject.STEP:
                return step_verdict(clause, facts)
            case Subject.CHECKPOINT:
                return checkpoint_verdict(clause, facts)
            case Subject.FILE:
                return file_verdict(clause, facts)
            case Subject.RESOURCES:
                return resources_verdict(facts)
            case Subject.LOG:
                return log_verdict(clause, self._logs[clause.metric or ""], self._crashes, facts)
            case Subject.EVENT | Subject.METRIC:
                if isinstance(part.watch, EventMonitor):
                    return event_verdict(clause, part.watch, facts)
                assert part.watch is not None  # noqa: S101 - _parts gives every metric a watch
                return part.watch.verdict(facts)


def _parts(criterion: Criterion, metrics: Mapping[str, MetricSpec]) -> tuple[_Part, ...]:
    if criterion.reading.decidable is not Decidable.YES:
        return ()
    return tuple(_Part(clause, _watch(clause, metrics)) for clause in criterion.reading.clauses)


def _watch(clause: Clause, metrics: Mapping[str, MetricSpec]) -> SeriesWatch | EventMonitor | None:
    if clause.subject is Subject.METRIC:
        return SeriesWatch(clause, metrics)
    if clause.subject is Subject.EVENT:
        return EventMonitor(event_matcher(clause.metric or ""))
    return None


def conjunction(verdicts: Sequence[Verdict]) -> Verdict:
    """Three-valued `and`: one failure decides; it is met only when every clause is met.

    The deciding clause speaks first and lends its value, margin and evidence.
    """
    if len(verdicts) == 1:
        return verdicts[0]
    ordered = sorted(
        verdicts, key=lambda verdict: (_WORST_FIRST.index(verdict.state), not verdict.final)
    )
    chosen = ordered[0]
    lasting = chosen.state is State.FAILED and chosen.final
    why = chosen.why
    if chosen.state is State.MET:
        why = "; ".join(verdict.why for verdict in verdicts)
    return replace(chosen, final=lasting or all(verdict.final for verdict in verdicts), why=why)


def decided(criteria: Sequence[Criterion], verdicts: Sequence[Verdict]) -> bool:
    """Whether no required criterion that the machine judges can change any more.

    Criteria that wait for a person do not hold a run; without any that the machine judges,
    nothing is ever decided.
    """
    required = [
        verdict
        for criterion, verdict in zip(criteria, verdicts, strict=True)
        if criterion.required and verdict.state not in {State.MANUAL, State.WAIVED}
    ]
    return bool(required) and all(verdict.final for verdict in required)
