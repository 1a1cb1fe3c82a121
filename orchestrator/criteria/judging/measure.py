"""One value from the points of a series: `latest`, `best`, `mean`, `p95` … over a window."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from orchestrator.criteria.judging.bound import Bound
from orchestrator.criteria.judging.counts import Below, Buckets, Count, Tally, percentile_of
from orchestrator.criteria.judging.folds import MOST_KEPT, Extent, Fold
from orchestrator.criteria.judging.lanes import Ask
from orchestrator.criteria.judging.series import Found, SeriesWatch
from orchestrator.criteria.judging.watching import QuestionError, Setting
from orchestrator.criteria.lines.vocabulary import direction_of
from orchestrator.criteria.predicates.expression import Reduced
from orchestrator.criteria.predicates.write import window_text
from orchestrator.domain.criterion import State
from orchestrator.domain.facts import RunFacts
from orchestrator.domain.point import Point
from orchestrator.domain.run import MetricSpec, Outcome

_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?|100)")
_HOWS = {"latest", "final", "first", "best", "mean", "median", "min", "max", "count"}


@dataclass(frozen=True, slots=True)
class Value:
    """A number in logged units at a point; `about` and `met` are as in `Measured`."""

    number: float
    point: Point
    about: bool = False
    met: bool | None = None

    @classmethod
    def at(cls, point: Point) -> "Value":
        """The value of one point."""
        return cls(point.value, point)

    def meets(self, bound: Bound) -> bool:
        """Whether it meets a bound in logged units."""
        return bound.test()(self.number) if self.met is None else self.met


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A value in logged units with the point it comes from, or `why` there is none.

    `closed` says that no later point can change it; `rising` that it only rises (True) or only
    falls (False); `about` that it is known to 0.1% only, and `met` then what is known exactly.
    `waits` says that the value is not yet the one that is asked for; `lacking` is what a criterion
    is at the end without a value. `nan` is a NaN that an extreme was found beside.
    """

    value: float | None = None
    point: Point | None = None
    why: str = ""
    closed: bool = False
    rising: bool | None = None
    about: bool = False
    met: bool | None = None
    waits: bool = False
    lacking: State = State.NO_DATA
    nan: Point | None = None

    @classmethod
    def at(cls, point: Point, *, closed: bool = False) -> "Measured":
        """The value of one point."""
        return cls(value=point.value, point=point, closed=closed)

    def with_nan(self) -> "Measured":
        """The same where one NaN among the points is the value of all."""
        return self if self.nan is None else Measured.at(self.nan, closed=self.closed)


