import math
import random
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from orchestrator.report.bars import bar_charts_of, draw_bars
from orchestrator.report.drawing import GOAL, INK, SERIES
from orchestrator.report.parts import ClassRow, ClassTable, ComponentRow, Components

LIMIT = 40_000


def texts(svg):
    root = ET.fromstring(svg)
    return ["".join(e.itertext()).strip() for e in root.iter("{http://www.w3.org/2000/svg}text")]


def test_bars_say_their_values(rich):
    """Each bar has its name and its value, terms also what was declared, classes the constant."""
    classes, terms = bar_charts_of(rich)
    said = texts(draw_bars(classes))
    assert {"0", "99.94%", "0.14%", "a constant answer: 94.50%"} <= set(said)
    assert "eval/acc by colour (%)" in said
    assert {"kd", "15.50%, declared 70%", "43.00%, declared 10%"} <= set(texts(draw_bars(terms)))


def test_the_longest_class_has_the_longest_bar(rich):
    """Lengths of bars follow their values."""
    svg = draw_bars(bar_charts_of(rich)[1]).decode()
    widths = []
    for path in re.findall(rf'<path d="([^"]+)"[^>]*style="fill: {SERIES[0]}', svg):
        places = [float(x) for x in re.findall(r"[ML] ([\d.]+)", path)]
        widths.append(max(places) - min(places))
    assert len(widths) == 3
    assert widths[1] > widths[0] > widths[2]


def test_only_known_colours(rich):
    """Bars use the colours whose contrast is tested, on a transparent ground."""
    for chart in bar_charts_of(rich):
        colours = set(re.findall(r"#[0-9a-f]{6}", draw_bars(chart).decode()))
        assert colours <= {*SERIES, INK, GOAL}


@pytest.mark.parametrize("percent", [False, True])
def test_nasty_tables_stay_small(rich, percent):
    """Hundreds of classes with odd names and values that are no number fit into 40 kB."""
    noise = random.Random(1)
    odd = [math.nan, math.inf, -3.0, 0.0]
    rows = tuple(
        ClassRow(
            name=f"$x_{n}$ <b>&" + "é" * 80 + "\x1b",
            value=odd[n] if n < 4 else noise.random(),
        )
        for n in range(400)
    )
    table = ClassTable(family="a/b <x>", step=1, rows=rows, constant=0.5, percent=percent)
    (chart,) = bar_charts_of(replace(rich, classes=(table,), components=()))
    svg = draw_bars(chart)
    assert len(svg) <= LIMIT
    assert {"NaN", "∞"} <= set(texts(svg))
    assert draw_bars(chart) == svg


def test_one_row_is_no_picture(rich):
    """A table of one row, or of none, is not drawn."""
    one = Components(
        loss="l", step=1, total=1.0, rows=(ComponentRow(name="a", value=1.0, share=1.0),)
    )
    none = ClassTable(family="f", step=1, rows=())
    assert bar_charts_of(replace(rich, classes=(none,), components=(one,))) == []
