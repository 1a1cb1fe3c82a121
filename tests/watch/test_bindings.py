"""Names in predicates: which series they mean, and which numbers of other runs."""

import pytest

from orchestrator.criteria import parse_predicate, predicate_text, read
from orchestrator.criteria.predicates.expression import Name
from orchestrator.domain.criterion import Criterion, Decidable, Kind, Reading
from orchestrator.domain.run import MetricSpec
from orchestrator.watch.bindings import (
    baselines_in,
    bound_names,
    freeze,
    names_in,
    renamed,
    tree_of,
)
from orchestrator.watch.judging import steps_per


def reading(predicate, decidable=Decidable.YES):
    return Reading(kind=Kind.THRESHOLD, decidable=decidable, predicate=predicate)


@pytest.mark.parametrize(
    ("predicate", "names"),
    [
        ("a > 1 and b < c", ["a", "b", "c"]),
        ("eval/loss / train/loss < 2", ["eval/loss", "train/loss"]),
        ("a > 1 or not a < 0.5 all", ["a"]),
        ("loss decreasing and acc exists", ["loss", "acc"]),
        ("a in b..c", ["a", "b", "c"]),
        ("each eval/* > 1 and no nan in `*loss*` and step > 3", []),
        ("loss < 2 on rank 3", ["loss"]),
    ],
)
def test_every_name_of_one_series_is_found_once(predicate, names):
    """Names on all sides of all tests; families and globs are no single series."""
    assert [name.text for name in names_in(parse_predicate(predicate))] == names


def test_baselines_of_families_and_products_are_found():
    """A baseline counts wherever it stands, each once."""
    tree = parse_predicate("a > 1.05 * R-000012:a and a > R-000012:a and each b/* > previous:b")
    assert [baseline.key for baseline in baselines_in(tree)] == ["R-000012:a", "previous:b"]


def test_exact_keys_take_the_place_of_names_and_of_nothing_else():
    """Aggregates, windows, families and words that only look alike stay."""
    tree = parse_predicate(
        "acc on validation > 0.5 best and acc > 1 and each acc/* > 2 and loss < acc"
    )
    series = {"acc on validation": "eval/acc", "loss": "train/loss"}
    assert predicate_text(renamed(tree, series)) == (
        "eval/acc > 0.5 best and acc > 1 and each acc/* > 2 and train/loss < acc"
    )


def test_a_name_is_bound_by_declaration_key_or_words():
    """Declared first, then the exact key, then the only one with the words; else suggestions."""
    metrics = {"score": MetricSpec(key="eval/score")}
    bound = bound_names(
        reading("score > 1 and eval/loss < 2 and accuracy > 1 and `train error` < 1"),
        metrics,
        ["eval/loss", "eval/acc", "a/error", "b/error"],
    )
    assert [one.series for one in bound] == ["eval/score", "eval/loss", "eval/acc", None]
    assert bound[0].how == "declared in the spec"
    assert set(bound[3].near) == {"a/error", "b/error"}


def test_what_was_frozen_stays():
    """A series that appears later cannot take the place of the one that was bound at the start."""
    line = Criterion(key="k", text="k", section="", required=True, reading=reading("acc > 1"))
    (frozen,) = freeze([line], {}, ["eval/acc"])
    assert frozen.bindings == {"acc": "eval/acc"}
    (bound,) = bound_names(frozen.reading, {}, ["acc"], frozen.bindings)
    assert (bound.series, bound.how) == ("eval/acc", "fixed at the start")


def test_what_is_not_decidable_binds_nothing():
    """A question has no series; a text that is no predicate any more has no tree."""
    assert bound_names(reading("acc > 1", Decidable.ASK), {}, ["acc"]) == ()
    assert tree_of("acc > > 1") is None
    assert bound_names(reading("acc > > 1"), {}, ["acc"]) == ()
    assert Name(text="a") in names_in(parse_predicate("a > 1"))


def test_parameters_say_how_many_steps_an_epoch_has():
    """Only whole words and positive numbers count."""
    params = {"steps_per_epoch": 500, "steps_per_episode": 2.5, "steps_per_iteration": True, "x": 1}
    assert steps_per(params) == {"epoch": 500.0, "episode": 2.5}
    assert steps_per({"steps_per_epoch": 0, "steps_per_iteration": "7"}) == {}


@pytest.mark.parametrize(
    ("line", "declared", "decidable"),
    [
        ("Train/eval gap < 2x", "Train/eval gap", Decidable.YES),
        ("Train/eval gap < 2x", "another gap", Decidable.DECLARE),
        ("KL raw growing (>0.015)", "KL raw", Decidable.DECLARE),
        ("FID improvement ≥ 30%", "FID", Decidable.DECLARE),
    ],
)
def test_a_declared_metric_is_all_that_a_derived_one_lacked(line, declared, decidable):
    """The declaration makes the reading whole; what lacks more stays a question."""
    claim = Criterion(key=line, text=line, section="", required=True, reading=read(line))
    metrics = {declared: MetricSpec(expr="eval/loss / train/loss")}
    (frozen,) = freeze([claim], metrics, ())
    assert frozen.reading.decidable is decidable
