"""When a pending bound would be crossed, and the checks that ride along."""

import math
import random

import pytest

from orchestrator.criteria.judging.bound import Bound
from orchestrator.criteria.judging.projection import project, student
from orchestrator.domain.criterion import State
from orchestrator.domain.run import MetricSpec


def _line(point, count=60, start=3.0, slope=-0.001, noise=0.0, seed=1):
    chance = random.Random(seed)
    return [
        point("loss", 10 * n, start + slope * 10 * n + chance.gauss(0, noise), n + 1)
        for n in range(count)
    ]


def test_a_straight_line_crosses_where_it_must(judged, point):
    """3 - 0.001 s reaches 2 at step 1,000, with no doubt about it."""
    verdict = judged("loss < 2", _line(point))
    found = verdict.projection
    assert verdict.state is State.PENDING
    assert found.step == pytest.approx(1000, abs=1)
    assert found.low == pytest.approx(1000, abs=2)
    assert found.high == pytest.approx(1000, abs=2)
    assert found.method == "least squares over the last 50 points, 95%"
    assert "at this trend from step 1,00" in verdict.why


def test_a_deadline_before_the_crossing_is_too_late(judged, point):
    """With `by` and `at` the projection says when the trend is too slow."""
    for anchor in ("by", "at"):
        early = judged(f"loss < 2 {anchor} step 900", _line(point))
        assert early.projection.step == pytest.approx(1000, abs=1)
        assert "too late" in early.why
        assert "too late" not in judged(f"loss < 2 {anchor} step 1100", _line(point)).why


@pytest.mark.parametrize(("slope", "bound"), [(0.001, "< 2"), (0.0, "< 2"), (-0.001, "> 4")])
def test_a_trend_that_leads_away_never_crosses(judged, point, slope, bound):
    """Flat, or the other way: not at this trend."""
    verdict = judged(f"loss {bound}", _line(point, slope=slope))
    assert verdict.projection.step is None
    assert "not at this trend" in verdict.why


def test_few_points_promise_nothing(judged, point):
    """Fewer than eight finite points make no projection; a met or ended criterion has none."""
    points = _line(point, count=8)
    assert judged("loss < 2", points).projection is not None
    assert judged("loss < 2", points[:7]).projection is None
    points[3] = point("loss", 30, math.nan, 4)
    assert judged("loss < 2", points).projection is None
    assert judged("loss < 9", _line(point)).projection is None
    assert judged("loss < 2", _line(point), ended=True).projection is None


def test_only_the_last_fifty_points_count(judged, point):
    """A trend that turned is followed from where it turned."""
    points = [point("loss", n, 9.0 + n, n + 1) for n in range(100)]
    points += [point("loss", 100 + n, 10.0 - 0.1 * n, 101 + n) for n in range(50)]
    assert judged("loss < 2", points).projection.step == pytest.approx(180, abs=1)


def test_the_interval_holds_the_crossing_as_often_as_it_says(point):
    """Of 400 noisy lines about 95% of the intervals hold the true step."""
    held = 0
    for seed in range(400):
        found = project(_line(point, noise=0.05, seed=seed), Bound("<", 2.0))
        held += found.low <= 1000 <= (math.inf if found.high is None else found.high)
    assert 0.92 <= held / 400 <= 0.98


def test_a_slope_that_may_be_nought_leaves_the_interval_open(judged, point):
    """Where the trend is not certain there is no latest step."""
    found = judged("loss < 2", _line(point, slope=-0.0001, noise=0.3)).projection
    assert found.step is None or found.high is None


def test_the_nearer_end_of_a_range_is_what_is_crossed(judged, point):
    """A value above a range reaches its upper end first."""
    verdict = judged("loss in 1..2", _line(point))
    assert verdict.projection.step == pytest.approx(1000, abs=1)
    about = judged("loss ~= 1 within 50%", _line(point))
    assert about.projection.step == pytest.approx(1500, abs=1)


def test_a_constant_on_the_right_may_be_a_baseline(judged, point):
    """A comparison of one series with what another run measured is projected too."""
    known = {"baselines": {"R-000001:loss": 4.0}}
    verdict = judged("loss < 0.5 * R-000001:loss", _line(point), setting=known)
    assert verdict.projection.step == pytest.approx(1000, abs=1)
    assert judged("loss < other", [*_line(point), point("other", 1, 2.0)]).projection is None


@pytest.mark.parametrize(
    ("freedom", "expected"), [(6, 2.4469), (10, 2.2281), (30, 2.0423), (48, 2.0106)]
)
def test_student_is_as_in_the_tables(freedom, expected):
    """The two-sided 95% quantile agrees with printed tables."""
    assert student(freedom) == pytest.approx(expected, rel=2e-3)


def _warnings(judged, predicate, points, **known):
    return judged(predicate, points, **known).companions


def test_an_evaluation_that_never_changes_is_told_of(judged, point):
    """Three equal points or more warn; the state stays what it is."""
    same = [point("eval/acc", step, 0.1, step) for step in range(1, 13)]
    verdict = judged("eval/acc > 0.05", same)
    assert (verdict.state, verdict.companions) == (
        State.MET,
        ("eval/acc has been 0.1 at each of 12 points",),
    )
    assert _warnings(judged, "eval/acc > 0.05", same[:2]) == ()
    assert _warnings(judged, "eval/acc > 0.05", [*same, point("eval/acc", 99, 0.2, 99)]) == ()
    assert _warnings(judged, "eval/acc == 0.1", same) == ()


def test_a_value_no_better_than_chance_is_told_of(judged, point):
    """Against a declared number or series, in the direction that is better."""
    points = [point("eval/acc", 1, 0.1), point("eval/majority", 1, 0.3), point("loss", 1, 0.2)]
    for chance, warned in ((0.1, True), (0.05, False), ("eval/majority", True)):
        metrics = {"eval/acc": MetricSpec(chance=chance)}
        found = _warnings(judged, "eval/acc > 0.01", points, metrics=metrics)
        assert bool(found) is warned, chance
    metrics = {"loss": MetricSpec(chance=0.1)}
    assert _warnings(judged, "loss < 1", points, metrics=metrics) == (
        "loss 0.2 is no better than the 0.1 of chance",
    )


def test_progress_with_a_loss_that_is_not_finite_is_told_of(judged, point):
    """Steps may be reached by a run that has diverged."""
    points = [point("train/loss", 5, math.nan), point("grad_norm", 5, math.nan)]
    verdict = judged("step >= 5", points, max_step=5)
    assert verdict.state is State.MET
    assert verdict.companions == ("train/loss is NaN at step 5, its latest",)
    assert _warnings(judged, "step >= 5", [*points, point("train/loss", 6, 1.0)], max_step=6) == ()
    own = judged("train/loss < 2 best", [point("train/loss", 1, 1.0), *points])
    assert own.companions == ("train/loss is NaN at step 5, its latest",)
