"""The series of a run as they arrive: which points count, and the folds that they are fed to.

A lane is one series seen on some ranks. While its points come in order, each is fed once and
forgotten. A point that comes late or twice is fed to the folds that can bear it; where one cannot,
or where a newer segment takes points back that were fed already, the lane is *stale*: its folds are
made anew from the history of the series when they are next asked. So every fold is a function of
the set of points, in bounded memory.
"""

import math
import re
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from typing import Generic, TypeAlias, TypeVar, cast

from orchestrator.criteria.judging.folds import Fold, Hazard, Need, Recent
from orchestrator.criteria.judging.order import (
    Chunk,
    Segment,
    key_of,
    later,
    ordered,
    runs,
    segment_of,
)
from orchestrator.criteria.predicates.expression import WHOLE, Window
from orchestrator.domain.point import Point

_BATCH = 1024
_RANK = re.compile(r"events-.*-(\d+)-\d+\.jsonl$")
_SOURCE = attrgetter("at.source")
_LINE = attrgetter("at.line")
_TIME = attrgetter("at.time")

AnyFold_co = TypeVar("AnyFold_co", bound=Fold, covariant=True)
History: TypeAlias = Callable[[str], Iterable[Point]]


@dataclass(frozen=True, slots=True)
class Ask(Generic[AnyFold_co]):
    """A fold by what it is made of, over a window of a series; equal ones are shared."""

    make: Callable[..., AnyFold_co]
    window: Window = WHOLE
    parts: tuple[Hashable, ...] = ()


@lru_cache(maxsize=4096)
def rank_of(source: str) -> str:
    """The rank whose file this is: `events-HOST-RANK-PID.jsonl`; other files are of rank 0."""
    found = _RANK.search(source)
    return found[1] if found else "0"


@dataclass(slots=True)
class Lane:
    """One series on some ranks; `newest` is its last point so far."""

    name: str
    ranks: str
    history: History
    origin: Callable[[], float]
    newest: Point | None = None
    stale: bool = False
    _folds: dict[Ask[Fold], Fold] = field(default_factory=dict)
    _fed: dict[Window, list[Fold]] = field(default_factory=dict)
    _need: Need = Need.SET
    _lines: dict[str, int] = field(default_factory=dict)  # last line fed, by source
    _begin: float = math.inf  # step of the first effective point
    _floor: float = -math.inf  # last effective step before the newest segment

    def counts(self, source: str) -> bool:
        """Whether points of a file are of this lane."""
        return self.ranks == "all" or rank_of(source) == self.ranks

    def ask(self, ask: Ask[Fold]) -> None:
        """Have a fold ready from the first point on."""
        ask = _kept(ask)
        if ask not in self._folds:
            self.stale = self.stale or self.newest is not None
            self._add(ask)

    def _add(self, ask: Ask[Fold]) -> None:
        fold = ask.make(*ask.parts)
        self._folds[ask] = fold
        self._fed.setdefault(ask.window, []).append(fold)
        self._need = max(self._need, fold.needs)

    def fold(self, ask: Ask[AnyFold_co]) -> AnyFold_co:
        """A fold of all effective points in its window; `last …` windows are folded on demand."""
        self.ask(ask)
        self.settle()
        if ask.window.kind != "last":
            return cast("AnyFold_co", self._folds[ask])
        fold = ask.make(*ask.parts)
        for _, points in groupby(self.recent(ask.window).points, key=segment_of):
            fold.feed(Chunk(list(points)), late=False)
        return fold

    def recent(self, window: Window) -> Recent:
        """The points of a `last …` window."""
        return self.fold(_recent(window))

    def take(self, points: list[Point]) -> None:
        """Take in new points of this series and these ranks, in any order."""
        for run in runs(points):
            if self.stale:
                return
            need = self._allows(run)
            if need is None or need < self._need:
                self.stale = True
            else:
                self._feed(run, late=need is not Need.ORDER)

    def _allows(self, points: list[Point]) -> Need | None:
        """What can be relied on if these points of one segment are fed now; None if nothing."""
        first, newest = points[0], self.newest
        if newest is None:
            return Need.ORDER
        here, there, step = segment_of(first), segment_of(newest), first.at.step
        if here > there:
            if step > newest.at.step:
                self._floor = newest.at.step
            elif step <= self._begin:
                self._restart()
            else:
                return None
            return Need.ORDER
        if here < there:
            return None
        if step > newest.at.step or key_of(first) > key_of(newest):
            return Need.ORDER
        if step <= self._floor:
            return None
        lines = self._lines
        fresh = all(point.at.line > lines.get(point.at.source, 0) for point in points)
        return Need.NEW if fresh else Need.SET

    def _restart(self) -> None:
        """A newer segment begins at or before the first step: nothing of the older ones counts."""
        taken_back = {
            ask: fold.lost + fold.count
            for ask, fold in self._folds.items()
            if isinstance(fold, Hazard)
        }
        self._clear()
        for ask, lost in taken_back.items():
            cast("Hazard", self._folds[ask]).lost = lost

    def _clear(self) -> None:
        asked = tuple(self._folds)
        self._folds.clear()
        self._fed.clear()
        self._lines.clear()
        self.newest = None
        self._begin, self._floor = math.inf, -math.inf
        for ask in asked:
            self._add(ask)

    def _feed(self, points: list[Point], *, late: bool) -> None:
        last = points[-1]
        self.newest = later(self.newest, last) if late else last
        self._begin = min(self._begin, points[0].at.step)
        self._mark(points)
        chunk = Chunk(points)
        for window, folds in self._fed.items():
            part = chunk.within(window, self.origin())
            if part is not None:
                for fold in folds:
                    fold.feed(part, late=late)

    def _mark(self, points: list[Point]) -> None:
        """Remember the last line of each source."""
        lines = self._lines
        sources = set(map(_SOURCE, points))
        for source in sources:
            read = points if len(sources) == 1 else [p for p in points if p.at.source == source]
            lines[source] = max(lines.get(source, 0), *map(_LINE, read))

    def move(self) -> None:
        """The origin of time has moved."""
        timed = any(window.unit == "s" for window in self._fed)
        self.stale = self.stale or (timed and self.newest is not None)

    def settle(self) -> None:
        """Make a stale lane's folds anew from the history of the series."""
        if self.stale:
            self.stale = False
            self._clear()
            self._rebuild()

    def _rebuild(self) -> None:
        cut, in_order = self._cuts(self._points())
        points = self._points() if in_order else iter(ordered(self._points()))
        hazards = [fold for fold in self._folds.values() if isinstance(fold, Hazard)]
        for batch in _batches(points):
            limit = cut[segment_of(batch[0])]
            kept = [point for point in batch if point.at.step < limit]
            if kept:
                self._allows(kept)  # moves the floor where a segment begins
                self._feed(kept, late=False)
            if hazards and len(kept) < len(batch):
                lost = Chunk([point for point in batch if point.at.step >= limit])
                for hazard in hazards:
                    hazard.lose(lost)

    def _points(self) -> Iterator[Point]:
        return (point for point in self.history(self.name) if self.counts(point.at.source))

    @staticmethod
    def _cuts(points: Iterable[Point]) -> tuple[dict[Segment, float], bool]:
        """For each segment the step from which newer ones replace it; whether all is in order."""
        begin: dict[Segment, float] = {}
        before, in_order = None, True
        for point in points:
            segment = segment_of(point)
            begin[segment] = min(begin.get(segment, math.inf), point.at.step)
            if in_order:
                key = key_of(point)
                in_order = before is None or before < key
                before = key
        cut, limit = {}, math.inf
        for segment in sorted(begin, reverse=True):
            cut[segment] = limit
            limit = min(limit, begin[segment])
        return cut, in_order


