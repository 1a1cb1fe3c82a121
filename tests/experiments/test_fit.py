"""The loop for independent rows: real processes training a regression of two terms."""

import json
import math
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from regression import CONFIG, Regression, read_settings

from experiments.common.fit import planned_steps
from experiments.common.task import measure, sample, using
from models.objective import combine

PROGRAM = Path(__file__).parents[1] / "regression.py"


@pytest.fixture(scope="module")
def trained(programs):
    """A training that was never interrupted."""
    return programs.shared("regression", CONFIG, program=PROGRAM)


def test_the_logged_terms_are_those_of_the_loss(programs, trained):
    """Weighted is weight times raw, and the weighted ones are the loss, at every step."""
    series = {
        name: programs.series(trained, f"train/{name}")
        for name in ("loss", "raw/square", "raw/size", "weighted/square", "weighted/size")
    }
    assert sorted(series["loss"]) == list(range(1, 41))
    for step, loss in series["loss"].items():
        assert series["weighted/square"][step] == pytest.approx(series["raw/square"][step])
        assert series["weighted/size"][step] == pytest.approx(0.5 * series["raw/size"][step])
        parts = series["weighted/square"][step] + series["weighted/size"][step]
        assert loss == pytest.approx(parts)
    shares = (
        programs.series(trained, "val/share/square"),
        programs.series(trained, "val/share/size"),
    )
    assert [a + shares[1][step] for step, a in shares[0].items()] == pytest.approx([1.0] * 4)


def test_it_learns(programs, trained):
    """The weighted sum falls, on what was trained on and on what was not."""
    loss, val = programs.series(trained, "train/loss"), programs.series(trained, "val/loss")
    assert loss[40] < loss[1]
    assert val[40] < val[10]


@pytest.mark.parametrize("accumulate", [2, 3])
def test_parts_of_a_batch_give_the_losses_of_the_whole(programs, tmp_path, accumulate):
    """Though each part has another number of valid points: no mean of means."""
    runs = []
    for number in (1, accumulate):
        run = programs.make_run(tmp_path / str(number), CONFIG, accumulate=number, dropout=0)
        code, text = programs.complete(run, program=PROGRAM)
        assert code == 0, text
        runs.append(programs.series(run, "train/loss"))
    assert list(runs[0].values()) == pytest.approx(list(runs[1].values()), rel=1e-4)


def test_training_and_evaluation_are_one_function(generators):
    """The same rows, in other batches, measured and trained: the same loss and the same terms."""
    settings = read_settings(CONFIG | {"eval_batch": 5, "dropout": 0.0})
    task = Regression(settings)
    rows = np.arange(24)
    with using(task.module, dict(task.module.named_parameters())):
        seen = measure(task, "train", rows, settings, 0)
    batch = task.batch(rows, "train")
    whole = combine(task.totals(batch), task.counts(batch), task.weights.at(0))
    assert seen["loss"] == pytest.approx(whole.total.item(), rel=1e-5)
    for name, value in whole.raw.items():
        assert seen[f"raw/{name}"] == pytest.approx(value.item(), rel=1e-5)


def test_evaluation_leaves_the_training_as_it_was(generators):
    """Other weights for a while, no dropout, no gradient; then everything is back."""
    task = Regression(read_settings(CONFIG))
    before = {name: value.clone() for name, value in task.module.state_dict().items()}
    zeros = {name: torch.zeros_like(p) for name, p in task.module.named_parameters()}
    with using(task.module, zeros):
        assert not task.module.training
        assert not task.module[1](torch.ones(2, 3)).any()
        assert not task.module[1](torch.ones(2, 3)).requires_grad
    assert task.module.training
    assert all(value.equal(before[name]) for name, value in task.module.state_dict().items())


def test_a_split_without_rows_is_refused(generators):
    """An empty mean would be NaN, and NaN no result."""
    settings = read_settings(CONFIG)
    with pytest.raises(ValueError, match="the val split is empty"):
        measure(Regression(settings), "val", np.arange(0), settings, 0)


def test_the_gap_compares_as_many_examples_of_both_parts(generators):
    """All of val, as many of train; fewer where there are not as many."""
    task = Regression(read_settings(CONFIG))
    assert sample(task, "val").tolist() == list(range(10))
    seen = sample(task, "train")
    assert len(set(seen.tolist())) == 10
    assert max(seen) < 24
    assert len(sample(Regression(read_settings(CONFIG | {"rows": 4})), "train")) == 4


