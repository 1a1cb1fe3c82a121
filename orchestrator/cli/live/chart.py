"""A curve in the terminal, drawn by plotext."""

import math
from collections.abc import Sequence

import plotext
from rich.text import Text

from orchestrator.cli.console import clean

_FEWEST = 2


def chart(
    steps: Sequence[int], values: Sequence[float], *, title: str, width: int, height: int
) -> Text:
    """A chart of `width` by `height` characters; values that are not finite are left out."""
    points = [pair for pair in zip(steps, values, strict=True) if math.isfinite(pair[1])]
    if len(points) < _FEWEST or width < 20 or height < 5:
        return Text("too few points for a chart", style="dim")
    figure = plotext
    figure.clear_figure()
    figure.theme("clear")  # colours are the screen's
    figure.plot_size(width, height)
    figure.plot([step for step, _ in points], [value for _, value in points], marker="braille")
    figure.title(clean(title))
    figure.xlabel("step")
    ticks = _ticks(min(points)[0], max(points)[0], max(2, width // 16))
    figure.xticks(ticks, [f"{tick:,}" for tick in ticks])
    return Text.from_ansi(figure.build())


def _ticks(first: int, last: int, count: int) -> list[int]:
    """Whole steps at equal distances."""
    return sorted({first + (last - first) * place // (count - 1) for place in range(count)})
