"""A curve in the terminal: what it shows, where, and what it makes of bad numbers."""

import math

import pytest

from orchestrator.actions.curve import Curve
from orchestrator.cli.views.chart import chart

STEPS = tuple(range(0, 20_000, 50))
FALLING = tuple(2 / (1 + step / 1000) for step in STEPS)


def drawn(values=FALLING, steps=STEPS, *, series="train/loss", size=(70, 14), **beside):
    """The lines of a chart, and they fit."""
    curve = Curve(series=series, steps=tuple(steps), values=tuple(values), **beside)
    text = chart(curve, width=size[0], height=size[1])
    lines = text.plain.split("\n")
    assert len(lines) <= size[1]
    assert max(map(len, lines)) <= size[0]
    return lines


@pytest.mark.parametrize("values", [[1.0], [math.nan, math.inf], [], [1e301, -1e308, 2.0]])
def test_a_chart_of_too_little_says_so(values):
    """No chart is drawn of fewer than two values that can be."""
    assert drawn(values, range(len(values))) == ["too few points for a chart"]


@pytest.mark.parametrize("size", [(20, 5), (38, 9), (76, 12), (240, 40)])
def test_a_chart_fills_its_place_and_names_its_ends(size):
    """As many lines and columns as asked for; the last step and the largest value are named."""
    lines = drawn(size=size)
    assert len(lines) == size[1]
    assert max(map(len, lines)) == size[0]
    assert lines[-1].strip().endswith("19,950")
    assert lines[2].strip().startswith("2┤") or size[1] == 5
    assert any("⠀" <= character <= "⣿" for line in lines for character in line)


def test_every_mark_has_its_own_shape_and_is_explained():
    """Bound, attempt, evaluation, deciding point and broken value: shape and word, no colour."""
    values = [math.nan if 300 <= place < 310 else value for place, value in enumerate(FALLING)]
    head, *lines = drawn(
        values,
        bounds=(0.5,),
        attempts=(6200,),
        evaluations=(5000, 10_000),
        decided=8000,
        size=(90, 14),
    )
    for words in ("─ target 0.5", "│ attempt", "▴ evaluation", "● decides", "× 10 not finite"):
        assert words in head
    assert next(line for line in lines if "0.5├" in line).count("─") > 20
    column = lines[1].index("│", lines[1].index("┤") + 1)
    assert column == pytest.approx(lines[0].index("┬"), abs=1)
    assert sum(line.count("▴") for line in lines) == 2
    assert sum(line.count("●") for line in lines) == 1
    assert "×" in lines[-3]
    assert "8,000" in lines[-1]


def test_a_far_bound_is_named_and_leaves_the_curve_a_curve():
    """What is asked for far away does not press the curve flat."""
    lines = drawn(bounds=(500.0,))
    assert "─ target 500" in lines[0]
    assert lines[2].strip().startswith("2┤")


@pytest.mark.parametrize(
    ("steps", "values"),
    [
        ((5, 5), (1.0, 2.0)),
        ((0, 10**15), (1e299, -1e299)),
        ((0, 1), (0.0, 0.0)),
        ((7, 3, 9), (1e-300, 2e-300, 1e-300)),
        ((0, 1), (300_000.0, 300_000.1)),
        ((-5, 5), (-1.0, -1.0)),
    ],
)
def test_odd_numbers_are_drawn(steps, values):
    """One step only, steps back, huge, tiny and equal values: a chart, not an error."""
    assert len(drawn(values, steps, bounds=(0.0, 1e308), attempts=(-9, 10**18))) == 14


def test_a_name_cannot_drive_the_terminal():
    """Escape sequences of a series are visible, a long name is cut."""
    head = drawn(series="a\x1b[31m" + "b" * 300, bounds=(1.0,))[0]
    assert "\x1b" not in head
    assert head.endswith("…")
