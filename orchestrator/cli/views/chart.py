"""A curve in the terminal, drawn by plotext. Loaded only where a chart is shown."""

import math
from collections.abc import Iterable, Iterator, Sequence

import plotext
from rich.text import Text

from orchestrator.actions.curve import Curve
from orchestrator.cli.views.words import number, plain

_FEWEST = 2
_NARROWEST, _LOWEST = 20, 5  # characters, lines
_LARGEST = 1e300  # beyond, the distance of two values is not finite
_EDGE = 2  # lines of the frame; below it stands one more, with the steps


def chart(curve: Curve, *, width: int, height: int) -> Text:
    """A heading and a chart, `width` by `height` characters together.

    Every mark has a shape of its own, so that colours may be missing: `─` what is asked for,
    `│` a later attempt, `▴` an evaluation, `●` the point that decides, `×` a value that is not
    finite. A bound that is far from all values is named in the heading only, so that the curve
    stays a curve.
    """
    pairs = list(zip(curve.steps, curve.values, strict=True))
    points = [point for point in pairs if _can_be_drawn(point[1])]
    if len(points) < _FEWEST or width < _NARROWEST or height < _LOWEST:
        return Text("too few points for a chart" if len(points) < _FEWEST else "", style="dim")
    low, high = _span([value for _, value in points], curve.bounds)
    bounds = [bound for bound in curve.bounds if low <= bound <= high]
    broken = [step for step, value in pairs if not math.isfinite(value)]
    first, last = min(pairs)[0], max(pairs)[0]
    plotext.clear_figure()  # it has one figure for all
    plotext.theme("clear")
    plotext.limit_size(False, False)  # who asks knows the place better than it knows the terminal
    plotext.plot_size(width, height - 1)
    plotext.ylim(low, high)
    for step in curve.attempts:
        if first <= step <= last:
            plotext.vline(step, color="gray")
    for bound in bounds:
        plotext.hline(bound, color="yellow")
    plotext.plot(*zip(*points, strict=True), marker="braille", color="cyan")
    _mark(((step, low) for step in curve.evaluations if first <= step <= last), "▴", "magenta")
    _mark(((step, low) for step in broken), "×", "red")
    _mark((point for point in points[::-1] if point[0] == curve.decided), "●", "red", most=1)
    _label(points, bounds, (low, high), height - 1 - _EDGE - 1)
    steps = list(_steps(first, last, curve.decided, width))
    plotext.xticks(steps, [f"{step:,}" for step in steps])
    drawn = Text.from_ansi(plotext.build())
    drawn.rstrip()
    return _heading(curve, len(broken), width).append("\n").append_text(drawn)


def _can_be_drawn(value: float) -> bool:
    return abs(value) < _LARGEST  # neither is NaN


def _span(values: Sequence[float], bounds: Iterable[float]) -> tuple[float, float]:
    """Lowest and highest value shown: those of the curve, and of bounds that are not far away."""
    low, high = min(values), max(values)
    reach = (high - low) or abs(high)
    near = [bound for bound in bounds if low - reach <= bound <= high + reach]
    low, high = min([low, *near]), max([high, *near])
    if low == high:
        return low - (abs(low) or 1.0), high + (abs(high) or 1.0)
    return low, high


def _mark(
    places: Iterable[tuple[int, float]], marker: str, color: str, most: int | None = None
) -> None:
    found = list(places)[:most]
    if found:
        plotext.scatter(*zip(*found, strict=True), marker=marker, color=color)


def _label(
    points: Sequence[tuple[int, float]],
    bounds: Sequence[float],
    span: tuple[float, float],
    rows: int,
) -> None:
    """Name bounds, then the lowest and the highest value; never two of them in one line."""
    values = [value for _, value in points]
    low, high = span
    taken: dict[int, float] = {}
    for value in (*bounds, max(values), min(values)):
        row = round((value - low) / (high - low) * max(1, rows - 1))
        taken.setdefault(row, value)
    shown = sorted(taken.values())
    plotext.yticks(shown, [number(value) for value in shown])


def _steps(first: int, last: int, decided: int | None, width: int) -> Iterator[int]:
    """Steps to name below: both ends, the deciding one, and others where there is room."""
    room = len(f"{last:,}") + 3  # characters that a name takes, with its distance to the next
    count = max(2, width // (room + 6))
    even = [first + (last - first) * place // (count - 1) for place in range(count)]
    scale = (width - room) / max(1, last - first)
    taken: list[int] = []
    for step in (first, last, *([] if decided is None else [decided]), *even):
        if all(abs(step - other) * scale >= room for other in taken):
            taken.append(step)
    yield from sorted(taken)


def _heading(curve: Curve, broken: int, width: int) -> Text:
    """The name of the series, and what the marks mean that are in the chart."""
    head = plain(curve.series)
    if broken:
        head.append("  × ", "red").append(f"{broken:,} not finite", "dim")
    if curve.bounds:
        asked = ", ".join(map(number, curve.bounds))
        head.append("  ─ ", "yellow").append(f"target {asked}", "dim")
    if curve.attempts:
        head.append("  │ ", "dim").append("attempt", "dim")
    if curve.evaluations:
        head.append("  ▴ ", "magenta").append("evaluation", "dim")
    if curve.decided is not None:
        head.append("  ● ", "red").append("decides", "dim")
    head.truncate(width, overflow="ellipsis")
    return head
