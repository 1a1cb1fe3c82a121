"""What counts: the newest segment where steps were logged again, and the ranks that are named."""

import math
import statistics
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.criteria import Judge
from orchestrator.domain.criterion import State
from orchestrator.domain.point import Point, Position

RANK = "attempt-1/events-node-a-{}-77.jsonl"


def _effective(points):
    """By the definition: nothing that a newer segment of the series began at or before."""
    segments = {(point.at.attempt, point.at.segment) for point in points}
    begin = {
        segment: min(p.at.step for p in points if (p.at.attempt, p.at.segment) == segment)
        for segment in segments
    }
    kept = [
        p
        for p in points
        if not any(
            segment > (p.at.attempt, p.at.segment) and first <= p.at.step
            for segment, first in begin.items()
        )
    ]
    return sorted(kept, key=lambda p: p.at)


_SEGMENTS = st.lists(
    st.tuples(st.integers(0, 20), st.lists(st.floats(-9, 9), min_size=1, max_size=8)),
    min_size=1,
    max_size=5,
)


def _points(segments):
    made = []
    for number, (first, values) in enumerate(segments):
        for place, value in enumerate(values):
            at = Position(
                attempt=1 + number // 2,
                segment=number % 2,
                step=first + place,
                time=float(len(made)),
                source=f"attempt-{1 + number // 2}/events-h-0-1.jsonl",
                line=len(made) + 1,
            )
            made.append(Point(metric="loss", value=value, at=at))
    return made


def _exact_mean(values):
    return float(sum(map(Fraction, values)) / len(values))


def _longest_run(values):
    longest = run = 0
    for value in values:
        run = run + 1 if value < 1 else 0
        longest = max(longest, run)
    return longest


