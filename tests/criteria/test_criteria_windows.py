"""Which points count by their place: by, at, after, between, last; in steps, epochs and time."""

import math

import pytest

from orchestrator.domain.criterion import State


def _state(verdict):
    return verdict.state, verdict.final


def _loss(point, *pairs):
    return [point("loss", step, value, line) for line, (step, value) in enumerate(pairs, 1)]


def test_at_takes_the_last_value_up_to_its_step(judged, point):
    """`at step N` waits for N, is settled by a later point, and by the end of a longer run."""
    early = _loss(point, (100, 3.0), (900, 1.0))
    waits = judged("loss < 2 at step 1000", early)
    assert _state(waits) == (State.PENDING, False)
    assert "waits for step 1000" in waits.why
    there = [*early, point("loss", 1000, 1.5, 3)]
    assert _state(judged("loss < 2 at step 1000", there)) == (State.MET, False)
    late = [*early, point("loss", 1001, 9.0, 3)]
    met = judged("loss < 2 at step 1000", late)
    assert (*_state(met), met.evidence.step) == (State.MET, True, 900)
    assert _state(judged("loss < 0.5 at step 1000", late)) == (State.FAILED, True)
    other = judged("loss < 2 at step 1000", early, ended=True, max_step=2000)
    assert _state(other) == (State.MET, True)


def test_at_a_step_that_the_run_never_reached_is_no_data(judged, point):
    """A run that ended before N has no value at N."""
    verdict = judged("loss < 2 at step 1000", _loss(point, (900, 1.0)), ended=True, max_step=950)
    assert _state(verdict) == (State.NO_DATA, True)
    assert verdict.why == "the run ended at step 950, before step 1000"


def test_all_by_a_step_is_settled_when_the_series_is_past_it(judged, point):
    """`all by step N` is met once a later point came, whatever that is."""
    good = _loss(point, (10, 1.0), (20, 1.5))
    assert _state(judged("loss < 2 all by step 20", good)) == (State.PENDING, False)
    past = [*good, point("loss", 30, 9.0, 3)]
    assert _state(judged("loss < 2 all by step 20", past)) == (State.MET, True)
    assert _state(judged("loss < 1.2 all by step 20", past)) == (State.FAILED, True)


def test_after_a_step_excludes_it_and_a_range_holds_its_ends(judged, point):
    """`after step 10` begins beyond it; `steps 10..20` holds both 10 and 20."""
    points = _loss(point, (10, 7.0), (15, 1.0), (20, 2.0), (25, 9.0))
    assert judged("count(loss, after step 10) == 3", points, ended=True).state is State.MET
    assert judged("count(loss, steps 10..20) == 3", points, ended=True).state is State.MET
    assert judged("max(loss, steps 10..20) < 8", points).final
    empty = judged("loss < 2 after step 99", points, ended=True)
    assert _state(empty) == (State.NO_DATA, True)


def test_last_windows_move_along(judged, point):
    """`last N` is about the newest points or steps only, and never final before the end."""
    points = _loss(point, (1, 9.0), (5, 1.0), (8, 2.0), (10, 3.0))
    for predicate, value in {
        "mean(loss, last 2 points) < 3": 2.5,
        "max(loss, last 5 steps) < 4": 3.0,
        "count(loss, last 5 steps) < 4": 2.0,
        "mean(loss, last 2 s) < 4": 3.0,
    }.items():
        verdict = judged(predicate, points)
        assert (verdict.value, *_state(verdict)) == (value, State.MET, False), predicate
    assert _state(judged("loss < 4 all last 3 points", points, ended=True)) == (State.MET, True)
    assert judged("loss < 2 all last 3 points", points).state is State.PENDING


def test_epochs_are_counted_in_steps_that_someone_declared(judged, point):
    """`by epoch 3` needs to know the steps of an epoch; without it the question is asked."""
    points = _loss(point, (250, 3.0), (310, 1.0))
    asked = judged("loss < 2 by epoch 3", points)
    assert asked.state is State.MANUAL
    assert asked.why == "how many steps is an epoch? Declare params.steps_per_epoch in the spec"
    for steps, state in ((100, State.FAILED), (110, State.MET)):
        known = {"steps_per": {"epoch": steps}}
        assert judged("loss < 2 by epoch 3", points, setting=known).state is state


def test_time_counts_from_the_first_record(judged, point, event):
    """`by 10 s` is about the time since the first record, which may be an event."""
    points = [point("loss", 1, 3.0), point("loss", 12, 1.0, 2)]  # at 1001 and 1012
    assert judged("loss < 2 by 11 s", points).state is State.MET
    assert judged("loss < 2 by 10 s", points).state is State.FAILED
    earlier = event("phase", {"phase": "train", "state": "begin"})  # at 1000
    for records in ([earlier, *points], [*points, earlier]):
        assert judged("loss < 2 by 11 s", records).state is State.FAILED
        assert judged("loss < 2 by 0.2 min", records).state is State.MET


