"""`exp run compare`: runs side by side, each metric at the last step that all of them reached."""

import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from orchestrator.actions.code_changes import CodeChange, code_changes
from orchestrator.actions.follow import require_record
from orchestrator.actions.judging import index_of
from orchestrator.actions.metrics import in_order, unit_of
from orchestrator.actions.naming import run_named
from orchestrator.actions.pulse import Pulses
from orchestrator.actions.run_list import RunSummary, summary_of
from orchestrator.criteria.judging.binding import spec_of
from orchestrator.criteria.judging.lanes import rank_of
from orchestrator.domain.criterion import Verdict
from orchestrator.domain.hardware import is_sampled
from orchestrator.domain.run import MetricSpec, RunRecord
from orchestrator.domain.series import surest
from orchestrator.errors import UsageError
from orchestrator.report.cost import Cost
from orchestrator.report.series import higher_is_better
from orchestrator.store import Reader
from orchestrator.store.rows import SeriesRow
from orchestrator.store.walk import Walk
from orchestrator.watch.live import state_of
from orchestrator.watch.reporting.changes import told_settings
from orchestrator.watch.reporting.cost import cost_of
from orchestrator.watch.reporting.subject import Subject
from orchestrator.workspace import RunFolder, Workspace

_FEWEST = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedRun:
    """One column; `speed` is in steps per second, `patch` says that it ran with local changes."""

    id: str
    ticket: str | None
    state: str
    why: str
    step: int | None
    planned_steps: int | None
    attempts: int
    speed: float | None
    cost: Cost | None
    commit: str | None
    patch: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchedMetric:
    """A metric that two runs or more have logged; `values` has a place for every run.

    At `step` all that have it logged it; without a common one `step` is None, and the values are
    the latest of each, at `steps`. `deltas` are differences from the first run's value. `best` is
    the place of the best value by the metric's goal, None where nobody can tell.
    """

    name: str
    unit: str | None
    higher: bool | None
    step: int | None
    steps: tuple[int | None, ...]
    values: tuple[float | None, ...]
    deltas: tuple[float | None, ...]
    best: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingRow:
    """A setting that is not the same in all runs; None where it was not set."""

    name: str
    values: tuple[str | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CriterionMatch:
    """A criterion by its words, and the verdict of each run; None where it was not judged."""

    text: str
    polarity: str
    verdicts: tuple[Verdict | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Runs side by side; `alone` says which metrics only one of them has."""

    runs: tuple[ComparedRun, ...]
    metrics: tuple[MatchedMetric, ...]
    alone: dict[str, tuple[str, ...]]
    settings: tuple[SettingRow, ...]
    same_settings: int
    criteria: tuple[CriterionMatch, ...]
    code: tuple[CodeChange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """All that is known of one run."""

    folder: RunFolder
    record: RunRecord
    reader: Reader
    series: Mapping[str, SeriesRow]
    summary: RunSummary


def compare_runs(workspace: Workspace, names: Sequence[str], *, lines: bool) -> Comparison:
    """Compare runs, or the newest ones of tickets, with the first that is named.

    With `lines` the differences of the code are there line by line.

    Raises:
        UsageError: fewer than two, or one of them twice.
        NotFoundError: there is no such run.
    """
    folders = [run_named(workspace, name) for name in names]
    ids = [folder.id for folder in folders]
    twice = next((name for name in ids if ids.count(name) > 1), None)
    if len(ids) < _FEWEST or twice is not None:
        said = f"{twice} is named twice" if twice else "name two runs or more"
        raise UsageError(said, hint="exp run list")
    with ExitStack() as stack:
        sides = [_side(workspace, folder, stack) for folder in folders]
        settings = [_settings(side) for side in sides]
        different = [
            SettingRow(name=name, values=tuple(each.get(name) for each in settings))
            for name in dict.fromkeys(name for each in settings for name in each)
        ]
        return Comparison(
            runs=tuple(_compared(workspace, side) for side in sides),
            metrics=tuple(_matched(name, sides) for name in _common(sides)),
            alone={side.folder.id: _alone(side, sides) for side in sides},
            settings=tuple(row for row in different if len(set(row.values)) > 1),
            same_settings=sum(len(set(row.values)) == 1 for row in different),
            criteria=tuple(_criteria(sides)),
            code=code_changes(workspace, [(s.folder, s.record) for s in sides], lines=lines),
        )


def _side(workspace: Workspace, folder: RunFolder, stack: ExitStack) -> _Side:
    record = require_record(folder)
    reader, _ = stack.enter_context(index_of(workspace, folder, record))
    logged = {name: row for name, row in reader.series(folder.id).items() if not is_sampled(name)}
    return _Side(
        folder=folder,
        record=record,
        reader=reader,
        series={name: logged[name] for name in surest(logged)},
        summary=summary_of(folder, record, reader.run(folder.id)),
    )


def _common(sides: Sequence[_Side]) -> list[str]:
    """Metrics that two or more have: the main loss, what criteria ask and specs declare first."""
    counts = Counter(name for side in sides for name in side.series)
    shared = {name for name, count in counts.items() if count >= _FEWEST}
    orders = (in_order(shared & set(side.series), side.record) for side in sides)
    return list(dict.fromkeys(name for order in orders for name in order))


def _alone(side: _Side, sides: Sequence[_Side]) -> tuple[str, ...]:
    others = {name for other in sides if other is not side for name in other.series}
    return tuple(sorted(set(side.series) - others))


def _matched(name: str, sides: Sequence[_Side]) -> MatchedMetric:
    having = [side for side in sides if name in side.series]
    spec = next(filter(None, (spec_of(name, side.record.metrics) for side in having)), None)
    higher = higher_is_better(name, spec or MetricSpec())
    found = _last_common(name, having)
    if found is None:
        latest = {side.folder.id: side.series[name].latest for side in having}
        placed = {run: (point.step, point.value) for run, point in latest.items()}
    else:
        step, values = found
        runs = (side.folder.id for side in having)
        placed = {run: (step, value) for run, value in zip(runs, values, strict=True)}
    points = [placed.get(side.folder.id) for side in sides]
    shown = tuple(None if point is None else point[1] for point in points)
    first = shown[0] if found is not None else None
    return MatchedMetric(
        name=name,
        unit=unit_of(name, spec),
        higher=higher,
        step=None if found is None else found[0],
        steps=tuple(None if point is None else point[0] for point in points),
        values=shown,
        deltas=tuple(_difference(each, first) for each in shown),
        best=_best(shown, higher=higher) if found is not None else None,
    )


def _last_common(name: str, sides: Sequence[_Side]) -> tuple[int, tuple[float, ...]] | None:
    """The largest step at which all have logged a metric, with the values that stand there."""
    at_most = min(side.series[name].max_step for side in sides)
    with ExitStack() as stack:
        curves = [
            stack.enter_context(Walk(side.reader.path)).backwards(
                side.folder.id, name, rank_of, at_most
            )
            for side in sides
        ]
        heads = [next(curve, None) for curve in curves]
        while known := [head for head in heads if head is not None]:
            if len(known) < len(heads):
                return None
            lowest = min(step for step, _ in known)
            if all(step == lowest for step, _ in known):
                return lowest, tuple(value for _, value in known)
            pairs = zip(curves, known, strict=True)
            heads = [_down_to(lowest, curve, head) for curve, head in pairs]
    return None


def _down_to(
    step: int, curve: Iterator[tuple[int, float]], head: tuple[int, float]
) -> tuple[int, float] | None:
    """The first point at or below a step; None if there is none."""
    return head if head[0] <= step else next((point for point in curve if point[0] <= step), None)


def _difference(value: float | None, first: float | None) -> float | None:
    return None if value is None or first is None else value - first


def _best(values: Sequence[float | None], *, higher: bool | None) -> int | None:
    """The place of the one best value; a value that is not finite is never better."""
    finite = {
        place: value
        for place, value in enumerate(values)
        if value is not None and math.isfinite(value)
    }
    if higher is None or not finite:
        return None
    best = (max if higher else min)(finite.values())
    places = [place for place, value in finite.items() if value == best]
    there = sum(value is not None for value in values)
    return places[0] if len(places) == 1 and there >= _FEWEST else None


def _settings(side: _Side) -> dict[str, str]:
    """All that was set, written out, with the commands."""
    request = state_of(side.folder, side.record).attempt.request
    params = side.record.params | (request.settings if request else {})
    told = told_settings(side.record, params)
    return told | {str(c.phase): " ".join(c.argv) for c in side.record.commands}


def _compared(workspace: Workspace, side: _Side) -> ComparedRun:
    summary, record = side.summary, side.record
    latest = side.reader.latest([side.folder.id]).get(side.folder.id, {})
    return ComparedRun(
        id=side.folder.id,
        ticket=summary.ticket,
        state=str(summary.outcome or summary.status),
        why=summary.why,
        step=summary.step,
        planned_steps=summary.planned_steps,
        attempts=len(side.folder.attempts()),
        speed=Pulses(side.reader).look(side.folder.id, record.planned_steps, latest).speed,
        cost=_cost(workspace, side),
        commit=record.git.commit if record.git else None,
        patch=record.git.patch if record.git else False,
    )


def _cost(workspace: Workspace, side: _Side) -> Cost | None:
    state = state_of(side.folder, side.record)
    subject = Subject(
        workspace=workspace,
        reader=side.reader,
        folder=side.folder,
        record=side.record,
        state=state,
        moment=time.time(),
    )
    return cost_of(subject)


def _criteria(sides: Sequence[_Side]) -> Iterator[CriterionMatch]:
    """Criteria by their words, in the order in which the first run that has one has it."""
    judged = [{row.key: row for row in side.reader.verdicts(side.folder.id)} for side in sides]
    for key in dict.fromkeys(key for rows in judged for key in rows):
        row = next(rows[key] for rows in judged if key in rows)
        verdicts = (rows[key].verdict if key in rows else None for rows in judged)
        yield CriterionMatch(text=row.text, polarity=row.polarity, verdicts=tuple(verdicts))
