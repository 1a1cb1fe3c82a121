"""A line is taken apart without losing a word."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.criteria.lines.line import compares, take_apart


@pytest.mark.parametrize(
    "line",
    ["- [ ] loss < 2", "* [x] loss < 2", "3. **loss** < 2", "loss < 2 ✅", "**loss < 2**",
     "`loss < 2`", "Target: loss < 2", "| loss | < 2 |", "loss \N{FULLWIDTH LESS-THAN SIGN} 2",
     "loss < 2.", "- [ ] **Loss goal: loss < 2**".replace("Loss goal", "Goal")],
)  # fmt: skip
def test_markup_is_not_part_of_the_claim(line):
    """List markers, boxes, emphasis, ticks, tables and full-width signs fall away."""
    assert take_apart(line).claim == "loss < 2"


@pytest.mark.parametrize(
    ("line", "claim", "inner", "note"),
    [
        ("a > 1 (achieved 3)", "a > 1", None, "achieved 3"),
        ("a > 1 - a=3 at 80%", "a > 1", None, "a=3 at 80%"),
        ("a > 1 — Completed 80% (41 steps)", "a > 1", None, "Completed 80% (41 steps)"),
        ("Fast enough (a < 150)", "Fast enough", "a < 150", None),
        ("Final a (target: >77%)", "Final a", ">77%", None),
        ("a > 1 (currently < 1)", "a > 1", None, "currently < 1"),
        ("a 80 - 90%", "a 80 - 90%", None, None),
        ("`f (1).pt` exists", "`f (1).pt` exists", None, None),
    ],
)
def test_notes_and_parentheses_are_split_off(line, claim, inner, note):
    """Results become notes; a comparison only in parentheses is the test; code is left alone."""
    parts = take_apart(line)
    assert (parts.claim, parts.inner, parts.note) == (claim, inner, note)


def test_every_predicate_is_found():
    """All explicit predicates of a line are kept, and other comments are not."""
    parts = take_apart("x <!-- exp: a > 1 --> <!-- note --> <!-- exp:b < 2-->")
    assert (parts.predicates, parts.claim) == (("a > 1", "b < 2"), "x")


@pytest.mark.parametrize("line", ["❌ loss > 5", "- [ ] Warning: loss > 5", "🔴 loss > 5"])
def test_sign_or_word_of_warning_makes_an_alarm(line):
    """A line that starts with a cross is not silently read as a success."""
    assert take_apart(line).alarm
    assert not take_apart("✅ loss < 5").alarm


@pytest.mark.parametrize(
    ("text", "does"),
    [("a > 1", True), ("at least 5", True), ("~5", True), ("80-90%", True), ("a = 5", True),
     ("`a/b.pt`", False), ("no NaN", False), ("epoch 1-10", False), ("T-0017", False)],
)  # fmt: skip
def test_comparisons_are_recognised(text, does):
    """A comparison is a sign or words with a number; a name with digits is none."""
    assert compares(text) is does


@given(st.text("ab12 ()[]-*`|<>!_.:✅\n", max_size=80))
def test_any_text_can_be_taken_apart(text):
    """No text raises, and no part is longer than the text with its separators."""
    parts = take_apart(text)
    held = [parts.claim, parts.inner or "", *parts.remarks]
    assert all(len(part) <= 3 * len(text) + 3 for part in held)
