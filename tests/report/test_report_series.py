import math
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.domain.criterion import Clause, Criterion, Kind, Reading, Subject
from orchestrator.domain.progress import pace
from orchestrator.domain.run import MetricSpec
from orchestrator.report import Sample, metric_facts
from orchestrator.report.series import higher_is_better, targets_of, thin_out, with_gaps

VALUES = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.sampled_from([math.nan, math.inf]),
)
HISTORIES = st.lists(st.tuples(st.integers(0, 1000), VALUES), max_size=300)


def asked(**clause):
    reading = Reading(kind=Kind.THRESHOLD, clauses=(Clause(**clause),))
    return Criterion(key="k", text="t", section="s", required=True, reading=reading)


@given(HISTORIES, st.integers(2, 60))
@example(tuple((step, float(step % 4)) for step in range(7)), 3)
def test_thinning_is_bounded_and_keeps_extremes(history, limit):
    """At most `limit` finite points remain, lowest and highest among them, none invented."""
    thin = thin_out(history, limit)
    finite = [value for _, value in history if math.isfinite(value)]
    kept = [value for _, value in thin if math.isfinite(value)]
    assert len(kept) <= limit
    assert not finite or (min(kept), max(kept)) == (min(finite), max(finite))
    assert set(kept) <= set(finite)


@given(HISTORIES)
def test_thinning_keeps_every_gap_visible(history):
    """Where a value was not finite or steps went back there is a gap, and only there."""
    gaps = sum(math.isnan(value) for _, value in with_gaps(history))
    back = sum(after[0] < before[0] for before, after in pairwise(history))
    assert gaps == back + sum(not math.isfinite(value) for _, value in history)
    assert any(math.isnan(v) for _, v in thin_out(history, 40)) == (gaps > 0)


def test_short_histories_are_kept_whole():
    """A history that fits is not touched."""
    history = tuple((step, float(step % 3)) for step in range(400))
    assert thin_out(history, 400) == history


@pytest.mark.parametrize(
    ("name", "goal", "higher"),
    [
        ("train/loss", None, False),
        ("val_loss", None, False),
        ("eval/perplexity", None, False),
        ("eval/pass@1", None, True),
        ("pixel_accuracy", None, True),
        ("val_acc", None, True),
        ("lr", None, None),
        ("lossless_ratio", None, None),
        ("train/loss", "max", True),
        ("anything", "minimize", False),
        ("anything", "lower", False),
    ],
)
def test_which_way_is_good(name, goal, higher):
    """The declaration decides, then the known names, and otherwise nobody knows."""
    assert higher_is_better(name, MetricSpec(goal=goal)) is higher


def test_summary_of_a_metric():
    """First, latest and best are points of the history, the earliest of equal bests."""
    metric = metric_facts("eval/acc", [(1, 0.2), (2, 0.9), (3, math.nan), (4, 0.9), (5, 0.5)])
    assert metric.first == Sample(step=1, value=0.2)
    assert metric.latest == Sample(step=5, value=0.5)
    assert metric.best == Sample(step=2, value=0.9)
    assert (metric.points, metric.non_finite, metric.evaluation) == (5, 1, True)


def test_summary_of_nothing():
    """A metric without points has no first, latest or best, and no zero in their place."""
    metric = metric_facts("train/loss", [])
    assert (metric.first, metric.latest, metric.best, metric.points) == (None, None, None, 0)
    assert not metric.evaluation


def test_no_best_without_a_direction():
    """Without a known direction there is no best value."""
    assert metric_facts("lr", [(1, 1.0), (2, 2.0)]).best is None


@pytest.mark.parametrize(
    ("spec", "value"), [(MetricSpec(), 0.05), (MetricSpec(scale=100.0, unit="%"), 5.0)]
)
def test_percent_targets_in_the_scale_of_the_log(spec, value):
    """A target in percent is moved to the scale in which the metric is logged."""
    criterion = asked(subject=Subject.METRIC, metric="pass@1", op=">", value=0.05, unit="%")
    (target,) = targets_of("eval/pass@1", {"eval/pass@1": spec}, [criterion, criterion])
    assert (target.value, target.label, target.percent) == (value, "> 5%", True)


def test_targets_are_found_by_the_words_of_the_ticket():
    """A series is asked for as people write it: in words, capitals, with its last part alone."""
    criterion = asked(subject=Subject.METRIC, metric="Test accuracy", op=">", value=0.9)
    names = ["log/test_accuracy", "test-accuracy", "accuracy", "log/test_accuracy_top5"]
    found = [name for name in names if targets_of(name, {}, [criterion])]
    assert found == ["log/test_accuracy", "test-accuracy"]


