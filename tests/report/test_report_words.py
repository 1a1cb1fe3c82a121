import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.criterion import State, Verdict
from orchestrator.domain.figures import margin, number
from orchestrator.domain.run import MetricSpec
from orchestrator.errors import InvalidFileError
from orchestrator.report import metric_facts, notes_of
from orchestrator.report.markdown import code, fenced, inline, link, literal
from orchestrator.report.words import flat, measure, size, trend

TEXT = st.text(st.sampled_from("a|`<>\\*_[]()#-! \n\t\x1b&1."), max_size=40)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "unknown"),
        (0.0, "0"),
        (41_960, "41,960"),
        (0.51184, "0.5118"),
        (1234.567, "1,234.6"),
        (0.00012, "1.2e-4"),
        (3.6e-12, "3.6e-12"),
        (1.5e10, "15,000,000,000"),
        (1.5e20, "1.5e20"),
        (math.nan, "NaN"),
        (math.inf, "∞"),
        (-math.inf, "-∞"),
    ],
)
def test_numbers(value, shown):
    """Numbers have four significant digits, and what is unknown is not zero."""
    assert number(value) == shown


@given(st.floats(-1e300, 1e300))
def test_numbers_are_true_to_four_digits(value):
    """A shown number is the number, to four significant digits."""
    shown = float(number(value).replace(",", ""))
    assert shown == pytest.approx(value, rel=5e-4, abs=0)


@pytest.mark.parametrize(
    ("spec", "value", "shown"),
    [
        (MetricSpec(unit="%"), 0.1125, "11.25%"),
        (MetricSpec(unit="%", scale=100.0), 11.25, "11.25%"),
        (MetricSpec(unit="s"), 1.72, "1.72 s"),
        (MetricSpec(), 0.5, "0.5"),
        (MetricSpec(unit="%"), math.nan, "NaN"),
    ],
)
def test_measures(spec, value, shown):
    """A value is shown with its unit, a percentage from either scale."""
    assert measure(metric_facts("m", [], spec), value) == shown


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0.0625, "%", "+6.25 pp"),
        (-0.0031, "%", "-0.31 pp"),
        (-7440.0, "steps", "-7,440 steps"),
        (0.0, None, "+0"),
        (None, "%", "—"),
    ],
)
def test_margins(value, unit, shown):
    """A margin carries its sign and its unit; percentages differ by points."""
    verdict = Verdict(state=State.MET, final=True, why="", margin=value, unit=unit)
    assert margin(verdict) == shown


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([4.0], "first value"),
        ([4.0, 2.0], "down from 4 at step 0"),
        ([2.0, 4.0], "up from 2 at step 0"),
        ([2.0, 2.0], "as at step 0"),
        ([8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0], "down from 8 at step 0, still falling"),
        ([8.0, 4.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0], "down from 8 at step 0, flat lately"),
        ([8.0, 4.0, 2.0, 1.0, 1.0, 1.0, 3.0, 4.0], "down from 8 at step 0, rising lately"),
        ([1.0, math.nan], "not finite"),
        ([math.nan, 1.0], "first value was not finite"),
    ],
)
def test_trends(values, words):
    """A trend says where a metric came from and where it has been heading lately."""
    assert trend(metric_facts("m", list(enumerate(values)))) == words


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (None, "unknown"),
        (0, "0 B"),
        (1023, "1,023 B"),
        (377_487_360, "360.0 MiB"),
        (2**50, "1024.0 TiB"),
    ],
)
def test_sizes(count, shown):
    """Sizes are in the unit that reads best."""
    assert size(count) == shown


def test_settings_are_flat():
    """Nested settings become dotted names in their own order, nothing is left blank."""
    settings = {"b": {"x": 1, "y": {"z": 1e-4}}, "a": None, "e": "", "t": True, "d": {}, "l": []}
    assert flat(settings) == [
        ("b.x", "1"),
        ("b.y.z", "0.0001"),
        ("a", "none"),
        ("e", "empty"),
        ("t", "true"),
        ("d", "empty"),
        ("l", "empty"),
    ]


@given(TEXT)
def test_foreign_text_fits_a_cell(text):
    """Escaped text is one line, opens no tag and splits no cell."""
    for shown in (literal(text), inline(text), code(text)):
        assert "\n" not in shown
        assert "\x1b" not in shown
        assert "|" not in re.sub(r"\\.", "", shown), "GitHub's table reads a backslash first"
    assert not re.search(r"<[A-Za-z/!?]", literal(text))


@given(TEXT)
def test_literal_text_has_no_markup(text):
    """In literal text every sign that Markdown would act on is escaped."""
    bare = re.sub(r"\\.", "", literal(text))
    assert not re.search(r"[`*_\[\]~]", bare)


@given(st.text(max_size=60).filter(str.strip))
def test_code_spans_hold_their_text(text):
    """A code span is closed by its own fence and by nothing inside."""
    span = code(text)
    if not span:
        return
    fence = re.match(r"`+", span)[0]
    assert span.endswith(fence)
    assert fence not in re.findall(r"`+", span[len(fence) : -len(fence)])


def test_inline_keeps_a_persons_markdown():
    """Code and emphasis of a criterion stay as written, a tag outside of code does not."""
    text = "`eval/acc` > 0.5 **best** <b>x</b> `a<b>` a | b <!-- exp: x -->"
    assert inline(text) == (
        "`eval/acc` > 0.5 **best** &lt;b>x&lt;/b> `a<b>` a \\| b &lt;!-- exp: x -->"
    )


def test_fences_hold_fences():
    """A log that holds a fence is put into a longer one."""
    assert fenced("a\n```\nb") == "````text\na\n```\nb\n````"


def test_links_are_relative_and_encoded():
    """A link leads from the page's folder to the file, spaces and letters encoded."""
    assert (
        link("experiments/a b/report.md", "tickets/T-0001-ü.md") == "../../tickets/T-0001-%C3%BC.md"
    )
    assert link("report.md", "tickets/T-0001.md") == "tickets/T-0001.md"


def test_notes_without_markers():
    """A page without markers, or none at all, has no notes."""
    assert notes_of(b"") == ""
    assert notes_of(b"# Mine\n\n<!-- exp:notes --> in a line\n") == ""


def test_notes_that_lost_their_end():
    """Notes without their closing line are an error, never a guess that loses words."""
    with pytest.raises(InvalidFileError, match="closing line") as caught:
        notes_of(b"# R\n<!-- exp:notes -->\nmy words\n")
    assert "<!-- /exp:notes -->" in caught.value.hint


def test_notes_may_speak_of_markers():
    """A closing marker within a line, or an earlier one, does not cut the notes short."""
    words = "say <!-- /exp:notes --> here\n<!-- /exp:notes -->\nmore\n"
    page = (
        f"log: \n<!-- exp:notes -->\nold\n\n<!-- exp:notes -->\n{words}<!-- /exp:notes -->\nend\n"
    )
    assert notes_of(page.encode()) == words
