"""The objective: weights over the steps, means that no division of the elements changes."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.objective import (
    added,
    check_counts,
    check_sum,
    combine,
    not_finite,
    read_weights,
)

KNOWN = ("ce", "kd", "feature")


def test_a_weight_is_straight_between_its_knots():
    """Constant before the first and after the last knot, a line between."""
    weights = read_weights({"kd": [[10, 0.0], [20, 1.0], [40, 0.5]], "ce": 0.3}, KNOWN)
    at = {step: weights.at(step)["kd"] for step in (0, 10, 15, 20, 30, 40, 1000)}
    assert at == {0: 0, 10: 0, 15: 0.5, 20: 1, 30: 0.75, 40: 0.5, 1000: 0.5}
    assert {weights.at(step)["ce"] for step in (0, 7, 99)} == {0.3}


def test_terms_keep_the_order_of_the_known_ones_and_zeros_are_left_out():
    """A term of weight 0 throughout is not computed; one that is 0 at first is."""
    weights = read_weights({"feature": [[0, 0], [5, 1]], "kd": 0, "ce": 1}, KNOWN)
    assert weights.terms == ("ce", "feature")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"kl": 1}, "no term 'kl'; there are ce, kd, feature"),
        ({}, "nothing to minimize"),
        ({"ce": 0}, "nothing to minimize"),
        ({"ce": "much"}, r"weights\.ce='much': a number, or a list"),
        ({"ce": -1}, "at least 0"),
        ({"ce": math.nan}, "at least 0"),
        ({"ce": [[5, 1], [5, 2]]}, "rising steps"),
        ({"ce": []}, "rising steps"),
        ({"ce": [1, 2]}, "a number, or a list"),
        ({"ce": [[0.5, 1]]}, "a number, or a list"),
        ({"ce": [[math.inf, 1]]}, "a number, or a list"),
    ],
)
def test_weights_that_mean_nothing_are_refused(table, said):
    """Unknown terms, negative or missing numbers, steps that go back."""
    with pytest.raises(ValueError, match=said):
        read_weights(table, KNOWN)


@given(st.lists(st.floats(-3, 3), min_size=2, max_size=12), st.data())
def test_the_objective_of_parts_adds_up_to_that_of_the_whole(values, data):
    """However the elements are cut: total, gradient and each term."""
    cut = data.draw(st.integers(1, len(values) - 1))
    weights = {"square": 0.7, "plain": 0.2}

    def objective(some, scale):
        x = torch.tensor(some, dtype=torch.float64) * scale
        counts = {"square": float(len(values)), "plain": 2.0 * len(values)}
        return combine({"square": (x**2).sum(), "plain": x.sum()}, counts, weights)

    def gradient(cuts):
        scale = torch.ones((), dtype=torch.float64, requires_grad=True)
        parts = [objective(some, scale) for some in cuts]
        for part in parts:
            part.total.backward()
        sums = added({"total": part.total, **part.raw} for part in parts)
        return [float(scale.grad), *(value.item() for value in sums.values())]

    assert gradient([values[:cut], values[cut:]]) == pytest.approx(gradient([values]), abs=1e-9)


def test_the_weighted_terms_are_the_total():
    """Raw mean times weight, and nothing beside."""
    totals = {"ce": torch.tensor(6.0), "kd": torch.tensor(8.0)}
    found = combine(totals, {"ce": 3.0, "kd": 2.0}, {"ce": 0.5, "kd": 0.25})
    assert {name: float(value) for name, value in found.raw.items()} == {"ce": 2.0, "kd": 4.0}
    assert float(found.total) == 2.0
    check_sum({name: float(value) for name, value in found.weighted.items()}, 2.0)


def test_a_loss_with_an_unlogged_part_is_refused():
    """The seeds' log: 14.85 + 41.22 + 0.47 shown of 95.86; the other 39.32 stood nowhere."""
    shown = {"kd": 14.85, "feature": 41.22, "attention": 0.47}
    with pytest.raises(ValueError, match=r"kd 14\.85.* add up to 56\.54, not to 95\.86"):
        check_sum(shown, 95.86)


def test_a_term_without_elements_is_named():
    """Its mean would be 0 / 0."""
    check_counts({"ce": 1.0}, "batch")
    with pytest.raises(ValueError, match="batch of step 3: no valid element for the term 'kd'"):
        check_counts({"ce": 5.0, "kd": 0.0}, "batch of step 3")


def test_terms_that_are_not_finite_are_named():
    """Each by its name, in order."""
    assert not_finite({"a": 1.0, "b": math.inf, "c": math.nan, "d": -math.inf}) == ["b", "c", "d"]
