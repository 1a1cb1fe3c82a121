"""Bars of the tables of classes and of components, in the look of the curves and as small.

A dashed line is what a constant answer scores, a stroke the share that was declared for a term.
"""

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.domain.figures import number
from orchestrator.report.drawing import GOAL, INK, SERIES, canvas, clean, look, saved
from orchestrator.report.facts import ReportFacts
from orchestrator.report.words import share

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_BARS = 24
_MOST_PICTURES = 4
_NAME = 24  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A named value, and what was declared for it if anything was."""

    name: str
    value: float
    declared: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BarChart:
    """Bars of a table; `file` is the name beside the report, `line` a value to compare with."""

    file: str
    alt: str
    label: str
    bars: tuple[Bar, ...]
    percent: bool
    line: float | None = None


def bar_charts_of(facts: ReportFacts) -> list[BarChart]:
    """A picture for each table of classes and of components that has at least two rows."""
    charts = [
        BarChart(
            file=f"bars-{_slug(table.family)}.svg",
            alt=f"{table.family} by class at step {table.step:,}",
            label=f"{table.family} (%)" if table.percent else table.family,
            bars=tuple(Bar(name=row.name, value=row.value) for row in table.rows[:_MOST_BARS]),
            percent=table.percent,
            line=table.constant,
        )
        for table in facts.classes
    ]
    charts += [
        BarChart(
            file=f"bars-components-{_slug(table.loss)}.svg",
            alt=f"components of {table.loss} at step {table.step:,}",
            label=f"share of {table.loss} (%)",
            bars=tuple(
                Bar(name=row.name, value=row.share, declared=row.declared)
                for row in table.rows[:_MOST_BARS]
            ),
            percent=True,
        )
        for table in facts.components
    ]
    named = {chart.file: chart for chart in charts if len(chart.bars) > 1}
    return list(named.values())[:_MOST_PICTURES]


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "table"


def draw_bars(chart: BarChart) -> bytes:
    """The chart as SVG: a bar a row from the top, its value behind it."""
    with look():
        height = 0.75 + 0.24 * len(chart.bars)
        figure = canvas(7.2, height)
        axes = figure.add_axes(
            (0.25, 0.5 / height, 0.52, 1 - (0.8 if chart.line else 0.6) / height)
        )
        places = range(len(chart.bars))
        scale = 100 if chart.percent else 1
        axes.barh(places, [scale * _length(bar.value) for bar in chart.bars], 0.62, color=SERIES[0])
        axes.set_yticks(places, [_named(bar.name) for bar in chart.bars], parse_math=False)
        axes.set_ylim(len(chart.bars) - 0.4, -0.6)
        axes.set_xlabel(clean(chart.label), parse_math=False)
        axes.tick_params(length=0)
        axes.spines["bottom"].set_visible(False)
        axes.grid(axis="x", color=INK, alpha=0.25, linewidth=0.6)
        axes.set_axisbelow(True)
        _write_values(axes, chart)
        _mark(axes, chart, scale)
        return saved(figure, chart.alt)


def _named(name: str) -> str:
    short = clean(name)
    return short if len(short) <= _NAME else f"{short[: _NAME - 1]}…"


def _write_values(axes: "Axes", chart: BarChart) -> None:
    scale = 100 if chart.percent else 1
    for place, bar in enumerate(chart.bars):
        told = _told(chart, bar.value)
        if bar.declared is not None:
            told += f", declared {share(bar.declared)}"
        axes.annotate(
            told,
            (scale * max(0.0, _length(bar.value), bar.declared or 0.0), place),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )


def _length(value: float) -> float:
    """What is no finite number has no length; its name says what it is."""
    return value if math.isfinite(value) else 0.0


def _told(chart: BarChart, value: float) -> str:
    return f"{100 * value:.2f}%" if chart.percent and math.isfinite(value) else number(value)


def _mark(axes: "Axes", chart: BarChart, scale: int) -> None:
    """What was declared as a stroke on each bar, what a constant answer scores as a line."""
    for place, bar in enumerate(chart.bars):
        if bar.declared is not None:
            axes.vlines(scale * bar.declared, place - 0.42, place + 0.42, color=GOAL, linewidth=2)
    if chart.line is not None:
        axes.axvline(scale * chart.line, color=GOAL, linewidth=1.2, linestyle=(0, (5, 3)))
        axes.annotate(
            f"a constant answer: {_told(chart, chart.line)}",
            (scale * chart.line, 1.0),
            xycoords=axes.get_xaxis_transform(),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            color=GOAL,
            fontsize=8,
        )
