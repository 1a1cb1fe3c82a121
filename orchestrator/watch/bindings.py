"""Which series the words of a criterion mean, among those that are known."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import lru_cache
from typing import Any

from orchestrator.criteria import parse_predicate
from orchestrator.criteria.judging.binding import bind, is_glob, names_of, suggestions, target_of
from orchestrator.criteria.predicates.expression import (
    Baseline,
    Comparison,
    Family,
    Free,
    Name,
    Predicate,
    leaves,
    scalars,
)
from orchestrator.domain.criterion import Criterion, Decidable, Kind, Reading
from orchestrator.domain.run import MetricSpec
from orchestrator.domain.series import origin_of
from orchestrator.errors import InvalidFileError


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """The name of a series as a criterion says it, and the series it stands for.

    `series` is None while none is known to match; `how` says why it is this one, or none. `near`
    are series that it might have meant.
    """

    name: str
    series: str | None
    how: str
    near: tuple[str, ...] = ()


@lru_cache(maxsize=4096)
def tree_of(predicate: str | None) -> Predicate | None:
    """The tree of a predicate; None for a text of an earlier version that is none any more."""
    try:
        return None if predicate is None else parse_predicate(predicate)
    except InvalidFileError:
        return None


def bound_names(
    reading: Reading,
    metrics: Mapping[str, MetricSpec],
    names: Collection[str],
    frozen: Mapping[str, str] | None = None,
) -> tuple[Bound, ...]:
    """Bind every series that a reading names, each once; what was frozen at the start stays."""
    tree = tree_of(reading.predicate) if reading.decidable is Decidable.YES else None
    if tree is None:
        return ()
    return tuple(_bound(name, metrics, names, frozen or {}) for name in names_in(tree))


def bind_name(name: Name, metrics: Mapping[str, MetricSpec], names: Collection[str]) -> Bound:
    """Bind one name to one of the series that are known."""
    target = target_of(name, metrics)
    found = bind(target, names)
    near = found.rivals or (suggestions(target, names) if found.series is None else ())
    return Bound(name=spoken(name), series=found.series, how=found.how, near=tuple(near))


def freeze(
    criteria: Iterable[Criterion], metrics: Mapping[str, MetricSpec], names: Collection[str]
) -> tuple[Criterion, ...]:
    """The criteria with the series of every name for which one is known already.

    A line that only lacked the declaration of a metric is judged once that is declared.
    """
    return tuple(_frozen(criterion, metrics, names) for criterion in criteria)


def _frozen(
    criterion: Criterion, metrics: Mapping[str, MetricSpec], names: Collection[str]
) -> Criterion:
    reading = criterion.reading
    if _is_declared(reading, metrics):
        reading = replace(reading, decidable=Decidable.YES, why=None)
    bindings = {
        bound.name: bound.series
        for bound in bound_names(reading, metrics, names)
        if bound.series is not None and not origin_of(bound.series)
    }
    return replace(criterion, reading=reading, bindings=bindings)


def _is_declared(reading: Reading, metrics: Mapping[str, MetricSpec]) -> bool:
    """Whether the one declaration that a line lacked, that of a derived metric, has been made."""
    if reading.decidable is not Decidable.DECLARE or len(reading.clauses) != 1:
        return False
    clause, tree = reading.clauses[0], tree_of(reading.predicate)
    derived = reading.kind in {Kind.COMPARISON, Kind.RELATIVE_TO_BASELINE}
    if not derived or clause.change or clause.baseline or clause.quantifier or tree is None:
        return False
    found = names_in(tree)
    return bool(found) and all(target_of(name, metrics).declared for name in found)


def spoken(name: Name) -> str:
    """A name as it stands in a line, and among the bindings of run.json."""
    return name.text if name.scope is None else f"{name.text} on {name.scope}"


def names_in(tree: Predicate) -> tuple[Name, ...]:
    """Every name that stands for one series; families and `no nan` look at all that match."""
    tests = (leaf for leaf in leaves(tree) if not isinstance(leaf, Family | Free))
    found = (replace(name, ranks="0") for leaf in tests for name in names_of(leaf))
    return tuple(dict.fromkeys(name for name in found if not is_glob(name.text)))


def _scalars(leaf: Comparison) -> Iterator[Any]:
    for side in (leaf.left, leaf.right, leaf.right2):
        if side is not None:
            yield from scalars(side)


def baselines_in(tree: Predicate) -> tuple[Baseline, ...]:
    """Every value of another run that a predicate compares with."""
    tests = (leaf.test if isinstance(leaf, Family) else leaf for leaf in leaves(tree))
    found = (
        scalar
        for test in tests
        if isinstance(test, Comparison)
        for scalar in _scalars(test)
        if isinstance(scalar, Baseline)
    )
    return tuple(dict.fromkeys(found))


def renamed(tree: Any, series: Mapping[str, str]) -> Any:
    """The tree with exact keys in the place of names, by the way these are spoken."""
    if isinstance(tree, Name):
        key = series.get(spoken(tree))
        return tree if key is None else replace(tree, text=key, scope=None)
    if isinstance(tree, tuple):
        return tuple(renamed(part, series) for part in tree)
    if not is_dataclass(tree) or isinstance(tree, type | Family):
        return tree
    parts = {field.name: renamed(getattr(tree, field.name), series) for field in fields(tree)}
    return replace(tree, **parts)


def _bound(
    name: Name,
    metrics: Mapping[str, MetricSpec],
    names: Collection[str],
    frozen: Mapping[str, str],
) -> Bound:
    said = spoken(name)
    if said in frozen:
        return Bound(name=said, series=frozen[said], how="fixed at the start")
    return bind_name(name, metrics, names)
