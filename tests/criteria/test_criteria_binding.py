"""Which series a metric's words are bound to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.criteria.judging.binding import bind, spec_of, suggestions, target_of
from orchestrator.criteria.predicates.expression import Name
from orchestrator.domain.run import MetricSpec


def _bound(phrase, names, *, metrics=None, qualifier=None):
    return bind(target_of(Name(text=phrase, scope=qualifier), metrics or {}), names)


@pytest.mark.parametrize(
    ("phrase", "names", "series"),
    [
        ("pass@1", ["eval/pass@1", "eval/pass@2"], "eval/pass@1"),
        ("pass@1", ["eval/pass_at_1"], "eval/pass_at_1"),
        ("pass@1", ["eval/pass@10"], None),
        ("Eval loss", ["eval/loss", "train/loss"], "eval/loss"),
        ("Validation loss", ["val_loss", "train_loss"], "val_loss"),
        ("Training loss", ["train/loss", "eval/loss"], "train/loss"),
        ("Eval loss", ["eval/loss", "val_loss"], None),
        ("loss", ["train/loss"], "train/loss"),
        ("loss", ["train/loss", "eval/loss"], None),
        ("loss", ["loss", "eval/loss"], "loss"),
        ("eval/loss", ["eval/loss", "eval_loss"], "eval/loss"),
        ("Eval accuracy", ["accuracy"], None),
        ("Test accuracy", ["eval/accuracy"], None),
        ("learning rate", ["lr"], "lr"),
        ("accuracy", ["eval/acc"], "eval/acc"),
        ("grid accuracy", ["eval/arc/grid_accuracy"], "eval/arc/grid_accuracy"),
        ("loss", ["eval/loss_scale"], None),
        ("🎯", ["🚀"], None),
        ("🎯", ["🎯"], "🎯"),
    ],
)
def test_words_bind_to_the_only_series_that_they_can_mean(phrase, names, series):
    """A phrase binds to an exact key or to the one series with its words, else to nothing."""
    assert _bound(phrase, names).series == series


def test_declared_key_comes_before_names():
    """A declaration decides even before its series is logged."""
    metrics = {"pass@1": MetricSpec(key="arc/first_try", aliases=("first attempt",))}
    assert _bound("pass@1", ["eval/pass@1"], metrics=metrics).series == "arc/first_try"
    assert _bound("First attempt", [], metrics=metrics).series == "arc/first_try"
    assert _bound("pass@1", [], metrics=metrics).settled


@pytest.mark.parametrize(
    ("qualifier", "names", "series"),
    [
        ("fresh data", ["win_rate"], None),
        ("fresh data", ["win_rate/fresh"], "win_rate/fresh"),
        ("validation", ["win_rate", "val/win_rate"], "val/win_rate"),
        ("held-out test set", ["test/win_rate", "eval/win_rate"], "test/win_rate"),
        ("evaluation", ["win_rate"], "win_rate"),
        ("evaluation", ["train/win_rate"], None),
    ],
)
def test_qualifier_is_part_of_the_name(qualifier, names, series):
    """`win rate on fresh data` never binds to the win rate on something else."""
    assert _bound("win rate", names, qualifier=qualifier).series == series


def test_alias_may_hold_the_qualifier():
    """A qualified phrase binds to the alias that spells it out."""
    metrics = {"win": MetricSpec(key="w", aliases=("Win rate on fresh data",))}
    bound = _bound("win rate", [], metrics=metrics, qualifier="fresh data")
    assert bound.series == "w"


def test_rivals_are_named():
    """Where several series match, all of them are named and none is chosen."""
    bound = _bound("loss", ["train/loss", "eval/loss", "lr"])
    assert (bound.series, set(bound.rivals)) == (None, {"train/loss", "eval/loss"})


_SOME = ["loss", "eval/loss", "val_loss", "train/loss", "pass@1", "eval/pass@1", "lr", "a/b"]


@given(st.lists(st.sampled_from(_SOME)), st.sampled_from(["loss", "Eval loss", "pass@1"]))
def test_binding_depends_on_the_set_of_names_only(names, phrase):
    """Order and repetition of names never change a binding."""
    assert _bound(phrase, names) == _bound(phrase, sorted(set(names), reverse=True))


def test_suggestions_share_a_word():
    """Suggestions are near names, the nearest first, and nothing else."""
    target = target_of(Name(text="grid accuracy"), {})
    near = suggestions(target, ["lr", "eval/pixel_acc", "eval/grid_acc_best", "train/loss"])
    assert near == ("eval/grid_acc_best", "eval/pixel_acc")


def test_spec_is_found_by_key_name_and_alias():
    """The declaration of a series is found whichever of its names was logged."""
    spec = MetricSpec(key="eval/pass@1", scale=100, aliases=("p1",))
    for series in ("eval/pass@1", "p1"):
        assert spec_of(series, {"pass@1": spec}) is spec
    assert spec_of("other", {"pass@1": spec}) is None
