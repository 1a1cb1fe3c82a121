"""Curves of metrics as small SVG files that are legible on light and on dark pages.

The colours are chosen for contrast on white and on GitHub's dark page alike, the background is
transparent and text stays text. Same facts, same bytes: no date, fixed ids, no font search.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Any

from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from orchestrator.domain.figures import number
from orchestrator.report.drawing import ALARM, GOAL, INK, SERIES, canvas, clean, look, saved
from orchestrator.report.facts import AttemptFacts, MetricFacts, Target
from orchestrator.report.series import thin_out, with_gaps
from orchestrator.report.words import is_percent, measure, on_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_CHARTS = 6
_MOST_SERIES = len(SERIES)
_POINTS = 400
_POINTS_IN_ALL = 800
_MARKED = 60  # more points than this are a line without markers
_NOISY = 80  # from so many points on, a running median is drawn over them
_MIDDLES = 120
_MOST_ALARMS = 30
_MOST_EVALUATIONS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Metrics that belong on the same axes; `file` is the name beside the report."""

    file: str
    label: str
    metrics: tuple[MetricFacts, ...]

    @property
    def alt(self) -> str:
        """What is on it, for who cannot see it."""
        names = [metric.name for metric in self.metrics]
        listed = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
        return f"{listed} over training steps"


def charts_of(metrics: Iterable[MetricFacts]) -> list[Chart]:
    """What to draw: metrics of the same kind together, those that a criterion asks for first."""
    groups: dict[tuple[str, bool], list[MetricFacts]] = {}
    for metric in metrics:
        if sum(math.isfinite(value) for _, value in metric.history) >= 2:
            groups.setdefault((_kind(metric.name), is_percent(metric)), []).append(metric)
    ordered = sorted(groups.items(), key=lambda item: _rank(item[0][0], item[1]))
    charts: list[Chart] = []
    for (kind, percent), members in ordered[:MOST_CHARTS]:
        taken = {chart.file for chart in charts}
        shown = tuple(members[:_MOST_SERIES])
        unit = "%" if percent else shown[0].spec.unit
        label = f"{kind} ({unit})" if unit else kind
        charts.append(Chart(file=_file_name(kind, taken), label=label, metrics=shown))
    return charts


def _kind(name: str) -> str:
    """`train/loss` and `eval/loss` are loss; `pass@1` and `pass@2` are pass@k."""
    return re.sub(r"@\d+$", "@k", name.rsplit("/", 1)[-1])


def _rank(kind: str, members: Sequence[MetricFacts]) -> tuple[bool, bool]:
    return not any(metric.targets for metric in members), "loss" not in kind.lower()


def _file_name(kind: str, taken: set[str]) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", kind.lower()).strip("-")[:40] or "metric"
    names = [f"curves-{slug}.svg", *(f"curves-{slug}-{n}.svg" for n in range(2, MOST_CHARTS + 2))]
    return next(name for name in names if name not in taken)


def span_of(charts: Iterable[Chart]) -> tuple[int, int]:
    """First and last step of all charts, so that they can share their axis; from 0 if near."""
    steps = [step for chart in charts for metric in chart.metrics for step, _ in metric.history]
    low, high = min(steps, default=0), max(steps, default=0)
    return (0 if 0 <= low < 0.3 * high else low), high


def draw(
    chart: Chart,
    attempts: Sequence[AttemptFacts] = (),
    span: tuple[int, int] | None = None,
    evaluations: Sequence[int] = (),
) -> bytes:
    """The chart as SVG: lines, targets dashed, evaluations, attempts and NaN marked.

    `span` holds the first and last step of the axis (default: those of the chart), `evaluations`
    the steps at which the run was evaluated.
    """
    with look():
        figure = canvas(7.2, 3.1)
        axes = figure.add_axes((0.095, 0.155, 0.705, 0.79))
        _draw_axes(axes, chart)
        limit = min(_POINTS, _POINTS_IN_ALL // len(chart.metrics))
        for metric, colour in zip(chart.metrics, SERIES, strict=False):
            _draw_series(axes, metric, colour, limit)
        _set_limits(axes, chart)
        _set_span(axes, span or span_of([chart]))
        _draw_targets(axes, chart)
        if not any(metric.evaluation for metric in chart.metrics):  # whose dots tell already
            _draw_evaluations(axes, evaluations)
        _draw_attempts(axes, attempts)
        _draw_names(axes, chart)
        return saved(figure, chart.alt)


def evaluations_of(metrics: Iterable[MetricFacts]) -> tuple[int, ...]:
    """Steps at which the run was evaluated; none if that happened too often to mark it."""
    steps = {step for metric in metrics if metric.evaluation for step, _ in metric.history}
    return tuple(sorted(steps)) if len(steps) <= _MOST_EVALUATIONS else ()


def _draw_evaluations(axes: "Axes", steps: Sequence[int]) -> None:
    """Small triangles that stand on the axis."""
    left, right = axes.get_xlim()
    shown = [step for step in steps if left <= step <= right]
    axes.plot(
        shown,
        [0.0] * len(shown),
        linestyle="none",
        marker="^",
        color=INK,
        markersize=4.5,
        transform=axes.get_xaxis_transform(),
        clip_on=False,
        zorder=3,
    )


def _draw_axes(axes: "Axes", chart: Chart) -> None:
    axes.set_xlabel("step (optimizer updates)")
    axes.set_ylabel(clean(chart.label), parse_math=False)
    axes.yaxis.set_label_coords(-0.095, 0.5)
    round_steps = [1, 2, 5, 10]
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=round_steps, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{int(step):,}"))
    if _logarithmic(chart):
        axes.set_yscale("log")
        # Two marks between powers of ten tell the scale; each takes a millisecond to draw.
        axes.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
    else:
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=round_steps))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="y", color=INK, alpha=0.25, linewidth=0.6)
    axes.tick_params(length=3, width=0.8)