REFERENCE = {
    "loss < 1": lambda values: values[-1],
    "loss < 1 first": lambda values: values[0],
    "loss < 1 best": min,
    "min(loss) < 1": min,
    "loss < 1 max": max,
    "loss < 1 mean": _exact_mean,
    "count(loss) < 1": len,
    "mean(loss, last 4 points) < 1": lambda values: _exact_mean(values[-4:]),
    "p50(loss, last 5 points) < 1": lambda values: sorted(values[-5:])[(len(values[-5:]) - 1) // 2],
}


@given(segments=_SEGMENTS, chance=st.randoms(use_true_random=False))
def test_values_are_those_of_the_effective_points(segments, chance, criterion, facts):
    """Each aggregate equals the one computed from the definition, however points arrive."""
    points = _points(segments)
    values = [point.value for point in _effective(points)]
    chance.shuffle(points)
    judge = Judge([criterion(predicate) for predicate in REFERENCE], {})
    for place, point in enumerate(points):
        judge.observe_point(point)
        if place % 5 == 0:
            judge.verdicts(facts())
    verdicts = judge.verdicts(facts(ended=True))
    for (predicate, expected), verdict in zip(REFERENCE.items(), verdicts, strict=True):
        assert verdict.value == expected(values), predicate


@given(
    segments=_SEGMENTS,
    bound=st.one_of(st.floats(-9, 9), st.integers(0, 30)),
    percent=st.sampled_from([1, 50, 90, 95, 99]),
    op=st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
)
def test_percentiles_are_decided_exactly(segments, bound, percent, op, criterion, facts):
    """The nearest-rank percentile decides, and the value that is shown is within 0.1% of it."""
    points = _points(segments)
    values = sorted(point.value for point in _effective(points))
    if isinstance(bound, int):
        bound = values[bound % len(values)]
    exact = values[max(1, math.ceil(Fraction(percent, 100) * len(values))) - 1]
    judge = Judge([criterion(f"p{percent}(loss) {op} {bound:.17f}")], {})
    for point in points:
        judge.observe_point(point)
    (verdict,) = judge.verdicts(facts(ended=True))
    number = float(f"{bound:.17f}")
    holds = {
        "<": exact < number,
        "<=": exact <= number,
        ">": exact > number,
        ">=": exact >= number,
        "==": exact == number,
        "!=": exact != number,
    }
    assert verdict.state is (State.MET if holds[op] else State.FAILED)
    assert verdict.value == pytest.approx(exact, rel=1.001e-3, abs=1e-300)
    assert "≈" in verdict.why


@given(segments=_SEGMENTS, length=st.integers(1, 5))
def test_runs_and_slopes_are_those_of_the_effective_points(segments, length, criterion, facts):
    """`for N consecutive` and `decreasing` agree with the definition."""
    points = _points(segments)
    kept = _effective(points)
    judge = Judge(
        [criterion(f"loss < 1 for {length} consecutive"), criterion("loss decreasing")], {}
    )
    for point in points:
        judge.observe_point(point)
    held, falls = judge.verdicts(facts(ended=True))
    longest = _longest_run([point.value for point in kept])
    assert held.state is (State.MET if longest >= length else State.FAILED)
    if len(kept) < 3:
        assert falls.state is State.NO_DATA
        return
    steps = [point.at.step for point in kept]
    slope = statistics.linear_regression(steps, [point.value for point in kept]).slope
    assert falls.value == pytest.approx(slope, abs=1e-12)


def test_a_resumed_run_is_judged_on_what_it_logged_again(judged, point):
    """Points from the step at which a newer segment began do not count, older ones do."""
    points = [point("acc", step, 0.9, step) for step in (1, 50, 90)]
    again = [point("acc", 50, 0.2, 4, segment=1), point("acc", 60, 0.3, 5, segment=1)]
    assert judged("acc > 0.5 best", points).state is State.MET
    resumed = judged("acc > 0.5 best", [*points, *again], ended=True)
    assert (resumed.state, resumed.evidence.step) == (State.MET, 1)
    assert judged("acc > 0.5 all", [*points, *again]).evidence.step == 50
    assert judged("count(acc) == 3", [*points, *again], ended=True).state is State.MET
    assert judged("max(acc, after step 40) < 0.5", [*points, *again], ended=True).state is State.MET


def test_a_nan_that_was_taken_back_is_told_of(judged, point):
    """`no nan` forgives a NaN before a roll-back, and says how many there were."""
    points = [
        point("loss", 1, 1.0, 1),
        point("loss", 2, math.nan, 2),
        point("loss", 3, math.nan, 3),
    ]
    assert judged("no nan", points).state is State.FAILED
    again = [point("loss", 2, 0.5, 4, attempt=2), point("loss", 3, 0.4, 5, attempt=2)]
    met = judged("no nan", [*points, *again], ended=True)
    assert (met.state, met.evidence.step) == (State.MET, 3)
    assert met.why == "no NaN in any point up to step 3; 2 superseded points were"
    from_the_start = [point("loss", 0, 0.5, 4, attempt=2)]
    assert "2 superseded points were" in judged("no nan", [*points, *from_the_start]).why


def test_the_same_step_again_replaces_the_value(judged, point):
    """A summary that is logged at step 0 over and over has one effective point."""
    points = [point("acc", 0, 0.1 * n, n + 1, segment=n) for n in range(5)]
    verdict = judged("count(acc) == 1 and acc > 0.35 all", points, ended=True)
    assert (verdict.state, verdict.evidence.line) == (State.MET, 5)


def test_rank_zero_counts_unless_another_is_named(judged, point):
    """Points of other ranks do not count by default; a file of another form is of rank 0."""
    points = [
        point("loss", 1, 1.0, 1, source=RANK.format(0)),
        point("loss", 2, 9.0, 1, source=RANK.format(3)),
        point("loss", 3, 5.0, 1, source="attempt-1/console.jsonl"),
    ]
    for predicate, value in {
        "loss < 2": 5.0,
        "max(loss) < 2": 5.0,
        "loss < 2 on rank 3": 9.0,
        "max(loss) < 2 on all ranks": 9.0,
    }.items():
        assert judged(predicate, points, ended=True).value == value, predicate
    missing = judged("loss < 2 on rank 7", points, ended=True)
    assert missing.state is State.NO_DATA
    assert missing.why == "the run ended without a point of loss on rank 7"


def test_nan_on_another_rank_is_found_where_it_is_asked_for(judged, point):
    """`no nan` looks at rank 0; `on all ranks` at every file."""
    points = [
        point("loss", 1, 1.0, 1, source=RANK.format(0)),
        point("loss", 1, math.nan, 1, source=RANK.format(1)),
    ]
    assert judged("no nan", points, ended=True).state is State.MET
    assert judged("no nan in `*loss*` on all ranks", points).state is State.FAILED


def test_ranks_that_lag_behind_cost_no_second_look(criterion, point, facts):
    """Files of several ranks are read one after the other without folding anew."""
    predicates = [
        "mean(loss) < 2 on all ranks",
        "loss < 2 p95 on all ranks",
        "loss < 9 on all ranks",
        "mean(loss, last 4 points) < 2 on all ranks",
    ]

    def never(metric):
        raise AssertionError(f"{metric} was asked for again")

    judge = Judge([criterion(predicate) for predicate in predicates], {}, history=never)
    for look in range(5):
        for rank in (0, 1):
            for step in range(10 * look, 10 * look + 10):
                source = RANK.format(rank)
                judge.observe_point(point("loss", step, rank, step + 1, source=source))
            judge.verdicts(facts())
    mean, *_, last = judge.verdicts(facts())
    assert (mean.value, last.value) == (0.5, 0.5)
