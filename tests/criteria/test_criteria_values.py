"""Numbers, operators and margins."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.criteria.values import (
    comparison,
    margin_of,
    read_number,
    read_operator,
    shown,
    shown_margin,
    write_number,
)

_FINITE = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("text", "value"),
    [("52,000", 52_000), ("0.62", 0.62), (".5", 0.5), ("45k", 45_000), ("1.5M", 1_500_000),
     ("2B", 2e9), ("1e-4", 0.0001), ("1,234,567.5", 1_234_567.5)],
)  # fmt: skip
def test_numbers_are_read_as_people_write_them(text, value):
    """Thousands, suffixes and exponents give the number that they mean."""
    assert read_number(text) == value


@pytest.mark.parametrize(
    ("text", "value"), [("5", 0.05), ("0.5", 0.005), ("77.6", 0.776), ("29", 0.29), ("110", 1.1)]
)
def test_percentages_are_exact_fractions(text, value):
    """A percentage is the float nearest to its hundredth, not a rounded quotient."""
    assert read_number(text, percent=True) == value


@pytest.mark.parametrize("text", ["1e999", "1e999999999", "9" * 400 + "k", "abc", "", "--1"])
def test_what_is_no_finite_number_is_refused(text):
    """Overflow and other text raise ValueError at once."""
    with pytest.raises(ValueError, match=r"float|number"):
        read_number(text)


@given(_FINITE.map(abs), st.booleans())
def test_numbers_survive_their_text(value, percent):
    """Every non-negative float is read back from its text, as a number and as a percentage."""
    unit = "%" if percent else None
    assert read_number(write_number(value, unit).rstrip("%"), percent=percent) == value


@pytest.mark.parametrize(
    ("words", "symbol"),
    [("at least", ">="), ("at most", "<="), ("Below", "<"), ("exceeds", ">"), ("up to", "<="),
     ("more than", ">"), ("no more than", "<="), ("not less than", ">="), ("fewer than", "<"),
     ("no lower than", ">="), ("not higher than", "<="), ("≥", ">="), ("=", "==")],
)  # fmt: skip
def test_words_are_operators(words, symbol):
    """Each wording has one direction; a negation turns it."""
    assert read_operator(words) == symbol


_OPERATORS = st.sampled_from([">", ">=", "<", "<=", "==", "~=", "between"])


@given(_OPERATORS, _FINITE, _FINITE, _FINITE)
def test_margin_and_test_agree(op, value, bound, other):
    """A positive margin is met, a negative one is not."""
    met = comparison(op, bound, other, 0.05)(value)
    margin = margin_of(op, value, bound, other, 0.05)
    if margin > 0:
        assert met
    if margin < 0:
        assert not met


@given(st.sampled_from([">", ">=", "<", "<=", "==", "!=", "~=", "between"]), _FINITE)
def test_nan_meets_nothing(op, bound):
    """No comparison holds for NaN, not even `!=`."""
    assert not comparison(op, bound, bound, 0.05)(math.nan)


def test_unknown_operator_is_an_error():
    """An operator that is none is refused rather than taken for true."""
    with pytest.raises(ValueError, match="unknown operator"):
        comparison("<>", 1.0, None, 0.0)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(0.1125, "%", "11.25%"), (41_444.0, None, "41,444"), (2.5, "GB", "2.5 GB"),
     (math.nan, "%", "NaN"), (-math.inf, None, "-∞"), (0.07, "%", "7%"), (-0.0, None, "0")],
)  # fmt: skip
def test_values_are_shown_in_their_unit(value, unit, text):
    """A value is shown as people write it, without float noise."""
    assert shown(value, unit) == text


def test_margins_of_percentages_are_points():
    """The distance of two percentages is in percentage points, with its sign."""
    assert shown_margin(0.0625, "%") == "+6.25 pp"
    assert shown_margin(-0.0412, "%") == "-4.12 pp"
    assert shown_margin(-2.0, "ms") == "-2 ms"
