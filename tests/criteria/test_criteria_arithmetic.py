"""Two series, baselines, derived metrics, counts of a total: values against values."""

import math

import pytest

from orchestrator.domain.criterion import State
from orchestrator.domain.run import MetricSpec

R12 = {"baselines": {"R-000012:eval/acc": 0.5, "previous:eval/acc": 0.8}}


def _state(verdict):
    return verdict.state, verdict.final


def test_two_series_are_compared_at_their_latest(judged, point):
    """Evidence is the newest operand's point; all operands are shown; final only at the end."""
    points = [point("eval/loss", 100, 2.0, 7), point("train/loss", 120, 1.5, 9)]
    unmet = judged("eval/loss < train/loss", points)
    assert _state(unmet) == (State.PENDING, False)
    assert unmet.margin == pytest.approx(-0.5)
    assert (unmet.evidence.step, unmet.evidence.line) == (120, 9)
    assert "eval/loss 2 at step 100; train/loss 1.5 at step 120" in unmet.why
    assert _state(judged("eval/loss > train/loss", points)) == (State.MET, False)
    assert _state(judged("eval/loss > train/loss", points, ended=True)) == (State.MET, True)


def test_every_operand_needs_a_value(judged, point):
    """Without a point of one operand there is nothing to compare."""
    points = [point("eval/loss", 100, 2.0)]
    assert judged("eval/loss < train/loss", points).state is State.PENDING
    assert _state(judged("eval/loss < train/loss", points, ended=True)) == (State.NO_DATA, True)


def test_settled_operands_make_a_final_verdict(judged, point):
    """Values at a step that both series are past cannot change any more."""
    points = [point(name, step, step / 10) for name in ("a/x", "b/x") for step in (10, 30)]
    verdict = judged("latest(a/x, at step 20) == latest(b/x, at step 20)", points)
    assert (*_state(verdict), verdict.value) == (State.MET, True, 1.0)


def test_arithmetic_follows_the_usual_order(judged, point):
    """`a + b * 2 - c / 4` is what it is on paper, with the margin in the same unit."""
    points = [point("a", 1, 1.0), point("b", 1, 2.0), point("c", 1, 8.0)]
    verdict = judged("a + b * 2 - c / 4 <= 3.5", points, ended=True)
    assert (verdict.state, verdict.value, verdict.margin) == (State.MET, 3.0, 0.5)


@pytest.mark.parametrize(("bottom", "word"), [(0.0, "divides by zero"), (math.nan, "is NaN")])
def test_a_quotient_without_a_value_fails_with_the_reason(judged, point, bottom, word):
    """Division by zero and NaN meet nothing; while the run lives the verdict waits."""
    points = [point("a", 1, 1.0), point("b", 1, bottom)]
    for predicate in ("a / b < 2", "a / b != 2", "2 * a > a / b"):
        failed = judged(predicate, points, ended=True)
        assert (failed.state, failed.margin) == (State.FAILED, None), predicate
        assert word in failed.why
        assert judged(predicate, points).state is State.PENDING


def test_a_baseline_is_a_frozen_number(judged, point):
    """`1.05 * R-000012:eval/acc` compares with what that run had measured."""
    points = [point("eval/acc", 5, 0.6)]
    met = judged("eval/acc >= 1.05 * R-000012:eval/acc", points, setting=R12, ended=True)
    assert met.state is State.MET
    assert met.margin == pytest.approx(0.075)
    assert "R-000012:eval/acc 0.5" in met.why
    failed = judged("eval/acc > previous:eval/acc", points, setting=R12, ended=True)
    assert failed.margin == pytest.approx(-0.2)


def test_an_unknown_baseline_is_a_question(judged, point):
    """A run that never logged the series cannot be compared with."""
    verdict = judged("eval/acc > R-000099:eval/acc", [point("eval/acc", 5, 0.6)], setting=R12)
    assert verdict.state is State.MANUAL
    assert verdict.why.startswith("R-000099 has no value of eval/acc")


def test_a_derived_metric_is_its_expression(judged, point):
    """A metric declared by `expr` is computed from the latest values of its series."""
    metrics = {
        "gap": MetricSpec(expr="eval/loss / train/loss"),
        "excess": MetricSpec(expr="gap - 1"),
        "loop": MetricSpec(expr="loop + 1"),
        "broken": MetricSpec(expr="eval/loss +"),
    }
    points = [point("eval/loss", 2, 3.0), point("train/loss", 1, 2.0)]
    assert judged("gap < 1.6", points, metrics=metrics, ended=True).value == 1.5
    assert judged("excess < 0.6", points, metrics=metrics, ended=True).value == 0.5
    for predicate in ("gap < 1.6 best", "gap < 1.6 all", "gap < 1.6 by step 9", "gap decreasing"):
        verdict = judged(predicate, points, metrics=metrics)
        assert verdict.state is State.MANUAL, predicate
        assert "log it as a series of its own" in verdict.why
    assert "derived from itself" in judged("loop < 1", points, metrics=metrics).why
    assert 'metrics."broken"' in judged("broken < 1", points, metrics=metrics).why


