"""Series of a run on the terminal: a list of them, or their points."""

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchestrator.actions.metrics import MetricList, SeriesPoints, SeriesSummary
from orchestrator.cli.views.words import number, plain
from orchestrator.clock import format_utc
from orchestrator.domain.hardware import is_sampled
from orchestrator.spark import sparkline
from orchestrator.store.rows import LatestValue

_SPARK = 20  # characters
_WAYS = {True: "↑", False: "↓", None: ""}


def metric_list(found: MetricList) -> RenderableType:
    """`exp metrics T-0017`: what programs logged; samples of the hardware are only counted."""
    own = [row for row in found.series if not is_sampled(row.name)]
    sampled = len(found.series) - len(own)
    parts: list[RenderableType] = []
    if own:
        parts.append(_summaries(own))
    else:
        parts.append(Text(f"{found.run} has logged no points", style="dim"))
    if sampled:
        more = f"and {sampled} series of samples: exp metrics {found.run} 'system/*'"
        parts.append(Text(more, style="dim"))
    return Group(*parts)


def _summaries(rows: Sequence[SeriesSummary]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("metric", overflow="fold")
    for name in ("points", "first", "latest", "step", "best"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("unit", no_wrap=True, max_width=12)
    table.add_column("from first to last", no_wrap=True)
    for row in rows:
        table.add_row(
            plain(row.name),
            _count(row),
            number(row.first.value) if row.first else "—",
            number(row.latest.value),
            f"{row.latest.step:,}",
            _best(row.best, row.higher),
            plain(row.unit or ""),
            sparkline(row.shape, _SPARK),
        )
    return table


def _count(row: SeriesSummary) -> Text:
    text = Text(f"{row.points:,}")
    if row.nonfinite:
        text.append(f" ({row.nonfinite:,} not finite)", "yellow")
    return text


def _best(best: LatestValue | None, higher: bool | None) -> str:
    """`0.1125 ↑ at 20,722`: the best value, which way is good, and where it was."""
    if best is None:
        return "—"
    return f"{number(best.value)} {_WAYS[higher]} at {best.step:,}"


def metric_points(found: Sequence[SeriesPoints]) -> RenderableType:
    """`exp metrics T-0017 loss`: each series in a table of its own."""
    parts = [part for series in found for part in (_title(series), _points(series), Text(""))]
    return Group(*parts[:-1])


def _title(series: SeriesPoints) -> Text:
    points = series.points
    unit = f" [{series.unit}]" if series.unit else ""
    title = Text.assemble((plain(series.name).plain, "bold"), plain(unit).plain)
    asked = ", ".join(number(bound) for bound in series.bounds)
    title.append(f"  asked for: {asked}" if asked else "", "dim")
    shown = len(points.steps)
    if shown < points.total:
        title.append(f"  the last {shown:,} of {points.total:,} points", "dim")
    return title


def _points(series: SeriesPoints) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("step", "value"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("time", no_wrap=True)
    table.add_column("where", overflow="fold", style="dim")
    points = series.points
    columns = (points.steps, points.values, points.times, points.sources, points.lines)
    for step, value, time, source, line in zip(*columns, strict=True):
        table.add_row(f"{step:,}", number(value), _when(time), plain(f"{source}:{line}"))
    return table


def _when(time: float) -> str:
    """UTC; a time that is out of any calendar as it is."""
    try:
        return format_utc(time)
    except (ValueError, OverflowError, OSError):
        return f"{time:g}"
