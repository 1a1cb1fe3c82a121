"""The canonical language of predicates."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.criteria import parse_predicate, predicate_text
from orchestrator.domain.criterion import Clause, Subject
from orchestrator.errors import InvalidFileError

_NAMES = st.text(
    st.characters(blacklist_characters="`\n", blacklist_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]),
    min_size=1,
    max_size=12,
)
_NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=64).map(abs)


@st.composite
def _comparisons(draw):
    op = draw(st.sampled_from([">", ">=", "<", "<=", "==", "!=", "~="]))
    anchored = draw(st.booleans())
    return Clause(
        subject=Subject.METRIC,
        metric=draw(_NAMES),
        op=op,
        value=draw(_NUMBERS),
        unit=draw(st.sampled_from([None, "it/s", "ms", "dB", "GB"])),
        tolerance=draw(st.sampled_from([0.05, 0.1, 0.015])) if op == "~=" else None,
        aggregate="any" if anchored else draw(st.sampled_from(["latest", "best", "final", "all"])),
        anchor=f"by step {draw(st.integers(0, 10**9))}" if anchored else None,
        qualifier=draw(st.none() | _NAMES),
    )


@given(st.lists(_comparisons(), min_size=1, max_size=3))
def test_clauses_survive_their_text(clauses):
    """Any comparison of any series name is read back from its canonical text unchanged."""
    assert parse_predicate(predicate_text(clauses)) == tuple(clauses)


@pytest.mark.parametrize(
    "text",
    [
        "eval/acc > 50% best",
        "eval/acc in 0.4..0.6 all",
        "eval/acc in 40%..60%",
        "step >= 1500",
        "step ~= 52000 within 10%",
        "checkpoints exist",
        "checkpoints >= 3",
        "file `a b/*.pt` exists",
        "event alert absent",
        "event eval exists",
        "no nan",
        "no inf in `*loss*`",
        "no oom and no crash and no error",
        "resources released",
        "pass@1 on `evaluation` exists",
        "x > 5 ms and s < 3 and k > 1",
        "`odd name: 3` < -2.5e-7 by step 10",
    ],
)
def test_text_survives_its_clauses(text):
    """Canonical text is a fixed point of parse and print."""
    assert predicate_text(parse_predicate(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "loss", "loss <", "loss < 2 3", "loss <> 2", "import os", "loss < 2 best by step 5",
     "loss < 1e999", "__import__('os')", "loss < 2 within 5%", "a" * 2000],
)  # fmt: skip
def test_what_is_no_predicate_is_refused(text):
    """Text outside the language is an InvalidFileError, never code and never another error."""
    with pytest.raises(InvalidFileError):
        parse_predicate(text)
