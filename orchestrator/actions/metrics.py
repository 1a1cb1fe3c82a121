"""`exp metrics`: the series of a run, their points, and all of them for other programs."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from orchestrator.actions.curve import Curve, bounds_of, read_curve
from orchestrator.actions.follow import require_record
from orchestrator.actions.judging import index_of
from orchestrator.criteria.judging.binding import (
    bind,
    in_glob,
    is_glob,
    spec_of,
    suggestions,
    target_of,
)
from orchestrator.criteria.judging.lanes import rank_of
from orchestrator.criteria.predicates.expression import Name
from orchestrator.diagnose.series import main_loss
from orchestrator.domain.hardware import is_sampled, sampled_unit
from orchestrator.domain.run import MetricSpec, RunRecord
from orchestrator.errors import NotFoundError
from orchestrator.report.series import higher_is_better
from orchestrator.store import Reader
from orchestrator.store.rows import Excerpt, Landmarks, LatestValue, SeriesRow
from orchestrator.store.walk import Walk
from orchestrator.workspace import RunFolder, Workspace

COLUMNS = ("step", "time", "rank", "attempt", "segment", "name", "value")
# A point as COLUMNS says: `time` in seconds since the epoch, `rank` of the process that logged it.
ExportRow = tuple[int, float, int, int, int, str, float]
_SHAPE = 96  # points that a sparkline is made of


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesSummary:
    """One series: `first` and `latest` by Position, `best` by its goal, None where that is unknown.

    `higher` says which way is good; `shape` holds values from first to last for a sparkline.
    """

    name: str
    unit: str | None
    higher: bool | None
    points: int
    nonfinite: int
    first: LatestValue | None
    latest: LatestValue
    best: LatestValue | None
    shape: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricList:
    """The series of one run: the main loss first, then what the spec declares, then the rest."""

    run: str
    ticket: str | None
    series: tuple[SeriesSummary, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesPoints:
    """Some points of a series, in order; `bounds` are what criteria ask for, in its own scale."""

    run: str
    name: str
    unit: str | None
    bounds: tuple[float, ...]
    points: Excerpt


def list_metrics(workspace: Workspace, folder: RunFolder) -> MetricList:
    """Sum up every series of a run.

    Raises:
        NotFoundError: the launch died before it was a run.
    """
    record = require_record(folder)
    with index_of(workspace, folder, record) as (reader, _):
        rows, ends = reader.series(folder.id), reader.landmarks(folder.id)
        return MetricList(
            run=folder.id,
            ticket=record.ticket.id if record.ticket else None,
            series=tuple(
                _summary(reader, rows[name], ends[name], spec_of(name, record.metrics))
                for name in in_order(rows, record)
                if name in ends
            ),
        )


def in_order(names: Collection[str], record: RunRecord) -> list[str]:
    """Names of series, those that matter most first, samples of the hardware last."""
    loss = main_loss(names)

    def place(name: str) -> tuple[bool, bool, bool, bool, str]:
        spec = spec_of(name, record.metrics)
        asked = bool(bounds_of(name, record, record.criteria))
        return name != loss, is_sampled(name), not asked, spec is None, name

    return sorted(names, key=place)


def last_points(
    workspace: Workspace, folder: RunFolder, wanted: Sequence[str], *, last: int
) -> tuple[SeriesPoints, ...]:
    """The newest points of the series that are named, each with where it stands.

    Raises:
        NotFoundError: a name is that of no series.
    """
    with _chosen(workspace, folder, wanted) as (reader, record, names):
        return tuple(
            _points(record, name, _newest(reader, folder.id, name, last)) for name in names
        )


def curves(workspace: Workspace, folder: RunFolder, wanted: Sequence[str]) -> tuple[Curve, ...]:
    """The series that are named as charts show them, or where none is named the main loss alone.

    Raises:
        NotFoundError: a name is that of no series, or there are no points at all.
    """
    with _chosen(workspace, folder, wanted) as (reader, record, names):
        chosen = names if wanted else names[:1]
        if not chosen:
            raise NotFoundError(
                f"{folder.id} has logged no points", hint=f"exp run logs {folder.id}"
            )
        return tuple(read_curve(reader, record, name) for name in chosen)


def exported(workspace: Workspace, folder: RunFolder, wanted: Sequence[str]) -> Iterator[ExportRow]:
    """Every point of the series that are named, or of all, at full resolution, one by one.

    Raises:
        NotFoundError: a name is that of no series.
    """
    with _chosen(workspace, folder, wanted) as (reader, _, names), Walk(reader.path) as walk:
        ranks: dict[str, int] = {}
        for step, time, source, attempt, segment, name, value in walk.each(folder.id, names):
            rank = ranks.get(source)
            if rank is None:
                rank = ranks[source] = int(rank_of(source))
            yield step, time, rank, attempt, segment, name, value


@contextmanager
def _chosen(
    workspace: Workspace, folder: RunFolder, wanted: Sequence[str]
) -> Iterator[tuple[Reader, RunRecord, list[str]]]:
    """The index of a run, and which of its series are meant: all of them where none is named."""
    record = require_record(folder)
    with index_of(workspace, folder, record) as (reader, _):
        known = in_order(reader.series(folder.id), record)
        if not wanted:
            yield reader, record, known
            return
        found = [name for text in wanted for name in _meant(folder.id, record, text, known)]
        yield reader, record, list(dict.fromkeys(found))


def _meant(run: str, record: RunRecord, text: str, known: Sequence[str]) -> list[str]:
    """The series that a text stands for: its name, a glob, or words as a criterion has them.

    Words that fit several series stand for all of them: nothing is judged here.
    """
    if text in known:
        return [text]
    if is_glob(text):
        found = [name for name in known if in_glob(name, text.casefold())]
        if found:
            return found
        raise NotFoundError(f"no series of {run} matches {text!r}", hint=f"exp metrics {run}")
    target = target_of(Name(text=text), record.metrics)
    bound = bind(target, known)
    found = [name for name in known if name in {bound.series, *bound.rivals}]
    if found:
        return found
    near = ", ".join(suggestions(target, known))
    raise NotFoundError(
        f"no series of {run} matches {text!r}" + (f"; near: {near}" if near else ""),
        hint=f"exp metrics {run}",
    )


def _summary(
    reader: Reader, row: SeriesRow, ends: Landmarks, spec: MetricSpec | None
) -> SeriesSummary:
    higher = None if is_sampled(row.name) else higher_is_better(row.name, spec or MetricSpec())
    return SeriesSummary(
        name=row.name,
        unit=unit_of(row.name, spec),
        higher=higher,
        points=row.count,
        nonfinite=row.nonfinite,
        first=ends.first,
        latest=row.latest,
        best=None if higher is None else ends.high if higher else ends.low,
        shape=tuple(reader.sketch(row.run, row.name, _SHAPE).values),
    )


def _points(record: RunRecord, name: str, points: Excerpt) -> SeriesPoints:
    spec = spec_of(name, record.metrics)
    return SeriesPoints(
        run=record.id,
        name=name,
        unit=unit_of(name, spec),
        bounds=bounds_of(name, record, record.criteria),
        points=points,
    )


def _newest(reader: Reader, run: str, name: str, count: int) -> Excerpt:
    """The newest points alone: an excerpt holds some of the older ones too."""
    found = reader.curve(run, name, newest=count, older=0)
    return Excerpt(
        steps=found.steps[-count:],
        values=found.values[-count:],
        times=found.times[-count:],
        sources=found.sources[-count:],
        lines=found.lines[-count:],
        total=found.total,
    )


def unit_of(name: str, spec: MetricSpec | None) -> str | None:
    """What its values are in: as declared, else what is known of samples; None is unknown."""
    return spec.unit if spec and spec.unit else sampled_unit(name)
