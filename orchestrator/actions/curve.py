"""A series as a chart shows it: its points, what is asked of it, and what happened beside it."""

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.diagnose.series import newest_evaluation
from orchestrator.domain.criterion import Criterion
from orchestrator.domain.run import RunRecord
from orchestrator.report.series import targets_of
from orchestrator.store import Reader

_NEWEST, _OLDER = 1000, 1000  # points of a chart
_MARKS = 100  # evaluations that are marked, of the newest and of those before


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Points of a series in order, some of them not finite; all places are steps.

    `bounds` are the values that criteria ask for. `decided` is where the point stands that decides
    a criterion, None without one. `attempts` are where later attempts went on, `evaluations` where
    the program evaluated, if this series is not itself one of an evaluation.
    """

    series: str
    steps: tuple[int, ...]
    values: tuple[float, ...]
    bounds: tuple[float, ...] = ()
    decided: int | None = None
    attempts: tuple[int, ...] = ()
    evaluations: tuple[int, ...] = ()


def bounds_of(name: str, record: RunRecord, criteria: Iterable[Criterion]) -> tuple[float, ...]:
    """The values that these criteria of a run ask of a series, each once."""
    targets = targets_of(name, record.metrics, criteria)
    bounds = (each for target in targets for each in (target.value, target.value2))
    return tuple(dict.fromkeys(each for each in bounds if each is not None))


def read_curve(reader: Reader, record: RunRecord, series: str) -> Curve:
    """A series of a run within bounds, with what all criteria ask and what happened beside it."""
    found = reader.curve(record.id, series, newest=_NEWEST, older=_OLDER)
    later = (row.first_step for row in reader.attempts(record.id) if row.number > 1)
    times = {row.name: row.latest.time for row in reader.series(record.id).values()}
    evaluation = None if newest_evaluation({series: 0.0}) else newest_evaluation(times)
    evaluated: list[int] = []
    if evaluation is not None:
        evaluated = reader.curve(record.id, evaluation, newest=_MARKS, older=_MARKS).steps
    return Curve(
        series=series,
        steps=tuple(found.steps),
        values=tuple(found.values),
        bounds=bounds_of(series, record, record.criteria),
        attempts=tuple(step for step in later if step is not None),
        evaluations=tuple(evaluated),
    )
