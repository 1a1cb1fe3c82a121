"""Words of a ticket: keys that survive notes, ids in prose, states in any case."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.tickets import is_criterion, known_phase, known_status, parse, split_note
from orchestrator.tickets.words import box_keys, ids_in, is_empty

CLAIMS = ["pass@1 > 5%", "Checkpoints saved", "Fast inference (<150ms on CPU)", "`a - b` < 1"]


@pytest.mark.parametrize(
    ("text", "claim", "note"),
    [
        ("Evaluation runs - pass@1=11.25% at 80%", "Evaluation runs", "pass@1=11.25% at 80%"),
        ("pass@1 > 5% is learning (achieved 11.25%)", "pass@1 > 5% is learning", "achieved 11.25%"),
        ("loss < 0.5 (currently 0.7) ✅", "loss < 0.5", "currently 0.7 ✅"),
        ("500 steps (5% of all) - 480 (stopped)", "500 steps (5% of all)", "480 (stopped)"),
        ("Fast inference (<150ms on CPU)", "Fast inference (<150ms on CPU)", ""),
        ("Eval - pass@1 > 5%", "Eval - pass@1 > 5%", ""),
        ("`train - eval` < 0.1 — 0.05", "`train - eval` < 0.1", "0.05"),
        ("gap (train - eval) < 0.1", "gap (train - eval) < 0.1", ""),
        ("x <!-- exp: a > 1 --> - 2", "x <!-- exp: a > 1 -->", "2"),
        ("x - 2 <!-- exp: a > 1 -->", "x <!-- exp: a > 1 -->", "2"),
        ("well-known data-set", "well-known data-set", ""),
        ("(done)", "(done)", ""),
        ("- x", "- x", ""),
        ("✅", "✅", ""),
        ("", "", ""),
    ],
)  # fmt: skip
def test_notes(text, claim, note):
    """Results that people append are told from the claim, tests in parentheses are not."""
    assert split_note(text) == (claim, note)


@given(st.text())
def test_claim_has_no_note(text):
    """A claim split once is split no further, whatever the text."""
    claim, _ = split_note(text)
    assert split_note(claim) == (claim, "")


@given(
    st.permutations(CLAIMS),
    st.lists(
        st.sampled_from(["", " - 7%", " (achieved 3)", " ✅", "  ", " <!-- exp: x > 1 -->"]),
        min_size=4,
    ),
)
def test_keys_survive_notes_and_order(claims, notes):
    """A note, a mark, a predicate or another order of the lines leaves each key as it was."""
    keys = box_keys([claim + note for claim, note in zip(claims, notes, strict=False)])
    assert keys == [claim.strip() for claim in claims]


@given(st.lists(st.sampled_from(["a", "a #2", "a - 1", "a - 2", "a (got 3)", "b", ""])))
def test_keys_are_unique(texts):
    """No two boxes of a ticket share a key, however their texts repeat."""
    assert len(set(box_keys(texts))) == len(texts)


def test_lines_that_look_alike_keep_their_whole_text():
    """Two lines that differ in their notes only are never mistaken for each other."""
    texts = ["eval - a", "eval - b", "other"]
    assert box_keys(texts) == texts
    assert box_keys(texts[::-1]) == texts[::-1]


def test_equal_lines_are_counted():
    """Equal lines are told apart by their occurrence."""
    assert box_keys(["a", "b", "a", "a"]) == ["a", "b", "a #2", "a #3"]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("T-3, t-12; T-0003", ("T-0003", "T-0012")),
        ("[T-0007](T-0007-slug.md)", ("T-0007",)),
        ("T-10000", ("T-10000",)),
        ("XT-1 T-1a AT-2 T- T-x", ()),
        ("T-1234567890", ()),
    ],
)
def test_ids(text, ids):
    """Ids are found in prose and links, each once, in order."""
    assert ids_in(text) == ids


def test_states():
    """Statuses and phases are known in any case, Backlog.md's words by their meaning."""
    assert [known_status(word) for word in ("done", " To Do ", "In progress", "later", "")] == [
        "DONE", "READY", "ONGOING", None, None,
    ]  # fmt: skip
    assert known_phase("testing_red") == "TESTING_RED"
    assert known_phase("COMPLETED") is None
    assert [is_empty(text) for text in ("—", " - ", "None", "[]", "x")] == [True] * 4 + [False]


def test_to_do_lists_are_no_criteria(sudoku):
    """Boxes under Approach or Implementation Notes are plans, boxes elsewhere are criteria."""
    boxes = parse(sudoku + b"\n## Approach\n- [ ] plan\n", "tickets/T-0042.md").ticket.checkboxes
    assert [is_criterion(box) for box in boxes] == [True] * 8 + [False]