def test_a_declared_word_asks_for_its_series_alone():
    """Baselines that end like a declared metric have no target; a word of its own finds its key."""
    metrics = {
        "pass@1": MetricSpec(key="eval/pass@1"),
        "lead": MetricSpec(key="a/above_b", aliases=("head start",)),
    }
    names = ["eval/pass@1", "eval/baseline/constant/pass@1", "a/above_b", "b/lead"]
    for said, meant in (("pass@1", "eval/pass@1"), ("Head start", "a/above_b")):
        criterion = asked(subject=Subject.METRIC, metric=said, op=">", value=0.05)
        assert [name for name in names if targets_of(name, metrics, [criterion])] == [meant]


def test_targets_name_range_unit_and_aggregate():
    """The label tells range, unit, and which value is meant if not the latest."""
    between = asked(
        subject=Subject.METRIC, metric="t", op="between", value=1.0, value2=2.5, unit="s"
    )
    best = asked(subject=Subject.METRIC, metric="t", op="<", value=9.0, aggregate="best")
    latest = asked(subject=Subject.METRIC, metric="t", op="<", value=8.0, aggregate="latest")
    labels = [target.label for target in targets_of("t", {}, [between, best, latest])]
    assert labels == ["1-2.5 s", "< 9 (best)", "< 8"]


@pytest.mark.parametrize(
    "clause",
    [
        {"subject": Subject.METRIC, "metric": "other", "op": ">", "value": 1.0},
        {"subject": Subject.METRIC, "metric": None, "op": ">", "value": 1.0},
        {"subject": Subject.METRIC, "metric": "loss", "op": "exists"},
        {"subject": Subject.STEP, "metric": "loss", "op": ">", "value": 1.0},
    ],
)
def test_other_claims_are_no_targets(clause):
    """Claims on other metrics, other subjects, or on mere existence are no target."""
    assert targets_of("train/loss", {}, [asked(**clause)]) == ()


def test_pace_of_a_steady_run():
    """A steady run has its speed and a time left that agrees with it."""
    measured = pace([(step, 100.0 + step / 2.0) for step in range(0, 1000, 5)], 1995)
    assert measured.speed == pytest.approx(2.0)
    assert measured.eta == pytest.approx((500.0, 500.0))
    assert (measured.step, measured.planned) == (995, 1995)


def test_pace_counts_pauses():
    """Evaluations between the steps widen the range of the time left."""
    times, now = [], 0.0
    for step in range(1000):
        now += 31.0 if step % 100 == 99 else 1.0
        times.append((step, now))
    measured = pace(times, 2000)
    assert measured.speed is not None
    assert measured.eta is not None
    assert measured.speed < 1.0
    assert measured.eta[0] < measured.eta[1]


def test_pace_looks_at_the_present_attempt():
    """After a restart only the steps since then count for the speed."""
    old = [(step, step * 100.0) for step in range(500)]
    new = [(400 + step, 60_000.0 + step) for step in range(100)]
    measured = pace(old + new, 1000)
    assert measured.speed == pytest.approx(1.0, rel=0.05)
    assert measured.step == 499


@pytest.mark.parametrize("times", [[], [(1, 5.0)], [(1, 5.0), (2, 5.0)], [(3, 1.0)] * 50])
def test_pace_is_unknown_without_evidence(times):
    """Too few points, or no time between them, leave speed and time left unknown."""
    measured = pace(times, 100)
    assert measured.speed is None
    assert measured.eta is None


def test_pace_of_a_stalled_run():
    """A run whose steps do not grow has no speed and no end in sight."""
    measured = pace([(7, float(second)) for second in range(100)], 100)
    assert measured.speed is None
    assert measured.eta is None


def test_pace_of_a_finished_run():
    """A run that has reached its plan has no time left to tell."""
    assert pace([(step, float(step)) for step in range(101)], 100).eta is None


def test_ranks_that_log_the_same_steps_apart_have_one_pace():
    """Four processes, each a little behind the other, are as fast as one."""
    ranks = [0.0, 0.3, 2.7, 1.1]
    points = sorted((step, 2.0 * step + late) for step in range(1, 400) for late in ranks)
    measured = pace(points, 800)
    assert measured.speed == pytest.approx(0.5, rel=0.01)
    assert measured.eta == pytest.approx((802, 802), rel=0.02)
    sampled = pace(points[::3], 800)
    assert sampled.speed == pytest.approx(0.5, rel=0.05)