def _kept(ask: Ask[Fold]) -> Ask[Fold]:
    """What must be kept while points arrive: for a `last …` window the newest points alone."""
    return _recent(ask.window) if ask.window.kind == "last" else ask


def _recent(window: Window) -> Ask[Recent]:
    return Ask(Recent, WHOLE, (window.high, window.unit))


def _batches(points: Iterator[Point]) -> Iterator[list[Point]]:
    """Points in order in pieces of one segment each."""
    for _, group in groupby(points, key=segment_of):
        batch: list[Point] = []
        for point in group:
            batch.append(point)
            if len(batch) == _BATCH:
                yield batch
                batch = []
        if batch:
            yield batch


@dataclass(slots=True)
class Board:
    """Every series of a run that someone asks about, by name and by ranks.

    `history` gives all points of a series known so far, in any order. `origin` is the time of the
    first record, infinite before it; `timed` says that some window counts from there.
    """

    history: History
    origin: float = math.inf
    timed: bool = False
    lanes: dict[str, dict[str, Lane]] = field(default_factory=dict)

    def open(self, name: str, asks: Iterable[tuple[str, Ask[Fold]]]) -> None:
        """Prepare for the points of a series; each ask names the ranks that count."""
        lanes = self.lanes.setdefault(name, {})
        for ranks, ask in asks:
            if ranks not in lanes:
                lanes[ranks] = Lane(name, ranks, self.history, self._since)
            lanes[ranks].ask(ask)

    def _since(self) -> float:
        return self.origin

    def lane(self, name: str, ranks: str) -> Lane | None:
        """The lane of a series that has been logged, up to date."""
        found = self.lanes.get(name, {}).get(ranks)
        if found is not None:
            found.settle()
        return found

    def take(self, name: str, points: list[Point]) -> None:
        """Take in points of an open series."""
        sources = set(map(_SOURCE, points))
        for lane in self.lanes[name].values():
            wanted = {source for source in sources if lane.counts(source)}
            if wanted == sources:
                lane.take(points)
            elif wanted:
                lane.take([point for point in points if point.at.source in wanted])

    def since(self, time: float) -> None:
        """Take note of a record's time; an earlier first record moves every window of time."""
        if time < self.origin:
            self.origin = time
            for lanes in self.lanes.values():
                for lane in lanes.values():
                    lane.move()
