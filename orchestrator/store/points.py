"""Metrics of runs as the index holds them: rows, quoted points, and curves of bounded length."""

from collections.abc import Collection

from orchestrator.store import excerpt, landmarks, queries
from orchestrator.store import history as curves
from orchestrator.store.connected import Connected
from orchestrator.store.rows import Excerpt, History, Landmarks, LatestValue, SeriesRow
from orchestrator.store.sketch import sketch


class Points(Connected):
    """What is known of the points of a run. Only `history` grows with what was logged."""

    def latest(self, runs: Collection[str]) -> dict[str, dict[str, LatestValue]]:
        """The last point of every metric of these runs, by Position and not by arrival.

        Runs without points are absent.
        """
        return self._ask(queries.latest, runs) or {}

    def series(self, run: str) -> dict[str, SeriesRow]:
        """Every metric of a run with its count, extremes and last point, by name."""
        return self._ask(queries.series, run) or {}

    def landmarks(self, run: str) -> dict[str, Landmarks]:
        """First point and extremes of every metric of a run, by name."""
        return self._ask(landmarks.landmarks, run) or {}

    def before(self, run: str, time: float) -> dict[str, LatestValue]:
        """The last point of every metric of a run by a time, in seconds; others are absent."""
        return self._ask(landmarks.before, run, time) or {}

    def history(self, run: str, metric: str) -> History:
        """One metric in Position order, every point of it."""
        found = self._ask(curves.history, run, metric)
        return found or History(steps=[], values=[], times=[], total=0)

    def sketch(self, run: str, metric: str, most: int) -> History:
        """One metric as a curve of at most `most` points (not below 4), in Position order.

        For display only: the ends, the extremes and some of what is not finite are kept, the rest
        is an even sample. It costs the same for any length.
        """
        found = self._ask(sketch, run, metric, most)
        return found or History(steps=[], values=[], times=[], total=0)

    def curve(self, run: str, metric: str, *, newest: int = 2000, older: int = 3000) -> Excerpt:
        """One metric within bounds: its newest points, and about `older` of those before them.

        Of the older ones those that are not finite and the extremes are kept, else a sample.
        """
        found = self._ask(excerpt.excerpt, run, metric, newest, older)
        if found is None:
            return Excerpt(steps=[], values=[], times=[], sources=[], lines=[], total=0)
        return found
