"""`define_metric`: steps of a metric's own, and what the summary keeps."""

import json
import math

import pytest

from orchestrator import track


def steps_of(home, name):
    """(step, value) of a metric's points."""
    points = [(point["step"], point["metrics"]) for point in home.points()]
    return [(step, metrics[name]) for step, metrics in points if name in metrics]


def test_a_metric_that_counts_steps_gives_the_step(home):
    """Metrics bound to `global_step` are written at its value; others at the run's own step."""
    run = track.init()
    run.define_metric("train/*", step_metric="train/global_step")
    run.define_metric("eval/*", "train/global_step")
    run.log({"train/loss": 3.0, "train/global_step": 100, "lr": 0.1})
    run.log({"eval/loss": 2.5})
    run.log({"train/loss": 2.0, "train/global_step": 200.0, "lr": 0.2})
    assert steps_of(home, "train/loss") == [(100, 3.0), (200, 2.0)]
    assert steps_of(home, "train/global_step") == [(100, 100), (200, 200.0)]
    assert steps_of(home, "eval/loss") == [(100, 2.5)]
    assert steps_of(home, "lr") == [(0, 0.1), (2, 0.2)]


def test_an_epoch_is_no_step(home):
    """A step is an optimizer update: metrics counted by epoch stay at theirs, and say by what."""
    run = track.init()
    run.define_metric("val/acc", step_metric="epoch")
    run.log({"val/acc": 0.5, "epoch": 1}, step=1000)
    assert steps_of(home, "val/acc") == [(1000, 0.5)]
    assert home.events("metric")[0]["data"] == {"name": "val/acc", "step_metric": "epoch"}


def test_what_is_not_finite_is_no_extreme(home):
    """NaN and Infinity count as first and last, never as smallest, largest or mean."""
    run = track.init()
    run.define_metric("loss", summary="min,max,mean,last")
    for value in (2.0, math.inf, 4.0, math.nan):
        run.log({"loss": value})
    kept = run.summary["loss"]
    assert (kept["min"], kept["max"], kept["mean"]) == (2.0, 4.0, 3.0)
    assert math.isnan(kept["last"])


def test_a_counter_that_is_no_whole_number_is_not_followed(home):
    """Until the counter has a whole value, points stand at the run's step; nothing is lost."""
    run = track.init()
    run.define_metric("*", step_metric="step")
    for counter in (math.nan, 0.5, "two", None, 7):
        run.log({"loss": 1.0, "step": counter})
    assert [step for step, _ in steps_of(home, "loss")] == [0, 1, 2, 3, 7]


@pytest.mark.parametrize(
    ("summary", "goal", "expected"),
    [
        ("min", None, {"min": 1.0}),
        ("max", None, {"max": 5.0}),
        ("min,max", None, {"min": 1.0, "max": 5.0}),
        ("first, last", None, {"first": 3.0, "last": 2.0}),
        ("mean", None, {"mean": 2.75}),
        ("best", "maximize", {"best": 5.0}),
        ("best", "min", {"best": 1.0}),
        ("best", None, {"best": 2.0}),
    ],
)
def test_summaries_follow_the_definition(home, summary, goal, expected):
    """run.summary[name] holds what was asked for while it runs; one event says so at the end."""
    run = track.init()
    run.define_metric("lo*", summary=summary, goal=goal)
    for value in (3.0, 1, 5.0, 2.0):
        run.log({"loss": value, "other": value})
    assert run.summary["loss"] == expected
    assert home.events("summary") == []
    run.finish()
    assert [event["data"] for event in home.events("summary")] == [{"loss": expected}]
    assert [len(point["metrics"]) for point in home.points()][:4] == [2] * 4


def test_summary_none_and_strange_words_keep_nothing(home):
    """`none`, `copy` and words that nobody knows leave the summary alone."""
    run = track.init()
    run.define_metric("a", summary="none")
    run.define_metric("b", summary="copy,average")
    run.log({"a": 1, "b": 2})
    run.finish()
    assert home.events("summary") == []


def test_goals_are_told_in_one_way(home):
    """wandb's `minimize` is the same goal as `min`."""
    run = track.init()
    run.define_metric("loss", goal="minimize", unit="nats")
    run.define_metric("acc", goal="max", hidden=True)
    assert [event["data"] for event in home.events("metric")] == [
        {"name": "loss", "goal": "min", "unit": "nats"},
        {"name": "acc", "goal": "max", "hidden": True},
    ]


def test_values_that_are_no_numbers_pass_a_defined_metric(home):
    """Strings, huge numbers and numpy values reach the record as without a definition."""
    numpy = pytest.importorskip("numpy")
    run = track.init()
    run.define_metric("*", summary="max")
    run.log({"a": numpy.float32(1.5), "b": 10**400, "c": "words", "d": {"e": True}})
    assert home.points()[0]["metrics"] == {"a": 1.5, "b": "Infinity", "d/e": 1}
    assert home.events("text")[0]["data"] == {"c": "words"}
    run.finish()
    assert home.events("summary")[0]["data"]["a"] == {"max": 1.5}
    assert json.dumps(home.lines())
