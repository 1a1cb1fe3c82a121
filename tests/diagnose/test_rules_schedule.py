"""Schedules against the steps, averages against the length of the run."""

import math

import pytest
from diagnose.cases import case, curve, event, found

from orchestrator.diagnose.rules import schedule

PLAN = {"lr": 1e-3, "warmup_steps": 100, "lr_scheduler_type": "cosine", "min_lr": 0.0}


def rate(position, total=1000, *, peak=1e-3, warmup=100, floor=0.0):
    """The learning rate that the plan has at a position."""
    if position < warmup:
        return peak * position / warmup
    gone = min(1.0, (position - warmup) / (total - warmup))
    return floor + (peak - floor) * (1 + math.cos(math.pi * gone)) / 2


def logged(pace, *, last=1000, every=10, settings=None, planned=1000, total=1000, floor=0.0):
    """A run whose schedule goes `pace` positions a step."""
    steps = range(every, last + 1, every)
    values = [rate(pace * step, total, floor=floor) for step in steps]
    params = {**PLAN, **(settings or {})}
    return case(curves=[curve("train/lr", values, steps=steps)], params=params, planned=planned)


def rules(one):
    return [*schedule.scheduler_accumulation(one), *schedule.schedule_off(one)]


@pytest.mark.parametrize(
    "healthy",
    [
        logged(1),
        logged(1, last=60),
        logged(1, settings={"accumulate": 4}),
        logged(1, settings={"lr_scheduler_type": "cosine_with_restarts"}),
        logged(1, floor=1e-4, settings={"min_lr": 1e-4}),
        logged(1, floor=3e-4, settings={"min_lr": None}),
        logged(1, settings={"lr": 4e-3}, last=300),  # scaled by the batch: a peak of its own
        logged(1 / 4, settings={"accumulate": 4}, last=300, planned=None),  # micro-batches, maybe
        logged(1, every=100),
    ],
)
def test_a_schedule_that_follows_its_plan_is_no_finding(healthy):
    """Nor one whose plan is not known well enough."""
    assert found(rules(healthy)) == []


@pytest.mark.parametrize(("last", "every", "place"), [(75, 25, "peak"), (80, 1, "warm-up")])
def test_a_scheduler_stepped_in_micro_batches_is_ahead_by_the_accumulation(last, every, place):
    """Seen in the warm-up, and where it is over between two points of the log."""
    (finding,) = rules(logged(4, last=last, every=every, settings={"accumulate": 4}))
    assert finding.id == "scheduler-accumulation"
    assert ("is over" in finding.arithmetic) == (place == "peak")
    assert finding.arithmetic.endswith("accumulation 4")


@pytest.mark.parametrize(("kind", "pace"), [("cosine", 4), ("linear", 4), ("cosine", 1)])
def test_a_decay_is_ahead_by_the_accumulation(kind, pace):
    """Told by the points between the peak and the end of the decay, not by those behind it."""
    steps = range(2, 1001, 2)
    straight = [1e-3 * max(0.0, 1 - pace * step / 1000) for step in steps]
    curved = [rate(pace * step, warmup=0) for step in steps]
    params = {**PLAN, "warmup_steps": 0, "lr_scheduler_type": kind, "accumulate": 4}
    values = straight if kind == "linear" else curved
    one = case(curves=[curve("train/lr", values, steps=steps)], params=params, planned=1000)
    assert found(rules(one)) == (["scheduler-accumulation"] if pace == 4 else [])


def test_a_scheduler_sized_in_micro_batches_is_late_by_the_accumulation():
    """Where the program tells how many optimizer steps there are."""
    settings = {"accumulate": 16, "optimizer_steps": 4676, "warmup_steps": 467}
    steps = range(10, 400, 10)
    values = [3e-5 * step / (467 * 16) for step in steps]
    one = case(
        curves=[curve("train/lr", values, steps=steps)],
        params={**PLAN, **settings, "lr": 3e-5},
        planned=4676,
    )
    (finding,) = rules(one)
    assert finding.id == "scheduler-accumulation"
    assert "16 times too slow" in finding.title


def test_steps_that_are_micro_batches_are_divided():
    """74,823 batches of 16 make 4,676 steps: position 124 at batch 1,999 is where it should be."""
    settings = {"accumulate": 16, "optimizer_steps": 4676, "warmup_steps": 467, "lr": 3e-5}
    steps = range(160, 2000, 160)
    for pace, keys in ((1, []), (16, ["scheduler-accumulation"])):
        values = [min(3e-5, 3e-5 * pace * (step / 16) / 467) for step in steps]
        one = case(
            curves=[curve("train/lr", values, steps=steps)],
            params={**PLAN, **settings},
            planned=74823,
        )
        assert found(rules(one)) == keys


@pytest.mark.parametrize(("pace", "word"), [(2, "ahead of"), (0.5, "behind")])
def test_another_drift_is_its_own_finding(pace, word):
    """A schedule at twice or half its pace, without accumulation to explain it."""
    (finding,) = rules(logged(pace, last=400))
    assert finding.id == "schedule-off"
    assert word in finding.title


def test_the_drift_that_is_allowed_is_a_threshold():
    """1.1 times too fast is within 1.2, and not within 1.05."""
    assert found(rules(logged(1.1, last=80))) == []
    strict = case(
        curves=logged(1.1, last=80).curves.values(),
        params=PLAN,
        planned=1000,
        thresholds={"drift": 1.05},
    )
    assert found(rules(strict)) == ["schedule-off"]


def counts(scheduler, optimizer, **settings):
    data = {"state": "counts", "scheduler_steps": scheduler, "optimizer_steps": optimizer}
    events = [event("rehearsal", data, line=7)]
    return case(params={"accumulate": 4, **settings}, events=events, planned=100)


def test_a_rehearsal_counts_the_steps_of_the_scheduler():
    """24 or 25 (one at its construction) for 6 optimizer steps; 7 are as they should be."""
    for told in (24, 25):
        (finding,) = rules(counts(told, 6))
        assert finding.id == "scheduler-accumulation"
        assert f"{told} scheduler steps ÷ 6 optimizer steps" in finding.arithmetic
        assert finding.evidence[0].line == 7
    assert found(rules(counts(7, 6))) == []
    assert found(rules(counts(24, 6, scheduler_steps=400))) == []  # sized for it: 4 × 100


def test_a_size_in_micro_batches_is_no_finding_where_the_rate_shows_otherwise():
    """A scheduler that is sized and stepped in micro-batches follows its plan."""
    one = logged(1, settings={"accumulate": 4, "scheduler_steps": 4000})
    assert found(rules(one)) == []
    blind = case(params={"accumulate": 4, "scheduler_steps": 4000}, planned=1000)
    assert found(rules(blind)) == ["scheduler-accumulation"]


@pytest.mark.parametrize(
    ("decay", "planned", "keys"),
    [
        (0.9999, 4676, ["ema-horizon"]),
        (0.9999, 50_000, []),
        (0.999, 4676, []),
        (0, 4676, []),
        (0.9999, None, []),
    ],
)
def test_an_average_must_be_faster_than_the_run(decay, planned, keys):
    """A tenth of the first weights may be left at the end."""
    assert found(schedule.ema_horizon(case(params={"ema": decay}, planned=planned))) == keys
