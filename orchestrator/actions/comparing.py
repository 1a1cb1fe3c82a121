"""`exp run compare`: runs side by side, each metric at the last step that all of them reached."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

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
from orchestrator.report.series import higher_is_better
from orchestrator.store import Reader
from orchestrator.store.rows import SeriesRow, VerdictRow
from orchestrator.store.walk import Walk
from orchestrator.workspace import RunFolder, Workspace

_FEWEST = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedRun:
    """One column. `speed` is in steps per second, `hours` those in which it executed."""

    id: str
    ticket: str | None
    state: str
    why: str
    step: int | None
    planned_steps: int | None
    attempts: int
    speed: float | None
    hours: float | None
    gpu_hours: float | None
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """All that is known of one run."""

    folder: RunFolder
    record: RunRecord
    reader: Reader
    series: Mapping[str, SeriesRow]
    summary: RunSummary


def compare_runs(workspace: Workspace, names: Sequence[str]) -> Comparison:
    """Compare runs, or the newest ones of tickets, in the order in which they are named.

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
        names_of = _common(sides)
        settings = [_settings(side) for side in sides]
        different = [
            SettingRow(name=name, values=tuple(each.get(name) for each in settings))
            for name in dict.fromkeys(name for each in settings for name in each)
        ]
        return Comparison(
            runs=tuple(_compared(side) for side in sides),
            metrics=tuple(_matched(name, sides) for name in names_of),
            alone={side.folder.id: _alone(side, sides) for side in sides},
            settings=tuple(row for row in different if len(set(row.values)) > 1),
            same_settings=sum(len(set(row.values)) == 1 for row in different),
            criteria=tuple(_criteria(sides)),
        )


def _side(workspace: Workspace, folder: RunFolder, stack: ExitStack) -> _Side:
    record = require_record(folder)
    reader, _ = stack.enter_context(index_of(workspace, folder, record))
    logged = {
        name: row for name, row in reader.series(folder.id).items() if not is_sampled(name)
    }
    return _Side(
        folder=folder,
        record=record,
        reader=reader,
        series={name: logged[name] for name in surest(logged)},
        summary=summary_of(folder, record, reader.run(folder.id)),
    )
