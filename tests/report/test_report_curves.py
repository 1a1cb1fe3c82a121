import math
import random
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from orchestrator.domain.run import MetricSpec
from orchestrator.report import AttemptFacts, metric_facts
from orchestrator.report.curves import ALARM, GOAL, INK, SERIES, charts_of, draw, span_of
from orchestrator.report.facts import Target

LIGHT, DARK = "#ffffff", "#0d1117"
LIMIT = 40_000


def luminance(colour):
    """Relative luminance as WCAG 2.1 defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def only_chart(*metrics):
    charts = charts_of(metrics)
    assert len(charts) == 1
    return charts[0]


def texts(svg):
    root = ET.fromstring(svg)
    return ["".join(e.itertext()).strip() for e in root.iter("{http://www.w3.org/2000/svg}text")]


def noisy(count, seed=3):
    noise = random.Random(seed)
    return [
        (step, 3 * math.exp(-step / count * 3) + noise.gauss(0.2, 0.05)) for step in range(count)
    ]


@pytest.mark.parametrize("colour", [*SERIES, INK, GOAL, ALARM])
@pytest.mark.parametrize("page", [LIGHT, DARK])
def test_colours_are_legible_on_both_pages(colour, page):
    """Every colour has a contrast of at least 3:1 on GitHub's light and on its dark page."""
    assert contrast(colour, page) >= 3.0


def test_the_contrast_formula_knows_its_extremes():
    """Black on white is 21:1 and a colour on itself is 1:1."""
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast(INK, INK) == 1


def test_only_known_colours_are_drawn(rich):
    """No colour but those tested for contrast occurs, and nothing paints a background."""
    for chart in charts_of(rich.metrics):
        svg = draw(chart, rich.attempts).decode()
        assert set(re.findall(r"#[0-9a-f]{6}\b", svg)) <= {*SERIES, INK, GOAL, ALARM}
        assert not re.search(r"fill: (?:white|black|#fff)", svg)


def test_bytes_hold_no_date_and_no_version(rich):
    """The same chart gives the same bytes, without date, creator or machine in them."""
    chart = charts_of(rich.metrics)[0]
    svg = draw(chart, rich.attempts)
    assert svg == draw(chart, rich.attempts)
    for trace in (rb"\d{4}-\d\d-\d\d", rb"\d:\d\d", rb"matplotlib v", rb"<metadata", rb"<!DOCTYPE"):
        assert not re.search(trace, svg, re.IGNORECASE), trace


def test_settings_of_the_user_do_not_show(rich, tmp_path):
    """A matplotlibrc in the current folder changes nothing."""
    (tmp_path / "matplotlibrc").write_text(
        "lines.linewidth: 9\nfont.size: 40\naxes.facecolor: red\n"
    )
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from orchestrator.report.curves import charts_of, draw\n"
        "from orchestrator.report import metric_facts\n"
        "sys.stdout.buffer.write(draw(charts_of([metric_facts('loss', [(1, 2.0), (2, 1.0)])])[0]))"
    )
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run(
        [sys.executable, "-c", script, root], cwd=tmp_path, capture_output=True, check=True
    )
    assert done.stdout == draw(only_chart(metric_facts("loss", [(1, 2.0), (2, 1.0)])))


@pytest.mark.parametrize(
    "histories",
    [
        [noisy(100_000)],
        [noisy(20_000, seed) for seed in range(6)],
        [[(s, math.nan if s % 2 else 1.0 + s % 7) for s in range(30_000)]],
        [[(s % 5000, float(s % 311)) for s in range(50_000)]],
        [[(s, 10.0 ** (s % 13 - 6)) for s in range(9_000)]],
    ],
    ids=["long", "six series", "every second NaN", "replayed", "wild"],
)
def test_size_is_bounded(histories):
    """However long the history, a curve is a well-formed file of at most 40 kB."""
    metrics = [metric_facts(f"part{n}/loss", history) for n, history in enumerate(histories)]
    svg = draw(only_chart(*metrics))
    assert len(svg) <= LIMIT
    assert texts(svg)


def test_axes_are_labelled(rich):
    """Both axes have a label, with the unit where there is one."""
    labels = [texts(draw(chart)) for chart in charts_of(rich.metrics)]
    assert all("step (optimizer updates)" in each for each in labels)
    assert "pass@k (%)" in labels[0]
    assert "loss" in labels[1]
    seconds = texts(draw(only_chart(metric_facts("t", [(1, 2.0), (2, 3.0)], MetricSpec(unit="s")))))
    assert "t (s)" in seconds


def test_series_are_named_with_their_latest_value(rich):
    """Each line carries its name and its latest value, in the digits of the table."""
    said = " ".join(texts(draw(charts_of(rich.metrics)[1])))
    assert "train/loss" in said
    assert "0.4711" in said


def test_target_is_drawn_where_it_is(rich):
    """A criterion's threshold is a dashed line with its label, in percent for a percentage."""
    svg = draw(charts_of(rich.metrics)[0]).decode()
    assert "eval/pass@1 &gt; 5%" in svg
    assert len(re.findall(rf"stroke-dasharray[^\"]*stroke: {GOAL}", svg)) == 1


@pytest.mark.parametrize(("bound", "sign"), [(-900.0, "↓"), (900.0, "↑")])
def test_target_far_away_is_named(bound, sign):
    """A target that would squeeze the curve flat is named with the direction it lies in."""
    history = [(1, 2.0), (2, 1.0)]
    metric = metric_facts("loss", history)
    target = Target(op="<", value=bound, label=f"< {bound:g}")
    chart = only_chart(type(metric)(**{**_fields(metric), "targets": (target,)}))
    assert f"{sign} target < {bound:g}" in texts(draw(chart))


