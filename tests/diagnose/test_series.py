"""Series are told by the names that people give them."""

import math

import pytest
from diagnose.cases import case, curve

from orchestrator.diagnose.series import (
    Measure,
    Side,
    eval_of,
    gradient_norms,
    is_loss_progress,
    last_at,
    learning_rates,
    newest,
    parse,
    recalls,
    scores,
    training_losses,
)
from orchestrator.domain.run import MetricSpec

LOSSES = "loss train/loss train_loss Loss/train lm_loss train/lm_loss train_loss_step losses/total"
HELD_OUT = "val/loss val_loss eval/loss eval_loss valid_loss test/loss Loss/val loss_val dev/nll"
RATES = "lr learning_rate train/lr train/learning_rate lr-AdamW lr-AdamW/pg1 lr/group0 optim/lr"
NORMS = "grad_norm gradient_norm train/grad_norm gnorm grad/norm train/global_grad_norm"
ACCURACIES = "val/acc val_accuracy test/top1 eval/pixel_acc eval_acc@1 val/token_accuracy"
EXACT = "eval/exact val/exact_match eval/pass@1 test/grid_accuracy"
RECALLS = "val/recall/3 eval/acc/class_3 val_class_acc/3 val/recall_3 test/class_3/recall"
TERMS = "train/loss/ce train/kd_loss loss/feature train/loss_kd"
OTHERS = "train/steps_per_second epoch val/gap eval_runtime val/best_loss baseline/uniform/loss"
TABLE = [
    *[(name, Measure.LOSS, Side.TRAIN) for name in LOSSES.split()],
    *[(name, Measure.LOSS, Side.EVAL) for name in HELD_OUT.split()],
    *[(name, Measure.LEARNING_RATE, Side.TRAIN) for name in RATES.split()],
    *[(name, Measure.GRADIENT_NORM, Side.TRAIN) for name in NORMS.split()],
    *[(name, Measure.ACCURACY, Side.EVAL) for name in ACCURACIES.split()],
    *[(name, Measure.EXACT, Side.EVAL) for name in EXACT.split()],
    *[(name, Measure.RECALL, Side.EVAL) for name in RECALLS.split()],
    *[(name, Measure.TERM, Side.TRAIN) for name in TERMS.split()],
    ("val/perplexity", Measure.PERPLEXITY, Side.EVAL),
    ("val/majority_acc", Measure.CHANCE, Side.EVAL),
    ("val/support/3", Measure.COUNT, Side.EVAL),
]


@pytest.mark.parametrize(("name", "measure", "side"), TABLE)
@pytest.mark.parametrize("prefix", ["", "tensorboard/", "log/", "ours/seed_0/"])
def test_a_name_says_what_is_measured_and_on_what(prefix, name, measure, side):
    """With or without an origin or a member before it."""
    told = parse(prefix + name)
    assert (told.measure, told.side) == (measure, side)
    if prefix == "ours/seed_0/":
        assert told.member.startswith("ours/seed_0")
    if measure is Measure.RECALL:
        assert told.part == "3"


@pytest.mark.parametrize("name", OTHERS.split())
def test_what_is_no_measurement_of_this_model_is_none(name):
    """Speeds, counters, baselines, the best so far."""
    assert parse(name).measure is Measure.OTHER


def names(found):
    return [each.name.series for each in found]


def test_members_pair_with_their_own_evaluation():
    """`a/train/loss` belongs to `a/val/loss`, not to that of `b`; data sets do not mix."""
    held = ["a/val/loss", "a/test/loss", "b/val/loss", "a/val/c4/loss"]
    whole = case(curves=[curve(name, [1.0]) for name in ("a/train/loss", "b/train/loss", *held)])
    pairs = {each.name.series: names(eval_of(whole, each)) for each in training_losses(whole)}
    assert pairs == {
        "a/train/loss": ["a/val/loss", "a/test/loss"],
        "b/train/loss": ["b/val/loss"],
    }


def test_the_surest_origin_of_a_measure_counts():
    """A loss that is printed too is no second one, a rate that is only printed is the rate."""
    known = ["train/loss", "tensorboard/train/loss", "log/loss", "log/lr"]
    whole = case(curves=[curve(name, [1.0]) for name in known])
    assert names(training_losses(whole)) == ["train/loss"]
    assert names(learning_rates(whole)) == ["log/lr"]


def test_of_several_losses_the_surest_name_is_the_whole():
    """`ce_loss` is a term beside `loss`, and the loss where it stands alone."""
    both = case(curves=[curve("train/ce_loss", [1.0]), curve("train/loss", [1.0])])
    alone = case(curves=[curve("train/ce_loss", [1.0])])
    assert names(training_losses(both)) == ["train/loss"]
    assert names(training_losses(alone)) == ["train/ce_loss"]


def test_what_the_record_declares_wins():
    """A `loss` that shall grow is none; a score of one's own with a chance is an accuracy."""
    metrics = {
        "margin": MetricSpec(key="train/loss", goal="max"),
        "hits": MetricSpec(key="val/hits", goal="max", chance=0.1),
    }
    whole = case(curves=[curve("train/loss", [1]), curve("val/hits", [1])], metrics=metrics)
    assert names(training_losses(whole)) == []
    assert names(scores(whole)) == ["val/hits"]


def test_samples_of_the_hardware_and_empty_series_are_none():
    """`system/…` is not the program's; a series without points says nothing."""
    whole = case(curves=[curve("system/gpu.0.lr", [1.0]), curve("lr", []), curve("grad_norm", [1])])
    assert names(learning_rates(whole)) == []
    assert names(gradient_norms(whole)) == ["grad_norm"]


def test_recalls_are_by_class():
    """A class each."""
    curves = [curve(f"val/recall/{n}", [0.5]) for n in range(3)]
    assert [each.name.part for each in recalls(case(curves=curves))] == ["0", "1", "2"]


@pytest.mark.parametrize("name", ["rollout/reward", "episode/return", "train/d_loss", "gan/loss"])
def test_with_rewards_or_rivals_a_loss_is_no_progress(name):
    """Its level says nothing there."""
    assert is_loss_progress(case(curves=[curve("train/loss", [1.0])]))
    assert not is_loss_progress(case(curves=[curve("train/loss", [1.0]), curve(name, [1.0])]))


def test_points_that_were_taken_back_do_not_count():
    """After a roll-back to step 3 the newest points of steps 3 and 4 hold."""
    rolled = curve("loss", [1, 2, 3, 4, 30, 40], steps=[1, 2, 3, 4, 3, 4])
    assert [rolled.values[at] for at in newest(rolled)] == [1, 2, 30, 40]
    assert last_at(rolled, 3) == 4
    assert last_at(rolled, 0) is None


def test_a_name_of_nothing_but_slashes_is_survived():
    """Any text may be a name."""
    for name in ("", "/", "//", "log/", "val/", "-", "loss/", "ä/ö", "1", "train"):
        assert parse(name).series == name
    assert math.isfinite(len(parse("x" * 5000).series))