def _extent(chart: Chart) -> tuple[float, float]:
    """Lowest and highest finite value, as shown."""
    ends: list[float] = []
    for metric in chart.metrics:
        finite = [value for _, value in metric.history if math.isfinite(value)]
        ends += [on_axis(metric, min(finite)), on_axis(metric, max(finite))]
    return min(ends), max(ends)


def _logarithmic(chart: Chart) -> bool:
    low, high = _extent(chart)
    return not is_percent(chart.metrics[0]) and low > 0 and high / low > 50


def _draw_series(axes: "Axes", metric: MetricFacts, colour: str, limit: int) -> None:
    points = thin_out(metric.history, limit)
    steps = [step for step, _ in points]
    values = [on_axis(metric, value) for _, value in points]
    few = len(points) <= _MARKED
    noisy = not metric.evaluation and len(points) >= _NOISY
    look: dict[str, Any] = {"color": colour, "linewidth": 1.8, "solid_joinstyle": "round"}
    if noisy:
        axes.plot(steps, values, color=colour, linewidth=0.7, alpha=0.4)
        axes.plot(*_running_median(metric), **look)
    elif few and (metric.evaluation or len(points) <= 12):
        axes.plot(steps, values, marker="o", markersize=4.5, **look)
    else:
        axes.plot(steps, values, **look)
    broken = [step for step, value in metric.history if not math.isfinite(value)]
    if broken:
        _draw_broken(axes, broken)


