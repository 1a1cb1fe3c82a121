"""What other runs had measured when a run starts, for the criteria that compare with it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.criteria.predicates.expression import Baseline, Name
from orchestrator.domain.criterion import Criterion, Decidable
from orchestrator.domain.run import MetricSpec
from orchestrator.errors import UsageError
from orchestrator.ids import run_id, run_number
from orchestrator.store import Reader
from orchestrator.tickets import without_predicate
from orchestrator.watch.bindings import baselines_in, bind_name, tree_of

PREVIOUS = "previous"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundBaselines:
    """Numbers by `RUN:SERIES` as it stands in the predicates; `missing` are sentences."""

    values: dict[str, float]
    missing: tuple[str, ...]


def find_baselines(
    reader: Reader,
    criteria: Sequence[Criterion],
    metrics: Mapping[str, MetricSpec],
    previous: str | None,
) -> FoundBaselines:
    """Look up the latest value of every baseline; `previous` is the ticket's last ended run."""
    values: dict[str, float] = {}
    missing = []
    for criterion in criteria:
        for baseline in _baselines(criterion):
            found = _look_up(reader, baseline, metrics, previous)
            if isinstance(found, str):
                missing.append(f"{_name(criterion)!r} has no baseline: {found}")
            else:
                values[baseline.key] = found
    return FoundBaselines(values=values, missing=tuple(missing))


def _baselines(criterion: Criterion) -> tuple[Baseline, ...]:
    reading = criterion.reading
    tree = tree_of(reading.predicate) if reading.decidable is Decidable.YES else None
    return () if tree is None else baselines_in(tree)


def _look_up(
    reader: Reader, baseline: Baseline, metrics: Mapping[str, MetricSpec], previous: str | None
) -> float | str:
    """The number, or why there is none."""
    run = previous
    if baseline.run.casefold() != PREVIOUS:
        try:
            run = run_id(run_number(baseline.run))
        except UsageError as error:
            return str(error)
    if run is None:
        return "no run of this ticket has ended before"
    latest = reader.latest([run]).get(run)
    if not latest:
        return f"the index knows no points of {run} (exp db rebuild)"
    bound = bind_name(Name(text=baseline.series), metrics, latest)
    if bound.series not in latest:
        near = f", near: {', '.join(bound.near)}" if bound.near else ""
        return f"{run} has no series {baseline.series!r}{near}"
    value = latest[bound.series].value
    return value if math.isfinite(value) else f"the latest {bound.series} of {run} is {value}"


def _name(criterion: Criterion) -> str:
    return " ".join(without_predicate(criterion.text).split())