@pytest.mark.parametrize("how", ["mean", "median", "p95", "latest"])
def test_nan_fails_what_it_takes_part_in(judged, point, how):
    """NaN among the points of an aggregate is its value; it meets nothing and has no margin."""
    points = _loss(point, (1, 1.0), (2, math.nan))
    verdict = judged(f"{how}(loss) < 2", points, ended=True)
    assert (verdict.state, verdict.margin) == (State.FAILED, None)
    assert math.isnan(verdict.value)
    assert judged(f"{how}(loss) < 2", points).state is State.PENDING
    assert judged("loss < 2 best", points, ended=True).state is State.MET


def test_nan_beside_an_extreme_fails_what_the_extreme_does_not_prove(judged, point):
    """One value beyond is a witness whatever else was logged; otherwise NaN fails for good."""
    points = _loss(point, (1, 1.0), (2, math.nan))
    assert _state(judged("max(loss) < 2", points)) == (State.FAILED, True)
    assert _state(judged("max(loss) in 0..2", points)) == (State.FAILED, True)
    assert _state(judged("min(loss) < 2", points)) == (State.MET, True)
    assert _state(judged("max(loss) > 2", points)) == (State.PENDING, False)
    assert judged("max(loss) > 2", points, ended=True).state is State.FAILED
    assert judged("max(loss) - loss < 2", points, ended=True).state is State.FAILED


def test_extremes_that_can_only_get_worse_are_final(judged, point):
    """`max < v` fails for good at the first value beyond, and is met for good by nothing."""
    points = _loss(point, (1, 1.0), (2, 5.0))
    assert _state(judged("max(loss) < 4", points)) == (State.FAILED, True)
    assert _state(judged("max(loss) > 4", points)) == (State.MET, True)
    assert _state(judged("max(loss) < 6", points)) == (State.MET, False)
    assert _state(judged("count(loss) >= 2", points)) == (State.MET, True)
    assert _state(judged("min(loss) in 2..3", points)) == (State.FAILED, True)


def test_consecutive_points_must_follow_each_other(judged, point):
    """`for N consecutive` is met for good by the Nth in a row and counts anew after a bad one."""
    broken = _loss(point, (1, 1.0), (2, 1.0), (3, 9.0), (4, 1.0), (5, 1.0))
    pending = judged("loss < 2 for 3 consecutive", broken)
    assert _state(pending) == (State.PENDING, False)
    assert "at most 2 of 3 in a row, now 2" in pending.why
    met = judged(
        "loss < 2 for 3 consecutive", [*broken, point("loss", 6, 1.0), point("loss", 7, 9)]
    )
    assert (*_state(met), met.evidence.step) == (State.MET, True, 6)
    assert judged("loss < 2 for 3 consecutive", broken, ended=True).state is State.FAILED


def test_mean_does_not_depend_on_rounding(judged, point):
    """Sums are exact: 1e308 and tiny values do not lose or overflow anything."""
    values = [1e308, 1e308, 1.0, -1e308, -1e308, 1e-300]
    points = _loss(point, *enumerate(values))
    assert judged("loss > 0 mean", points, ended=True).value == (1.0 + 1e-300) / 6


def test_a_trend_is_the_sign_of_the_line(judged, point):
    """`increasing` and `decreasing` follow the slope of their window; three points at least."""
    points = _loss(point, *((step, 10 - step if step < 6 else step) for step in range(12)))
    assert judged("loss decreasing steps 0..5", points).final
    assert judged("loss decreasing steps 0..5", points).state is State.MET
    rising = judged("loss increasing over last 5 steps", points, ended=True)
    assert (rising.state, rising.value, rising.margin) == (State.MET, 1.0, 1.0)
    assert "rises by 1,000 per 1,000 steps over 5 points" in rising.why
    assert judged("loss increasing", points[:2], ended=True).state is State.NO_DATA
    flat = _loss(point, (1, 2.0), (2, 2.0), (3, 2.0))
    assert judged("loss increasing", flat, ended=True).state is State.FAILED
    odd = [*points, point("loss", 12, math.nan, 13)]
    assert judged("loss increasing over last 5 steps", odd, ended=True).state is State.FAILED


def test_more_points_than_are_kept_are_a_question(judged, point, monkeypatch):
    """A `last …` window that is too large for memory is not guessed from a part of it."""
    monkeypatch.setattr("orchestrator.criteria.judging.folds.MOST_KEPT", 10)
    points = _loss(point, *((step, 1.0) for step in range(30)))
    for predicate in (
        "mean(loss, last 20 steps) < 2",
        "loss < 2 all last 20 steps",
        "loss decreasing over last 20 steps",
    ):
        asked = judged(predicate, points)
        assert asked.state is State.MANUAL, predicate
        assert "name a smaller window" in asked.why
    assert judged("mean(loss, last 10 steps) < 2", points).state is State.MET
