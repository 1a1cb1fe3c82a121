"""What every part of a criterion has in common: it asks for folds, and gives a verdict."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from orchestrator.criteria.judging.folds import Fold
from orchestrator.criteria.judging.lanes import Ask, Board
from orchestrator.criteria.judging.monitors import LOG_PATTERNS, EventMonitor, LogMonitor
from orchestrator.criteria.predicates.expression import Window
from orchestrator.criteria.values import shown
from orchestrator.domain.criterion import Evidence, State, Verdict
from orchestrator.domain.facts import RunFacts
from orchestrator.domain.point import Point
from orchestrator.domain.run import MetricSpec

SO_FAR = "met so far: "
REST_OF_RUN = "can change until the run ends"
SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "days": 86400.0}


class QuestionError(Exception):
    """A person must say something before this can be judged; the message is the question."""


class Watch(Protocol):
    """A part of a criterion."""

    def wants(self, series: str) -> bool:
        """Whether points of a series of this name could matter."""

    def asks(self, series: str) -> Iterable[tuple[str, Ask[Fold]]]:
        """Which folds of such a series are needed, each with the ranks that count."""

    def verdict(self, facts: RunFacts) -> Verdict:
        """What the records so far say."""


class Pointless:
    """A part of a criterion that looks at no series."""

    def wants(self, series: str) -> bool:
        """No series matters."""
        return False

    def asks(self, series: str) -> Iterable[tuple[str, Ask[Fold]]]:
        """Nothing is needed."""
        return ()


@dataclass(frozen=True)
class Asked(Pointless):
    """A part that only a person can judge, or answer for."""

    why: str

    def verdict(self, facts: RunFacts) -> Verdict:
        """The question."""
        return manual(self.why)


@dataclass(slots=True)
class Journal:
    """The events and logs of a run, as far as some criterion asks about them."""

    events: list[EventMonitor] = field(default_factory=list)
    logs: dict[str, LogMonitor] = field(default_factory=dict)

    def watch_events(self, monitor: EventMonitor) -> EventMonitor:
        """Feed a monitor every event from now on."""
        self.events.append(monitor)
        return monitor

    def hazard(self, name: str) -> LogMonitor:
        """The monitor of a hazard's patterns (`oom`, `crash`, `error`), shared by all."""
        return self.logs.setdefault(name, LogMonitor(LOG_PATTERNS[name]))


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a criterion is judged against: declarations, frozen facts, and the run's records.

    `bindings` gives the series of names that were bound when the run started.
    """

    metrics: Mapping[str, MetricSpec]
    baselines: Mapping[str, float]
    steps_per: Mapping[str, float]
    bindings: Mapping[str, str]
    board: Board
    journal: Journal

    def bound(self, bindings: Mapping[str, str]) -> "Setting":
        """The same for a criterion with these bindings."""
        return replace(self, bindings=bindings)

    def plain(self, window: Window) -> Window:
        """The window in steps, points or seconds; the board takes note of one in seconds.

        Raises QuestionError where nobody said how many steps a unit has.
        """
        if window.kind == "whole" or window.unit in {"step", "point"}:
            return window
        unit, factor = "s", SECONDS.get(window.unit)
        self.board.timed |= factor is not None and window.kind != "last"
        if factor is None:
            unit, factor = "step", self.steps_per.get(window.unit)
        if factor is None:
            raise QuestionError(
                f"how many steps is an {window.unit}? "
                f"Declare params.steps_per_{window.unit} in the spec"
            )
        low, high = (None if end is None else end * factor for end in (window.low, window.high))
        return replace(window, low=low, high=high, unit=unit)


def without_hedge(verdict: Verdict) -> str:
    """What a verdict says, without the words that it can still change."""
    return verdict.why.removeprefix(SO_FAR).removesuffix(f"; {REST_OF_RUN}")


def hedged(why: str) -> str:
    """Met, and it can still change."""
    return f"{SO_FAR}{why}; {REST_OF_RUN}"


def manual(why: str, *, final: bool = True) -> Verdict:
    """A verdict that waits for a person."""
    return Verdict(state=State.MANUAL, final=final, why=why)


def open_or(state: State, facts: RunFacts, why: str, *, over: bool = False) -> Verdict:
    """Pending while records may still come; `state` for good once the run ended or it is `over`."""
    if facts.ended or over:
        return Verdict(state=state, final=True, why=why)
    return Verdict(state=State.PENDING, final=False, why=why)


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


def no_point(name: str, facts: RunFacts, where: str = "") -> Verdict:
    """Nothing to judge by; `where` says on which ranks or in which window."""
    if facts.ended:
        return open_or(State.NO_DATA, facts, f"the run ended without a point of {name}{where}")
    return open_or(State.NO_DATA, facts, f"waits for the first point of {name}{where}")