class Operand:
    """A `Reduced` with the series it is about. Raises QuestionError for what cannot be asked."""

    def __init__(self, reduced: Reduced, setting: Setting) -> None:
        self.series = SeriesWatch(reduced.name, setting)
        self.how = reduced.how
        self._board = setting.board
        self._window = setting.plain(reduced.window)
        self._percent = _percent_of(reduced.how)
        self._spoken = window_text(reduced.window)

    def asks(self, bound: Bound | None = None) -> Iterable[tuple[str, Ask[Fold]]]:
        """The folds it needs; with a `bound` in logged units, percentiles are decided exactly."""
        window = self._window
        asks: list[Ask[Fold]] = [Ask(Extent, window)]
        if self.how == "mean":
            asks.append(Ask(Tally, window))
        elif self.how == "count":
            asks.append(Ask(Count, window))
        elif self._percent is not None and window.kind != "last":
            asks += [Ask(Buckets, window), *(self._below(end) for end in _ends(bound))]
        return self.series.asks(*asks)

    @property
    def when(self) -> str:
        """In words: `latest`, `best`, `mean, last 100 points`, `at step 2,000`."""
        how, spoken = self.how, self._spoken
        if not spoken:
            return how
        if how == "latest":
            return spoken if self._window.kind == "at" else f"latest {spoken}"
        return f"{how}, {spoken}"

    def read(
        self, found: Found, facts: RunFacts, op: str | None = None, bound: Bound | None = None
    ) -> Measured:
        """The value so far; `op` helps to say which way is best, `bound` is in logged units."""
        extent = found.extent(self._window)
        past = found.past(self._window, self._board.origin)
        closed = facts.ended or past
        newest = extent.newest
        if newest is None:
            return Measured(why=self._nothing(found, over=closed), closed=closed)
        if self._window.kind == "last" and found.lane.recent(self._window).clipped:
            raise QuestionError(
                f"{self._spoken} are more than {MOST_KEPT:,} points of {found.name}: "
                "name a smaller window"
            )
        if (
            self._window.kind in {"at", "between"}
            and not past
            and (why := self._not_there(found, facts))
        ):
            return Measured(value=newest.value, point=newest, why=why, closed=closed, waits=True)
        if self.how == "final" and facts.ended and facts.outcome is not Outcome.COMPLETED:
            why = f"the run did not reach its end: {found.name} has no final value"
            return Measured(point=newest, why=why, closed=True)
        return self._reduce(found, newest, closed=closed, op=op, bound=bound)

    def _nothing(self, found: Found, *, over: bool) -> str:
        where = f" {self._spoken}" if self._spoken else ""
        return f"no point of {found.name}{where}" + ("" if over else " yet")

    def _not_there(self, found: Found, facts: RunFacts) -> str:
        """Why there is no value at a place that the series has not reached."""
        timed = self._window.unit == "s"
        at = found.newest.at
        reached = at.time - self._board.origin if timed else float(at.step)
        place = self._window.high or 0.0
        if not facts.ended:
            return f"waits for {_place(self._spoken)}" if reached < place else ""
        if timed:
            reached = facts.exit.ended - self._board.origin if facts.exit else reached
            return f"the run ended before {_place(self._spoken)}" if reached < place else ""
        last = max(at.step, facts.max_step or 0)
        return (
            f"the run ended at step {last:,}, before {_place(self._spoken)}" if last < place else ""
        )

    def _reduce(
        self, found: Found, newest: Point, *, closed: bool, op: str | None, bound: Bound | None
    ) -> Measured:
        extent = found.extent(self._window)
        oldest = extent.oldest or newest
        match self.how:
            case "latest" | "final":
                return Measured.at(newest, closed=closed)
            case "first":
                return Measured.at(oldest, closed=True)
            case "best":
                return self._best(found, extent, closed=closed, op=op)
            case "min" | "max":
                point = _end(extent, oldest, highest=self.how == "max")
                rising = self._moves(rising=self.how == "max")
                return Measured(
                    value=point.value,
                    point=point,
                    closed=closed,
                    rising=rising,
                    nan=extent.odd.get("nan"),
                )
            case "mean":
                mean = found.lane.fold(Ask(Tally, self._window)).mean
                return Measured(value=mean, point=newest, closed=closed)
            case "count":
                count = found.lane.fold(Ask(Count, self._window)).count
                rising = self._moves(rising=True)
                return Measured(value=float(count), point=newest, closed=closed, rising=rising)
        return self._percentile(found, newest, closed=closed, bound=bound)

    def _best(self, found: Found, extent: Extent, *, closed: bool, op: str | None) -> Measured:
        rising = is_higher_better(found.name, found.spec, op)
        if rising is None:
            raise QuestionError(
                f'is a higher or a lower {found.name} better? Declare goal = "max" or "min"'
            )
        point = extent.highest if rising else extent.lowest
        if point is None:
            why = f"{found.name} has no finite value"
            return Measured(why=why, closed=closed, lacking=State.FAILED)
        return Measured(
            value=point.value, point=point, closed=closed, rising=self._moves(rising=rising)
        )

    def _moves(self, *, rising: bool) -> bool | None:
        """Which way an extreme can move; over a window that moves along, both."""
        return None if self._window.kind == "last" else rising

    def _percentile(
        self, found: Found, newest: Point, *, closed: bool, bound: Bound | None
    ) -> Measured:
        percent = self._percent or Fraction(50)
        if self._window.kind == "last":
            points = found.lane.recent(self._window).points
            exact = percentile_of([point.value for point in points], percent)
            return Measured(value=exact, point=newest, closed=closed)
        value = found.lane.fold(Ask(Buckets, self._window)).percentile(percent)
        if bound is None or value is None or math.isnan(value):
            return Measured(value=value, point=newest, closed=closed, about=True)
        sides = [
            found.lane.fold(self._below(end)).side(percent) for end in _ends(bound)
        ]  # where the percentile lies, exactly
        value, met = _decide(bound, sides, value)
        return Measured(value=value, point=newest, closed=closed, about=True, met=met)

    def _below(self, number: float) -> Ask[Below]:
        return Ask(Below, self._window, (number,))


def _place(spoken: str) -> str:
    """`step 2,000` of `at step 2,000`; a window is named as it is."""
    return spoken.removeprefix("at ")


def _percent_of(how: str) -> Fraction | None:
    if how in _HOWS:
        return Fraction(50) if how == "median" else None
    found = _PERCENTILE.fullmatch(how)
    if found is None:
        raise QuestionError(f"what is {how!r} of a series?")
    return Fraction(found[1])


def _ends(bound: Bound | None) -> tuple[float, ...]:
    """The numbers between which a value changes sides of a bound, rising."""
    if bound is None:
        return ()
    if bound.op == "~=":
        slack = abs(bound.value) * bound.tolerance
        return (bound.value - slack, bound.value + slack)
    if bound.op == "between" and bound.other is not None:
        return (min(bound.value, bound.other), max(bound.value, bound.other))
    return (bound.value,)


def _decide(bound: Bound, sides: list[int], value: float) -> tuple[float, bool]:
    """What is known exactly of a percentile, and its rough value moved to the side it lies on."""
    ends = _ends(bound)
    for end, side in zip(ends, sides, strict=True):
        if side == 0:
            value = end
        elif side < 0:
            value = min(value, math.nextafter(end, -math.inf))
        else:
            value = max(value, math.nextafter(end, math.inf))
    return value, bound.test()(value) if len(ends) == 1 else sides[0] >= 0 >= sides[-1]


def _end(extent: Extent, oldest: Point, *, highest: bool) -> Point:
    """The lowest or highest point of all, infinite ones too; a NaN, the oldest, where all are."""
    odd, found = extent.odd, extent.highest if highest else extent.lowest
    found = odd.get("inf" if highest else "-inf") or found
    return found or odd.get("-inf" if highest else "inf") or oldest


def is_higher_better(name: str, spec: MetricSpec | None, op: str | None) -> bool | None:
    """Which way a series gets better: as declared, by its name, by the operator."""
    goal = ((spec.goal if spec else None) or "").casefold()
    if goal.startswith(("max", "min")):
        return goal.startswith("max")
    # What the name means outranks the operator: the best of a loss is its lowest value, also in
    # `best loss > 0.5`, where taking the highest would make the claim true by the first point.
    direction = direction_of(name)
    if direction is not None:
        return direction == "max"
    if op in {">", ">="}:
        return True
    return False if op in {"<", "<="} else None