def test_killed_in_the_middle_it_ends_in_the_same_bits(programs, trained, tmp_path):
    """SIGKILL between two checkpoints, with dropout: weights, average, optimizer, validation."""
    run = programs.make_run(tmp_path, CONFIG)
    process = programs.begin(run, program=PROGRAM)
    programs.wait_for(lambda: 15 in programs.manifests(run), process)
    process.send_signal(signal.SIGKILL)
    assert programs.wait(process)[0] == -signal.SIGKILL
    code, text = programs.complete(run, 2, program=PROGRAM)
    assert code == 0, text
    assert programs.difference(*(programs.checkpoint(r, 40) for r in (run, trained))) == ""
    for name in ("train/loss", "val/loss", "val/weight"):
        assert programs.series(run, name) == programs.series(trained, name)


def test_sigterm_saves_and_asks_to_be_requeued(programs, tmp_path):
    """Exit code 75, a checkpoint of the very step."""
    run = programs.make_run(tmp_path, CONFIG, checkpoint_every=1000, eval_every=0)
    (run / "attempt-1").mkdir()
    (run / "attempt-1" / "stop.json").write_text("{}")
    code, text = programs.complete(run, program=PROGRAM)
    assert code == 75, text
    assert programs.manifests(run) == [1]
    assert "asked to stop: saved step 1 of 40" in text


def test_a_loss_that_is_not_finite_stops_with_the_term_named(programs, tmp_path):
    """Code 93; the dump holds the batch and weights that are still finite, and makes it again."""
    run = programs.make_run(tmp_path, CONFIG, spoilt=11)
    code, text = programs.complete(run, program=PROGRAM)
    assert code == 93, text
    (dump,) = (run / "non_finite").glob("*.pt")
    found = torch.load(dump, weights_only=True)
    assert f"step {found['step']}: square is " in text
    assert "size is" not in text.partition("batch and weights are in")[0].rpartition("step ")[2]
    assert 11 in found["rows"]
    task = Regression(read_settings(CONFIG | {"spoilt": 11}))
    task.module.load_state_dict(found["module"])
    assert all(value.isfinite().all() for value in found["module"].values())
    totals = task.totals(task.batch(np.array(found["rows"]), "train"))
    assert not totals["square"].isfinite()
    assert totals["size"].isfinite()
    assert programs.events(run, "alert")[0]["title"] == "loss is not finite"
    assert all(step < found["step"] for step in programs.manifests(run))


def test_a_batch_of_padding_is_refused(programs, tmp_path):
    """Batches of one row, one of which is all padding: 0 / 0 is no loss."""
    run = programs.make_run(tmp_path, CONFIG, batch=1, hidden=3, ema=0.8)
    code, text = programs.complete(run, program=PROGRAM)
    assert code == 93, text
    assert "no valid element for the term 'square': all is padding" in text
    assert "Traceback" not in text


def test_a_rate_of_zero_and_a_validation_that_does_not_move_are_said(programs, tmp_path):
    """The seeds' log showed lr=0.00e+00 for two thousand steps, and called it a display problem."""
    run = programs.make_run(tmp_path, CONFIG, lr=0.0, steps=30)
    code, text = programs.complete(run, program=PROGRAM)
    assert code == 0, text
    titles = [data["title"] for data in programs.events(run, "alert")]
    assert titles.count("validation has not moved") == 2
    assert "learning rate is 0" in titles
    assert "lr 0.000e+00 (exactly 0: no weight moves)" in text


def test_a_training_that_moves_raises_no_alarm(programs, trained):
    """Neither of the two, at any step."""
    assert programs.events(trained, "alert") == []


def test_the_best_validation_is_kept(programs, tmp_path):
    """Parts of the objective are better when lower, scores when higher; its checkpoint stays."""
    for best, choose in (("val/loss", min), ("val/weight", max)):
        run = programs.make_run(tmp_path / choose.__name__, CONFIG, best=best, keep=1)
        code, text = programs.complete(run, program=PROGRAM)
        assert code == 0, text
        values = programs.series(run, best)
        assert programs.summary(run)[f"best/{best}"] == choose(values.values())
        step = programs.summary(run)["best/step"]
        assert values[step] == choose(values.values())
        kept = programs.manifests(run)
        assert {step, 40} <= set(kept)
        assert len(kept) <= 2


