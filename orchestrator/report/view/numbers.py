"""Metrics in rows: now, before, target, best, the course; and what the numbers are made of."""

import operator
from collections.abc import Iterable
from math import isfinite
from typing import Any

from orchestrator.domain import figures
from orchestrator.report import words
from orchestrator.report.facts import MetricFacts, ReportFacts, Sample, Target
from orchestrator.report.parts import ClassRow, ClassTable, ComponentRow, Components, Gap
from orchestrator.spark import sparkline

Row = dict[str, Any]

_SHOWN = 24
_TESTS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_MOST = 100
_COURSE = 10  # characters
_MOST_CLASSES = 40
_MOST_FAMILIES = 6


def metrics(facts: ReportFacts) -> Row:
    """The table of metrics: those to show, those to fold away, and how many are left out.

    What a criterion asks for comes first, then what the spec declares.
    """
    ordered = in_order(facts.metrics)
    compared = any(metric.before is not None for metric in ordered)
    rows = [_metric(metric) for metric in ordered[:_MOST]]
    left = len(ordered) - _MOST
    return {
        "rows": rows[:_SHOWN],
        "more": rows[_SHOWN:],
        "left_out": f"{left:,}" if left > 0 else None,
        "compared": compared,
    }


def in_order(known: Iterable[MetricFacts]) -> list[MetricFacts]:
    """Asked for by a criterion first, then declared by the spec, then the rest as logged."""
    return sorted(known, key=lambda metric: (not metric.targets, not metric.declared))


def _metric(metric: MetricFacts) -> Row:
    return {
        "name": metric.name,
        "points": f"{metric.points:,}",
        "non_finite": f"{metric.non_finite:,}" if metric.non_finite else None,
        "first": words.at_step(metric, metric.first),
        "now": words.at_step(metric, metric.latest),
        "before": words.at_step(metric, metric.before),
        "change": words.change(metric, metric.before, metric.latest),
        "best": words.at_step(metric, metric.best),
        "target": ", ".join(_target(metric, t) for t in metric.targets) or figures.NONE,
        "course": sparkline([value for _, value in metric.history], _COURSE) or figures.NONE,
    }


def _target(metric: MetricFacts, target: Target) -> str:
    """`> 5%, met from step 20,722 on`: the step from which every value since has met it.

    Told only where the history is whole: of a thinned one nobody knows.
    """
    test, since = _TESTS.get(target.op), None
    if test is None or len(metric.history) != metric.points:
        return target.label
    for step, value in metric.history:
        since = (step if since is None else since) if test(value, target.value) else None
    if since is None:
        return target.label
    return f"{target.label}, met from step {since:,} on"


def classes(facts: ReportFacts) -> list[Row]:
    """Tables of one metric by class."""
    return [_classes(table) for table in facts.classes[:_MOST_FAMILIES]]


def _classes(table: ClassTable) -> Row:
    metric = _shares(table)
    left = len(table.rows) - _MOST_CLASSES
    return {
        "family": table.family,
        "step": f"{table.step:,}",
        "run": table.run,
        "counted": any(row.count is not None for row in table.rows),
        "rows": [_class(metric, row) for row in table.rows[:_MOST_CLASSES]],
        "left_out": f"{left:,}" if left > 0 else None,
        "overall": words.measure(metric, table.overall) if table.overall is not None else None,
        "constant": words.measure(metric, table.constant) if table.constant is not None else None,
        "flattering": _flattering(table),
    }


def _flattering(table: ClassTable) -> bool:
    """Whether the overall value is no better than always giving the most frequent answer."""
    return (
        table.overall is not None
        and table.constant is not None
        and table.overall <= table.constant + 0.005
    )


def _shares(table: ClassTable) -> MetricFacts:
    return (
        words.as_percent(MetricFacts(name=table.family))
        if table.percent
        else MetricFacts(name=table.family)
    )


def _class(metric: MetricFacts, row: ClassRow) -> Row:
    return {
        "name": row.name,
        "value": words.measure(metric, row.value),
        "count": figures.NONE if row.count is None else figures.number(row.count),
    }


def components(facts: ReportFacts) -> list[Row]:
    """Tables of the terms of a loss."""
    return [_components(each) for each in facts.components[:_MOST_FAMILIES]]


def _components(table: Components) -> Row:
    return {
        "loss": table.loss,
        "step": f"{table.step:,}",
        "total": figures.number(table.total),
        "declared": any(row.declared is not None for row in table.rows),
        "compared": any(row.before is not None for row in table.rows),
        "rows": [_component(row) for row in table.rows],
        "unnamed": None if table.unnamed is None else figures.number(table.unnamed),
        "unnamed_share": None
        if table.unnamed is None or not table.total
        else words.share(table.unnamed / table.total),
    }


def _component(row: ComponentRow) -> Row:
    ratio = row.share / row.declared if row.declared else None
    return {
        "name": row.name,
        "value": figures.number(row.value),
        "before": figures.NONE if row.before is None else figures.number(row.before),
        "share": words.share(row.share),
        "declared": figures.NONE if row.declared is None else words.share(row.declared),
        "ratio": figures.NONE if ratio is None else f"{figures.number(round(ratio, 2))}×",
    }


def gaps(facts: ReportFacts) -> list[Row]:
    """The same metric in training and in evaluation."""
    return [_gap(each, _known(facts, each.metric)) for each in facts.gaps[:_MOST_FAMILIES]]


def _known(facts: ReportFacts, name: str) -> MetricFacts:
    """A metric of that name, for its unit."""
    alike = (m for m in facts.metrics if m.name == name or m.name.endswith(f"/{name}"))
    return next(alike, MetricFacts(name=name))


def _gap(gap: Gap, metric: MetricFacts) -> Row:
    # Of a value that is no finite number nothing is a multiple.
    comparable = gap.train and gap.evaluation and isfinite(gap.train + gap.evaluation)
    times = gap.evaluation / gap.train if comparable else None
    return {
        "metric": gap.metric,
        "train": words.at_step(metric, Sample(step=gap.train_step, value=gap.train)),
        "evaluation": words.at_step(metric, Sample(step=gap.step, value=gap.evaluation)),
        "times": figures.NONE if times is None else f"{figures.number(round(times, 2))}×",
    }
