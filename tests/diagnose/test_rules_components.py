"""Terms of a loss: their shares, and what they leave unexplained."""

import pytest
from diagnose.cases import case, curve, found

from orchestrator.diagnose.rules import components

HALVES = {"weights": {"ce": 0.5, "kd": 0.5}}


def terms(total, params=HALVES, prefix="train", **values):
    """A loss with its terms; three points each."""
    curves = [curve(f"{prefix}/loss", [total] * 3)]
    curves += [curve(f"{prefix}/{name}".replace("__", "/"), [v] * 3) for name, v in values.items()]
    return case(curves=curves, params=params)


def rules(one):
    return [*components.component_imbalance(one), *components.unnamed_residual(one)]


@pytest.mark.parametrize(
    "healthy",
    [
        terms(2.0, ce=2.2, kd=1.8),  # raw: 0.5 × 2.2 + 0.5 × 1.8
        terms(2.0, ce=1.1, kd=0.9),  # weighted already
        terms(2.0, raw__ce=2.2, raw__kd=1.8),
        terms(2.0, raw__ce=2.2, raw__kd=1.8, weighted__ce=1.1, weighted__kd=0.9, share__ce=0.55),
        terms(2.0, ce=1.1),  # kd has a weight and is not logged: nothing adds up
        terms(2.0, {}, ce=0.3, kd=0.1),  # no weights are declared
        terms(2.0, {"weights": {"ce": 1.0}}, weighted__ce=1.5, weighted__hidden=0.5),
        terms(-2.0, ce=-2.2, kd=0.2),  # of a policy: no share of anything
        terms(float("nan"), ce=1.0, kd=1.0),
        terms(2.0, ce=1.06, kd=0.9),  # 2% of rounding
    ],
)
def test_terms_that_add_up_are_no_finding(healthy):
    """Raw or weighted, in any group; unknown weights and signs say nothing."""
    assert found(rules(healthy)) == []


def test_a_share_far_from_its_weight_is_told_with_all_terms():
    """0.9 × 0.1 of 9.1 is 1% where 90% is declared."""
    one = terms(9.1, {"weights": {"ce": 0.9, "feature": 0.1}}, ce=0.1, feature=90.1)
    (finding,) = rules(one)
    assert finding.key == "component-imbalance:train/loss"
    assert finding.title == "ce is 1.0% of train/loss, declared 90%"
    assert "feature 9.01 ÷ 9.1 = 99.0% where 10% is declared (9.9 ×)" in finding.arithmetic


def test_imbalance_needs_the_factor_of_the_spec():
    """A share of 80% where 50% is declared is within 3 times, and not within 1.5."""
    assert found(rules(terms(2.0, ce=3.2, kd=0.8))) == []
    one = terms(2.0, ce=3.2, kd=0.8)
    strict = case(curves=one.curves.values(), params=HALVES, thresholds={"component": 1.5})
    assert found(rules(strict)) == ["component-imbalance:train/loss"]


def test_a_rest_that_is_in_no_term_is_told():
    """Only where every term that has a weight is logged."""
    (finding,) = rules(terms(4.0, ce=1.1, kd=0.9))
    assert finding.id == "unnamed-residual"
    assert finding.arithmetic == "4 - 1.1 ce - 0.9 kd = 2.0, 50% of the loss (limit 5%)"


def test_one_odd_step_is_no_finding():
    """All of the newest steps must show it."""
    one = case(
        curves=[
            curve("train/loss", [2.0, 4.0, 2.0]),
            curve("train/ce", [1.1] * 3),
            curve("train/kd", [0.9] * 3),
        ],
        params=HALVES,
    )
    assert found(rules(one)) == []


@pytest.mark.parametrize(
    ("total", "params", "keys"),
    [
        (3265, {"weights": {"task": 1, "feature": 0.5}, "classes": 10}, 1),
        (2.9, {"weights": {"task": 1, "feature": 0.5}, "classes": 10}, 0),
        (3265, {"weights": {"task": 1, "feature": 0.5}}, 0),
        (3265, {"weights": {"task": 1}, "classes": 10}, 0),
        (3265, {"weights": {"a": 1, "b": 0.5}, "classes": 10}, 0),
    ],
)
def test_a_task_that_cannot_matter_is_told_without_its_curve(total, params, keys):
    """ln 10 is the most that guessing among ten classes costs."""
    assert len(rules(terms(total, params))) == keys