def _fields(metric):
    return {name: getattr(metric, name) for name in metric.__dataclass_fields__}


def test_attempts_are_marked():
    """A later attempt is marked at its first step, the first attempt is not."""
    attempts = [
        AttemptFacts(number=n, started=None, ended=None, ending="", first_step=step)
        for n, step in ((1, 0), (2, 40), (3, None), (4, 9_999))
    ]
    said = texts(draw(only_chart(metric_facts("loss", noisy(100))), attempts))
    assert "attempt 2" in said
    assert not {"attempt 1", "attempt 3", "attempt 4"} & set(said)


def test_not_finite_values_leave_a_gap_and_a_mark():
    """A NaN interrupts the line and is marked; without one there is no mark."""
    whole = [(step, 1.0 + step) for step in range(20)]
    broken = [(step, math.nan if step == 9 else value) for step, value in whole]
    svg = draw(only_chart(metric_facts("loss", broken)))
    assert "not finite" in texts(svg)
    assert "not finite" not in texts(draw(only_chart(metric_facts("loss", whole))))
    line = re.search(rf'd="([^"]+)"[^>]*stroke: {SERIES[0]}', svg.decode())
    assert line is not None
    assert line[1].count("M") == 2


def test_replayed_steps_start_a_new_line():
    """Steps logged again after a roll-back do not draw a line backwards."""
    again = [(s, 5.0 - s / 10) for s in range(20)] + [(s, 4.0 - s / 10) for s in range(10, 30)]
    svg = draw(only_chart(metric_facts("loss", again))).decode()
    line = re.search(rf'd="([^"]+)"[^>]*stroke: {SERIES[0]}', svg)
    assert line is not None
    for piece in line[1].split("M")[1:]:
        places = [float(pair.split()[0]) for pair in piece.split("L")]
        assert places == sorted(places)


def test_evaluations_are_marked(rich):
    """Each evaluation has a marker of its own, points of training have none."""
    svg = draw(charts_of(rich.metrics)[1]).decode()
    markers = re.findall(rf"<use[^>]*fill: {SERIES[1]}", svg)
    assert len(markers) == 4
    assert not re.findall(rf"<use[^>]*fill: {SERIES[0]}", svg)


def test_same_kind_shares_a_chart():
    """Training and evaluation loss share their axes; other units do not."""
    line = [(1, 1.0), (2, 0.5)]
    charts = charts_of(
        [
            metric_facts("lr", line),
            metric_facts("eval/pass@1", line, MetricSpec(unit="%")),
            metric_facts("train/loss", line),
            metric_facts("eval/loss", line),
            metric_facts("pass@1", line),
            metric_facts("eval/pass@2", line, MetricSpec(unit="%")),
        ]
    )
    assert [[m.name for m in chart.metrics] for chart in charts] == [
        ["train/loss", "eval/loss"],
        ["lr"],
        ["eval/pass@1", "eval/pass@2"],
        ["pass@1"],
    ]
    assert len({chart.file for chart in charts}) == 4


def test_long_names_of_one_kind_are_told_apart():
    """Series of several trainings keep what differs; what all end in is on the axis already."""
    names = [f"{member}/seed_{seed}/train/loss" for member in ("direct", "rec") for seed in (0, 1)]
    chart = only_chart(*(metric_facts(name, history=[(1, 2.0), (2, 1.0)]) for name in names))
    said = {text.split("\n")[0] for text in texts(draw(chart))}
    assert {"direct/seed_0", "direct/seed_1", "rec/seed_0", "rec/seed_1"} <= said


def test_number_of_charts_is_bounded():
    """Of very many metrics only the first few kinds are drawn, each in a file of its own."""
    metrics = [metric_facts(f"m/Ä{n}", [(1, 1.0), (2, float(n))]) for n in range(50)]
    charts = charts_of(metrics)
    assert len(charts) == 6
    assert len({chart.file for chart in charts}) == 6
    assert all(re.fullmatch(r"curves-[a-z0-9-]+\.svg", chart.file) for chart in charts)


@pytest.mark.parametrize(
    "name", ["$x_$ $", "a<b>&\"c'", "日本語/損失", "tab\tand\x00null", "x" * 300, "\udcff"]
)
def test_any_name_gives_a_valid_file(name):
    """Whatever a metric is called, the file is well-formed and nothing warns."""
    svg = draw(only_chart(metric_facts(name, [(1, 1.0), (2, 2.0), (3, 1.5)], MetricSpec(unit="$"))))
    assert len(texts(svg)) > 4


@pytest.mark.parametrize(
    "history",
    [
        [(5, 1.0), (5, 1.0)],
        [(0, 0.0), (1, 0.0)],
        [(1, -3.0), (2, -3.0)],
        [(1, 1e300), (2, -1e300)],
        [(1, math.inf), (2, 1.0), (3, -math.inf), (4, 2.0)],
        [(10**12, 1.0), (10**12 + 1, 2.0)],
        [(-5, 1e-300), (-4, 1e300)],
    ],
)
def test_odd_histories_are_drawn(history):
    """One step, constants, huge values, infinities and negative steps give a valid file."""
    assert texts(draw(only_chart(metric_facts("loss", history))))


def test_charts_share_their_span(rich):
    """All charts of a page share the range of their step axis, from zero where that is near."""
    assert span_of(charts_of(rich.metrics)) == (0, 41_941)
    far = only_chart(metric_facts("loss", [(900, 1.0), (1000, 2.0)]))
    assert span_of([far]) == (900, 1000)
    assert span_of([]) == (0, 0)


def test_metrics_without_two_finite_points_have_no_chart():
    """A single value, or nothing but NaN, is no curve."""
    assert charts_of([metric_facts("a", [(1, 1.0)]), metric_facts("b", [(1, math.nan)] * 9)]) == []
