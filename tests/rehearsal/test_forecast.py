"""Step 9: what a few minutes say of the long run, and what they do not."""

from dataclasses import replace

import pytest
from rehearsal.facts import BEGAN, GIB, PLAN, memory, saved, span, stage

from orchestrator.domain.rehearsal import Forecast, StepState
from orchestrator.rehearsal.forecast import check_report, forecast_of
from orchestrator.rehearsal.measures import interval_for


def paced(*seconds):
    """Steps with these durations, one after the other."""
    times = [BEGAN]
    for each in seconds:
        times.append(times[-1] + each)
    return tuple(enumerate(times, start=1))


def test_speed_leaves_out_the_warm_up_and_what_is_no_training():
    """The first third of the steps does not count, nor does an evaluation between two steps."""
    control = stage(
        pace=paced(30.0, 10.0, 2.0, 22.0, 2.0, 2.0),
        phases=(replace(span("eval", 3), began=BEGAN + 43.0, seconds=20.0),),
    )
    assert forecast_of(control, [control], PLAN).speed == pytest.approx((0.5, 0.5))


def test_an_evaluation_within_another_phase_is_taken_away_once():
    """Nested phases are one stretch of time."""
    inner = replace(span("checkpoint", 3), began=BEGAN + 4.0, seconds=3.0)
    outer = replace(span("eval", 3), began=BEGAN + 3.0, seconds=6.0)
    control = stage(pace=paced(2.0, 8.0, 2.0), phases=(outer, inner))
    assert forecast_of(control, [control], PLAN).speed == pytest.approx((0.5, 0.5))


def test_the_length_holds_training_evaluations_and_checkpoints():
    """10,000 steps of a second, 10 evaluations between 2 and 20 s each, 10 savings of 3 s."""
    control = stage(
        phases=(span("eval", 6, 2.0),), subset=(32, 320), saved=(saved(3, size=GIB, took=3.0),)
    )
    plan = replace(PLAN, gpus=2, cost=1.5)
    forecast = forecast_of(control, [control], plan)
    assert forecast.eta == pytest.approx((10_050, 10_230))
    assert forecast.gpu_hours == pytest.approx((10_050 / 1800, 10_230 / 1800))
    assert forecast.cost == pytest.approx((10_050 / 1200, 10_230 / 1200))
    assert forecast.eval_seconds == pytest.approx(20.0)
    assert forecast.eval_share == pytest.approx(20 / 1020)
    assert forecast.eval_every == 100  # 4 times 20 s of training are 80 steps
    assert (forecast.disk, forecast.checkpoint_seconds) == (3 * GIB, 3.0)
    assert forecast.hang == {"train": 120.0, "eval": 120.0, "checkpoint": 120.0, "start": 120.0}
    step = check_report(forecast, plan)
    assert (step.number, step.state) == (9, StepState.PASSED)
    assert step.why.startswith("the run takes 2 h 47 min to 2 h 50 min, 5.58 to 5.68 GPU-hours")


def test_hang_times_follow_the_longest_that_was_seen():
    """Five times the slowest step, however early it was, and the evaluation as a whole."""
    control = stage(
        pace=paced(60.0, 1.0, 1.0, 1.0), phases=(span("eval", 99, 1.0),), subset=(32, 3200)
    )
    hang = forecast_of(control, [control], PLAN).hang
    assert (hang["train"], hang["eval"]) == (300.0, 500.0)


def test_headroom_is_that_of_the_largest_peak_of_any_stage():
    """The host is shared by all ranks, a GPU is not; peaks name the largest rank."""
    control = stage(
        memory=(
            memory("train", 10 * GIB, rank=0),
            memory("train", 12 * GIB, rank=1),
            memory("train", 3 * GIB, device="host", total=64 * GIB, rank=0),
            memory("train", 4 * GIB, device="host", total=64 * GIB, rank=1),
        )
    )
    other = stage("evaluate", memory=(memory("train", 30 * GIB),))
    forecast = forecast_of(control, [control, other], replace(PLAN, memory=8 * GIB))
    assert forecast.headroom == {"cuda:0": 50 * GIB, "host": GIB}
    assert {(each.device, each.rank) for each in forecast.peaks} == {("cuda:0", 0), ("host", 1)}


def test_what_was_not_measured_is_said_and_is_no_zero():
    """Nothing but a loss: every number is None, with a way to make it known."""
    control = stage(
        phases=(), saved=(saved(3, took=None),), memory=(), subset=None, pace=((1, BEGAN),)
    )
    plan = replace(PLAN, gpus=1, planned_steps=None, keep=None)
    forecast = forecast_of(control, [control], plan)
    assert (forecast.speed, forecast.eta, forecast.eval_share) == (None, None, None)
    assert (forecast.disk, forecast.gpu_hours, forecast.cost) == (None, None, None)
    topics = {line.split(":")[0] for line in forecast.unknown}
    assert topics == {
        "speed",
        "length",
        "time of validation",
        "wait for data",
        "memory of GPUs",
        "time of saving",
        "disk",
        "costs",
    }
    assert check_report(forecast, plan).details == forecast.unknown
    assert check_report(Forecast(), plan).why == "how long the run takes cannot be told"


@pytest.mark.parametrize(
    ("evaluation", "step", "every"), [(1.0, 1.0, 5), (2.0, 1.0, 10), (0.001, 1.0, 1), (9, 0.1, 500)]
)
def test_the_proposed_interval_is_a_round_number_that_suffices(evaluation, step, every):
    """Evaluation is at most a fifth of the time, and the next smaller round number would not do."""
    assert interval_for(evaluation, step) == every
    assert evaluation / (evaluation + every * step) <= 0.2
