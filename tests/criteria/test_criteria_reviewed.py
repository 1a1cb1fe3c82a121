"""Verdicts that reviews found too generous: each must stay a question or a failure."""

import math

import pytest

from orchestrator.criteria import Judge, decided
from orchestrator.domain.criterion import Criterion, Decidable, Kind, Reading, State
from orchestrator.domain.run import MetricSpec


@pytest.mark.parametrize(
    ("predicate", "value"), [("accuracy > 0.9", 45.0), ("eval/acc > 90", 0.95), ("acc > 5%", 30.0)]
)
def test_a_percentage_on_another_scale_is_asked_about(judged, point, predicate, value):
    """0.9 against an accuracy of 45, or 90 against 0.95, decides nothing until a scale is said."""
    name = predicate.split()[0]
    verdict = judged(predicate, [point(name, 1, value)], ended=True)
    assert verdict.state is State.MANUAL
    assert "declare" in verdict.why


def test_a_name_in_percent_is_no_fraction(judged, point):
    """A series called percent that logs 0.9 may be 0.9 percent."""
    verdict = judged("acc_percent > 5%", [point("acc_percent", 1, 0.9)], ended=True)
    assert verdict.state is State.MANUAL


@pytest.mark.parametrize("predicate", ["not loss > 5", "not (loss > 5 or loss < 2)"])
def test_nan_meets_nothing_nor_its_opposite(judged, point, predicate):
    """Negation does not turn a NaN into a success."""
    assert judged(predicate, [point("loss", 1, math.nan)], ended=True).state is State.FAILED


@pytest.mark.parametrize("predicate", ["loss < 4 all by step 50000", "loss < 4 all steps 0..50000"])
def test_a_window_that_the_run_never_left_is_not_met(judged, point, predicate):
    """A run that died at step 300 says nothing of the steps to 50,000."""
    points = [point("loss", step, 3.0) for step in (100, 300)]
    assert judged(predicate, points, ended=True, max_step=300).state is State.NO_DATA


def test_what_waits_for_an_answer_does_not_decide(point, facts):
    """A question that further points may still answer keeps the ticket undecided."""
    claims = [
        Criterion(
            key=text,
            text=text,
            section="",
            required=True,
            reading=Reading(kind=Kind.THRESHOLD, decidable=Decidable.YES, predicate=text),
        )
        for text in ("accuracy > 0.9", "loss < 9 by step 5")
    ]
    judge = Judge(claims, {"loss": MetricSpec()})
    judge.observe_point(point("eval/accuracy", 1, 45.0))
    judge.observe_point(point("loss", 1, 1.0))
    verdicts = judge.verdicts(facts())
    assert verdicts[1].final
    assert not verdicts[0].final
    assert not decided(claims, verdicts)


def test_no_oom_is_not_proved_by_a_silent_kill(judged, exit_record):
    """SIGKILL is how the kernel frees memory; the log of such a run says nothing."""
    killed = exit_record(None, signal=9)
    verdict = judged("no oom", logs=[("attempt-1/out.log", 1, "")], ended=True, exit=killed)
    assert verdict.state is State.NO_DATA


def test_an_unqualified_name_is_not_the_split_that_is_declared(judged, point):
    """`acc` does not mean train/acc because that one has a goal in the spec."""
    points = [point("train/acc", 1, 0.99), point("eval/acc", 1, 0.7)]
    metrics = {"train/acc": MetricSpec(goal="max")}
    verdict = judged("acc > 0.95", points, metrics=metrics, ended=True)
    assert verdict.state is State.MANUAL
    assert "several series" in verdict.why