def test_a_best_that_nothing_measures_is_refused(programs, tmp_path):
    """With the names that there are."""
    run = programs.make_run(tmp_path, CONFIG, best="val/exact")
    code, text = programs.complete(run, program=PROGRAM)
    assert code == 93, text
    assert "best='val/exact': validation gives seen/loss, val/gap, val/loss" in text


def test_an_average_that_cannot_follow_is_refused(programs, tmp_path):
    """Its half-life may be a fifth of the run at most."""
    run = programs.make_run(tmp_path, CONFIG, ema=0.999)
    code, text = programs.complete(run, program=PROGRAM)
    assert code == 93, text
    assert "ema=0.999 has a half-life of 693 steps, more than a fifth of the 40 planned" in text
    assert programs.manifests(run) == []


@pytest.mark.parametrize(
    ("epochs", "batch", "steps"), [(3, 6, 12), (3, 7, 11), (1, 24, 1), (1, 100, 1), (2, 1, 48)]
)
def test_whole_epochs_are_planned_in_optimizer_steps(epochs, batch, steps):
    """The last window counts even where it is not full."""
    settings = read_settings(CONFIG | {"steps": 0, "epochs": epochs, "batch": batch})
    assert planned_steps(settings, 24) == steps == math.ceil(24 * epochs / batch)


def test_an_epoch_shows_every_row_once(programs, tmp_path):
    """Three epochs in batches of 7: eleven steps, the last of two rows, and the rate ends there."""
    changes = {"steps": 0, "epochs": 3, "batch": 7, "ema": 0, "eval_every": 0, "lr_end": 0.1}
    run = programs.make_run(tmp_path, CONFIG, **changes)
    code, text = programs.complete(run, program=PROGRAM)
    assert code == 0, text
    rates = programs.series(run, "train/lr")
    assert sorted(rates) == list(range(1, 12))
    assert rates[11] == pytest.approx(0.1 * 0.05)


def test_the_last_rows_of_an_epoch_may_be_fewer_than_the_parts(programs, tmp_path):
    """Ten rows in batches of nine, a row a part: one row is left for nine parts."""
    changes = {"steps": 0, "epochs": 1, "batch": 9, "accumulate": 9, "rows": 10, "ema": 0}
    run = programs.make_run(tmp_path, CONFIG, **changes)
    code, text = programs.complete(run, program=PROGRAM)
    assert code == 0, text
    assert sorted(programs.series(run, "train/loss")) == [1, 2]


def test_a_validation_that_is_not_finite_is_said(programs, tmp_path):
    """With the names; the training itself may go on."""
    run = programs.make_run(tmp_path, CONFIG, spoilt_val=3)
    code, text = programs.complete(run, program=PROGRAM)
    assert code == 0, text
    (first, *_) = programs.events(run, "alert")
    assert first["title"] == "validation is not finite"
    assert "val/raw/square" in first["text"]


def test_other_settings_of_the_objective_do_not_go_on(programs, trained, tmp_path):
    """Weights, rate, dropout: what a training minimizes and how belongs to its checkpoint."""
    for change in ({"weights": {"square": 2.0}}, {"lr": 0.01}, {"dropout": 0.0}):
        run = tmp_path / next(iter(change)) / "run"
        shutil.copytree(trained, run)
        config = json.loads((run / "config.json").read_text()) | change
        (run / "config.json").write_text(json.dumps(config))
        code, text = programs.complete(run, 2, program=PROGRAM)
        assert code == 93, text
        assert f"{next(iter(change))} is " in text


def test_several_processes_are_refused(programs, tmp_path):
    """Each would train the whole batch and write over the others."""
    run = programs.make_run(tmp_path, CONFIG)
    code, text = programs.complete(run, program=PROGRAM, launcher=programs.TWO_WORKERS)
    assert code != 0
    assert "2 processes: this program trains in one" in text


def test_another_training_s_checkpoint_is_refused(programs, trained, tmp_path):
    """Other data: named, and nothing is trained."""
    run = tmp_path / "a run's folder"
    shutil.copytree(trained, run)
    (run / "config.json").write_text((trained / "config.json").read_text()[:-1] + ', "rows": 30}')
    code, text = programs.complete(run, 2, program=PROGRAM)
    assert code == 93, text
    assert "rows is 24 there and 30 here" in text