def test_scales_are_brought_together(judged, point):
    """A series in percent of 100 and one in fractions are compared as fractions."""
    metrics = {"a": MetricSpec(scale=100), "b": MetricSpec(unit="fraction")}
    points = [point("a", 1, 55.0), point("b", 1, 0.5)]
    assert judged("a > b", points, metrics=metrics, ended=True).margin == pytest.approx(0.05)
    assert judged("a - b > 4%", points, metrics=metrics, ended=True).state is State.MET
    assert judged("a - b > 6%", points, metrics=metrics, ended=True).state is State.FAILED
    both = {"a": MetricSpec(scale=100), "c": MetricSpec(scale=100)}
    raw = [point("a", 1, 55.0), point("c", 1, 50.0)]
    assert judged("a - c > 4", raw, metrics=both, ended=True).state is State.MET


def test_units_that_differ_are_a_question(judged, point):
    """GB and MB are not compared; a percentage asks about a series beyond 0…1."""
    metrics = {"a": MetricSpec(unit="GB"), "b": MetricSpec(unit="MB")}
    points = [point("a", 1, 5.0), point("b", 1, 5.0), point("c", 1, 5.0)]
    for predicate in ("a < b", "a + b < 3", "a - b > 2 GB"):
        verdict = judged(predicate, points, metrics=metrics)
        assert verdict.state is State.MANUAL, predicate
        assert "write one unit" in verdict.why
    assert judged("a / b < 2", points, metrics=metrics, ended=True).state is State.MET
    assert "declare scale = 100" in judged("c - 2 * c < 5%", points).why


def test_a_count_of_a_total_needs_both(judged, point):
    """`> 85 of 172` holds only where the declared total is 172."""
    metrics = {"solved": MetricSpec(total="tasks")}
    points = [point("solved", 1, 90.0), point("tasks", 1, 172.0)]
    met = judged("solved > 85 of 172", points, metrics=metrics, ended=True)
    assert (met.state, met.margin) == (State.MET, 5.0)
    assert judged("solved > 85 of 400", points, metrics=metrics, ended=True).state is State.FAILED
    assert judged("solved > 95 of 172", points, metrics=metrics, ended=True).state is State.FAILED
    asked = judged("solved > 85 of 172", points)
    assert asked.state is State.MANUAL
    assert 'Declare total under [metrics."solved"]' in asked.why


def test_parts_are_joined_by_what_is_so_and_what_is_for_good(judged, point):
    """`or` is met by one part, `and` failed by one, `not` turns what is final round."""
    points = [point("a", 1, 0.5, 1), point("b", 1, 5.0, 2)]
    assert _state(judged("a < 1 or b < 1", points)) == (State.MET, False)
    assert _state(judged("a < 1 best or b < 1", points)) == (State.MET, True)
    assert _state(judged("a > 1 all or b < 1 all", points)) == (State.FAILED, True)
    assert _state(judged("a > 1 all or b < 1", points)) == (State.PENDING, False)
    assert _state(judged("not a > 1 all", points)) == (State.MET, True)
    assert _state(judged("not a < 1 best", points)) == (State.FAILED, True)
    assert _state(judged("not a < 1", points)) == (State.PENDING, False)
    failed = judged("not a < 1", points, ended=True)
    assert (failed.state, failed.margin) == (State.FAILED, -0.5)
    assert judged("a < 1 or x > 1 of 2", points, ended=True).state is State.MET
    assert judged("b < 1 or x > 1", points, ended=True).state is State.NO_DATA


def test_frozen_bindings_outrank_names_that_come_later(criterion, facts, point):
    """What was bound at start stays bound, and is settled."""
    from orchestrator.criteria import Judge

    line = criterion("accuracy > 0.5 best", bindings={"accuracy": "eval/accuracy"})
    judge = Judge([line], {})
    assert judge.wants("eval/accuracy")
    assert not judge.wants("accuracy")
    judge.observe_point(point("eval/accuracy", 1, 0.6))
    judge.observe_point(point("accuracy", 1, 0.1))
    assert _state(judge.verdicts(facts())[0]) == (State.MET, True)
