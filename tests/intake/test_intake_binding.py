"""Which series a criterion means when the same metric is logged, printed and written to files."""

from itertools import permutations

import pytest

from orchestrator.criteria import Judge
from orchestrator.criteria.judging.binding import bind, spec_of, target_of
from orchestrator.criteria.predicates.expression import Name
from orchestrator.domain.criterion import Criterion, Decidable, Kind, Reading, State
from orchestrator.domain.facts import RunFacts
from orchestrator.domain.point import Point, Position
from orchestrator.domain.run import MetricSpec, Outcome
from orchestrator.domain.series import furthest, plain_name, surest
from orchestrator.watch.bindings import freeze


def bound(phrase, names, metrics=None):
    return bind(target_of(Name(text=phrase), metrics or {}), names)


def criterion(predicate):
    reading = Reading(kind=Kind.THRESHOLD, decidable=Decidable.YES, predicate=predicate)
    return Criterion(key="k", text=predicate, section="A", required=True, reading=reading)


def verdict(predicate, values):
    """The verdict on values by series at the end of a run."""
    judge = Judge([criterion(predicate)], {})
    for series, value in values:
        at = Position(attempt=1, segment=0, step=1, time=1.0, source="attempt-1/out.log", line=1)
        judge.observe_point(Point(metric=series, value=value, at=at))
    facts = RunFacts(
        run="R-000001", ended=True, outcome=Outcome.COMPLETED, exit=None, attempts=1,
        planned_steps=None,
    )  # fmt: skip
    (found,) = judge.verdicts(facts)
    return found.state


@pytest.mark.parametrize(
    ("phrase", "names", "series"),
    [
        ("loss", ["log/loss"], "log/loss"),
        ("loss", ["log/loss", "loss"], "loss"),
        ("loss", ["log/loss", "train/loss"], "train/loss"),
        ("loss", ["log/loss", "csv/loss", "tensorboard/loss"], "tensorboard/loss"),
        ("Train loss", ["log/train_loss", "log/val_loss"], "log/train_loss"),
        ("eval/loss", ["tensorboard/eval/loss", "log/eval_loss"], "tensorboard/eval/loss"),
        ("log/loss", ["log/loss", "loss"], "log/loss"),
        ("pass@1", ["jsonl/eval/pass@1", "eval/acc"], "jsonl/eval/pass@1"),
        ("loss", ["csv/train/loss", "csv/eval/loss"], None),
    ],
)
def test_what_was_logged_comes_before_what_was_read(phrase, names, series):
    """Names bind as ever; series read out of files count where no logged one matches."""
    for order in permutations(names):
        assert bound(phrase, order).series == series


def test_a_series_that_was_read_is_never_settled():
    """The program may still log the metric itself, so nothing read out of a file is for good."""
    assert bound("loss", ["loss"]).settled
    assert not bound("loss", ["log/loss"]).settled
    assert "read out of the log" in bound("loss", ["log/loss"]).how


def test_a_declared_metric_is_found_where_it_was_only_written_to_files():
    """A declared key stands for the same name in TensorBoard's files while it is not logged."""
    metrics = {"pass@1": MetricSpec(key="eval/pass@1", goal="max")}
    assert bound("pass@1", [], metrics).settled
    found = bound("pass@1", ["tensorboard/eval/pass@1", "log/eval/pass@1"], metrics)
    assert (found.series, found.settled) == ("tensorboard/eval/pass@1", False)
    both = bound("pass@1", ["tensorboard/eval/pass@1", "eval/pass@1"], metrics)
    assert (both.series, both.settled) == ("eval/pass@1", True)
    assert spec_of("tensorboard/eval/pass@1", metrics) is metrics["pass@1"]


def test_nothing_that_was_read_is_frozen_with_the_criteria():
    """The next run may log what the last one only printed: only logged names are bound early."""
    (frozen,) = freeze([criterion("loss < 1")], {}, ["log/loss"])
    assert frozen.bindings == {}
    (frozen,) = freeze([criterion("loss < 1")], {}, ["log/loss", "loss"])
    assert frozen.bindings == {"loss": "loss"}


@pytest.mark.parametrize(
    ("predicate", "values", "state"),
    [
        ("loss < 1", [("log/loss", 0.5)], State.MET),
        ("loss < 1", [("log/loss", 0.5), ("loss", 2.0)], State.FAILED),
        ("each `*loss*` < 1", [("log/train_loss", 1.0), ("train/loss", 0.99)], State.MET),
        ("each `*loss*` < 1", [("log/train_loss", 0.5), ("log/val_loss", 2.0)], State.FAILED),
        ("each eval/* < 1", [("tensorboard/eval/a", 0.5)], State.MET),
        ("no nan", [("loss", 0.5), ("log/loss", float("nan"))], State.FAILED),
    ],
)
def test_printed_values_do_not_spoil_logged_ones(predicate, values, state):
    """Rounded copies in the log neither meet nor fail a criterion that logged points decide."""
    assert verdict(predicate, values) is state


def test_origins_are_told_apart_by_their_prefix():
    """The name without its origin, and the surest of several."""
    assert plain_name("tensorboard/train/loss") == "train/loss"
    assert plain_name("train/loss") == "train/loss"
    assert surest(["log/a", "csv/b", "csv/c"]) == ["csv/b", "csv/c"]
    assert surest([]) == []
    assert furthest({"log/loss": 9, "loss": 3}) == 3
    assert furthest({"log/loss": 9}) == 9
    assert furthest({}) is None
