"""One run from near: its metrics and a curve, criteria, findings, attempts, the end of its log."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from orchestrator.actions.curve import Curve, read_curve
from orchestrator.actions.follow import require_record
from orchestrator.actions.reading import RunDetail, run_detail
from orchestrator.diagnose.series import main_loss
from orchestrator.domain.hardware import is_sampled
from orchestrator.store import Reader
from orchestrator.store.rows import SeriesRow
from orchestrator.watch.logs import tail
from orchestrator.workspace import Workspace

_TAIL = 48 << 10  # bytes of a log


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseupFacts:
    """What the detail screen shows; `curve` is that of the chosen metric.

    `series` holds the training loss first, then what programs logged, then samples of hardware.
    """

    detail: RunDetail
    series: tuple[SeriesRow, ...]
    metric: str | None
    curve: Curve | None
    log: str


class Closeup:
    """Looks at one run, again and again; a curve is read anew when the index has changed.

    One thread uses it.
    """

    def __init__(self, workspace: Workspace, run: str) -> None:
        self._workspace = workspace
        self._reader = Reader(workspace.database)
        self.run = run
        self.metric: str | None = None
        self._known: tuple[object, str | None] | None = None
        self._series: tuple[SeriesRow, ...] = ()
        self._curve: Curve | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._reader.close()

    def look(self) -> CloseupFacts:
        """The present facts.

        Raises:
            NotFoundError: the run is gone, or never began.
        """
        detail = run_detail(self._workspace, self.run)
        stamp = self._reader.stamp
        if self._known != (stamp, self.metric):
            self._series = _in_order(self._reader.series(self.run).values())
            self.metric = self.metric or _first(self._series)
            self._curve = None
            if self.metric is not None:
                record = require_record(self._workspace.run(self.run))
                self._curve = read_curve(self._reader, record, self.metric)
            self._known = stamp, self.metric
        attempts = self._workspace.run(self.run).attempts()
        logs = attempts[-1].logs() if attempts else []
        return CloseupFacts(
            detail=detail,
            series=self._series,
            metric=self.metric,
            curve=self._curve,
            log=tail(logs[-1], _TAIL) if logs else "",
        )


def _in_order(rows: Iterable[SeriesRow]) -> tuple[SeriesRow, ...]:
    everything = tuple(rows)
    loss = main_loss(row.name for row in everything)
    return tuple(
        sorted(everything, key=lambda row: (row.name != loss, is_sampled(row.name), row.name))
    )


def _first(rows: tuple[SeriesRow, ...]) -> str | None:
    return rows[0].name if rows else None