def _running_median(metric: MetricFacts) -> tuple[list[int], list[float]]:
    """The middle of each of 120 stretches of the whole history; a stretch with a gap is a gap."""
    pieces = with_gaps(metric.history)
    size = math.ceil(len(pieces) / _MIDDLES)
    stretches = [pieces[at : at + size] for at in range(0, len(pieces), size)]
    steps = [stretch[len(stretch) // 2][0] for stretch in stretches]
    middles = [
        math.nan if any(math.isnan(v) for _, v in stretch) else median(v for _, v in stretch)
        for stretch in stretches
    ]
    return steps, [on_axis(metric, value) for value in middles]


def _draw_broken(axes: "Axes", steps: Sequence[int]) -> None:
    """Crosses on the axis where a value was no finite number."""
    every = math.ceil(len(steps) / _MOST_ALARMS)
    place = axes.get_xaxis_transform()
    shown = steps[::every]
    axes.plot(
        shown,
        [0.03] * len(shown),
        linestyle="none",
        marker="x",
        color=ALARM,
        markersize=5.5,
        markeredgewidth=1.6,
        transform=place,
        clip_on=False,
    )
    axes.annotate(
        "not finite",
        (shown[0], 0.03),
        xycoords=place,
        xytext=(6, 4),
        textcoords="offset points",
        color=ALARM,
        fontsize=8,
    )


def _set_limits(axes: "Axes", chart: Chart) -> None:
    """Room for the data and for every target that would not squeeze them flat."""
    low, high = _extent(chart)
    if _logarithmic(chart):
        axes.set_ylim(low / 1.6, high * 1.6)
        return
    reach = 2 * ((high - low) or abs(high) or 1.0)
    bounds = [bound for metric, target in _targets(chart) for bound in _bounds(metric, target)]
    near = [bound for bound in bounds if low - reach <= bound <= high + reach]
    low, high = min(low, *near, high), max(high, *near, low)
    pad = 0.06 * ((high - low) or abs(high) or 1.0)
    axes.set_ylim(0 if 0 <= low < 0.3 * high else low - pad, high + 1.5 * pad)


def _set_span(axes: "Axes", span: tuple[int, int]) -> None:
    first, last = span
    width = (last - first) or 1
    axes.set_xlim(first if first == 0 else first - 0.01 * width, last + 0.015 * width)


def _targets(chart: Chart) -> list[tuple[MetricFacts, Target]]:
    return [(metric, target) for metric in chart.metrics for target in metric.targets]


def _bounds(metric: MetricFacts, target: Target) -> list[float]:
    bounds = [b for b in (target.value, target.value2) if b is not None]
    return [on_axis(metric, bound) for bound in bounds]


def _draw_targets(axes: "Axes", chart: Chart) -> None:
    bottom, top = axes.get_ylim()
    for metric, target in _targets(chart):
        bounds = _bounds(metric, target)
        inside = [bound for bound in bounds if bottom <= bound <= top]
        for bound in inside:
            axes.axhline(bound, color=GOAL, linewidth=1.2, linestyle=(0, (5, 3)))
        label = (
            f"{metric.name} {target.label}" if len(chart.metrics) > 1 else f"target {target.label}"
        )
        if inside:
            _write(axes, label, (0.01, max(inside)), offset=3)
        elif bounds[0] < bottom:
            _write(axes, f"↓ {label}", (0.01, bottom), offset=3)
        else:
            _write(axes, f"↑ {label}", (0.01, top), offset=-9)


def _write(axes: "Axes", label: str, at: tuple[float, float], offset: float) -> None:
    """A target's label, `offset` points above a height of the left end."""
    axes.annotate(
        clean(label),
        at,
        xycoords=axes.get_yaxis_transform(),
        xytext=(0, offset),
        textcoords="offset points",
        color=GOAL,
        fontsize=8,
        parse_math=False,
    )


def _draw_attempts(axes: "Axes", attempts: Sequence[AttemptFacts]) -> None:
    left, right = axes.get_xlim()
    for attempt in attempts:
        step = attempt.first_step
        if attempt.number == 1 or step is None or not left <= step <= right:
            continue
        axes.axvline(step, color=INK, linewidth=0.9, linestyle=(0, (1, 2)))
        axes.annotate(
            f"attempt {attempt.number}",
            (step, 1.0),
            xycoords=axes.get_xaxis_transform(),
            xytext=(3, -7),
            textcoords="offset points",
            fontsize=8,
        )


def _draw_names(axes: "Axes", chart: Chart) -> None:
    """Name and latest value of each series at the right, where its line ends."""
    places = []
    for metric in chart.metrics:
        last = next(v for _, v in reversed(metric.history) if math.isfinite(v))
        point = axes.transData.transform((0, on_axis(metric, last)))
        places.append(axes.transAxes.inverted().transform(point)[1])
    names = _told_apart([metric.name for metric in chart.metrics])
    for metric, name, place, colour in zip(
        chart.metrics, names, _apart(places), SERIES, strict=False
    ):
        latest = metric.latest.value if metric.latest else None
        text = f"{name}\n{measure(metric, latest)}"
        axes.annotate(
            clean(text),
            (1.015, place),
            xycoords="axes fraction",
            va="center",
            color=colour,
            fontsize=9,
            linespacing=1.25,
            parse_math=False,
        )


def _apart(places: Sequence[float], distance: float = 0.155) -> list[float]:
    """The same places pushed apart so that no two labels overlap, in their order."""
    order = sorted(range(len(places)), key=lambda at: places[at])
    moved = list(places)
    for before, at in pairwise(order):
        moved[at] = max(moved[at], moved[before] + distance)
    excess = max(0.0, max(moved) - 0.97)
    return [place - excess for place in moved]


def _told_apart(names: Sequence[str]) -> list[str]:
    """Names that fit beside the axes. Where that makes two alike, what all end in is left out."""
    short = [_shortened(name) for name in names]
    if len(set(short)) == len(short):
        return short
    parts = [name.split("/") for name in names]
    ending, shortest = 0, min(map(len, parts))
    while ending < shortest - 1 and len({part[-1 - ending] for part in parts}) == 1:
        ending += 1
    return [_shortened("/".join(part[: len(part) - ending])) for part in parts]


def _shortened(name: str, limit: int = 18) -> str:
    """A name that fits beside the axes; its ends tell more than its middle."""
    half = limit // 2
    return name if len(name) <= limit else f"{name[: half - 1]}…{name[-half:]}"
