"""train.py as a process: what it records, how it learns and how it ends."""

import json
import math
import shutil
from pathlib import Path

import pytest
import torch

from experiments.puzzles.settings import read_settings
from experiments.puzzles.train import is_broken

STEPS = range(1, 81)


def test_a_run_logs_every_step_and_ends_well(sudoku_run, programs):
    """80 planned steps give 80 finite losses, a checkpoint every 10 and exit 0."""
    for name in ("loss", "grid_loss", "halt_loss", "exact", "lr", "grad_norm", "steps_per_second"):
        values = programs.series(sudoku_run, f"train/{name}")
        assert sorted(values) == list(STEPS), name
        assert all(isinstance(value, float) for value in values.values()), name
    assert programs.manifests(sudoku_run) == [10, 20, 30, 40, 50, 60, 70, 80]
    assert programs.events(sudoku_run, "finish") == [{"code": 0, "error": None}]
    assert programs.summary(sudoku_run)["parameters"] == 1138


def test_the_loss_is_the_sum_of_its_parts(sudoku_run, programs):
    """As in HRM's code: the loss of the grid and half of that of the halting head."""
    loss, grid, halt = (
        programs.series(sudoku_run, f"train/{name}") for name in ("loss", "grid_loss", "halt_loss")
    )
    assert loss == pytest.approx({step: grid[step] + 0.5 * halt[step] for step in STEPS})


@pytest.mark.parametrize("which", ["sudoku_run", "arc_run"])
def test_training_learns(which, programs, request):
    """The loss of the last 20 steps is well below that of the first 20."""
    losses = list(programs.series(request.getfixturevalue(which), "train/loss").values())
    assert sum(losses[-20:]) < 0.9 * sum(losses[:20])


def test_the_rate_follows_the_optimizer_steps(sudoku_run, programs):
    """The rate climbs over the warm-up, peaks at `lr`, and ends at a tenth of it."""
    rates = list(programs.series(sudoku_run, "train/lr").values())
    assert rates[:5] == pytest.approx([1e-2 * k / 5 for k in range(1, 6)])
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert rates[-1] == pytest.approx(1e-3)


def test_every_phase_of_a_step_is_timed(sudoku_run, programs):
    """data, forward, backward, optimizer in this order at every logged step; eval, checkpoint."""
    ends = [p for p in programs.events(sudoku_run, "phase") if p["state"] == "end"]
    assert all(p["seconds"] > 0 for p in ends)
    names = [p["phase"] for p in ends]
    parts = ["data", "forward", "backward", "optimizer"]
    assert [name for name in names if name in parts] == parts * 80
    assert (names.count("checkpoint"), names.count("eval")) == (8, 4)


def test_epochs_and_a_log_every_few_steps(programs, tmp_path):
    """Two epochs over 24 examples in batches of 4 are 12 steps; every fourth is logged and timed.

    Accumulated in two parts, a step has two forward and two backward phases.
    """
    given = {"steps": 0, "epochs": 2, "log_every": 4, "accumulate": 2, "checkpoint_every": 12}
    run = programs.make_run(tmp_path, **given, eval_every=0, best="", ema=0.5, stream="groups")
    code, text = programs.complete(run)
    assert code == 0, text
    assert "step 0 of 12" in text
    assert programs.manifests(run) == [12]
    assert sorted(programs.series(run, "train/loss")) == [4, 8, 12]
    names = [p["phase"] for p in programs.events(run, "phase") if p["state"] == "end"]
    step = ["data", "forward", "backward", "forward", "backward", "optimizer"]
    assert names == ["setup"] + step * 3 + ["checkpoint"]


def test_a_checkpoint_is_sealed_before_its_step_is_evaluated(sudoku_run, programs):
    """In the record, the checkpoint of every evaluated step stands before its evaluation."""
    lines = list(programs.lines(sudoku_run))
    sealed = {x["step"]: n for n, x in enumerate(lines) if x.get("event") == "checkpoint"}
    scored = {
        x["step"]: n for n, x in enumerate(lines) if "val/cell_accuracy" in x.get("metrics", {})
    }
    assert sorted(scored) == [20, 40, 60, 80]
    assert all(sealed[step] < place for step, place in scored.items())


def test_the_best_and_the_newest_checkpoints_stay(programs, tmp_path):
    """With keep=2 the two newest and the best one by the declared metric are left."""
    falls = {"lr": 0.05, "warmup": 20, "lr_end": 1.0, "ema": 0.0, "steps": 60}
    run = programs.make_run(tmp_path, keep=2, eval_every=10, **falls, eval_segments=[1])
    code, text = programs.complete(run)
    assert code == 0, text
    scores = programs.series(run, "val/cell_accuracy")
    best = max(scores, key=scores.get)  # the first of equal ones
    assert best not in {50, 60}, scores
    assert programs.manifests(run) == [best, 50, 60]
    assert sorted(p.name for p in (run / "checkpoints").iterdir()) == sorted(
        f"step_{step}" for step in (best, 50, 60)
    )
    told = programs.summary(run)
    assert (told["best/step"], told["best/val/cell_accuracy"]) == (best, scores[best])


def test_a_loss_that_is_not_finite_stops_for_good(programs, tmp_path):
    """A diverged run ends with 93, an alert, the bad value on record and no broken checkpoint."""
    run = programs.make_run(tmp_path, lr=1e38, clip=0, checkpoint_every=1, optimizer="adamw")
    code, text = programs.complete(run)
    assert code == 93, text
    assert "Traceback" not in text
    alerts = programs.events(run, "alert")
    assert [(a["title"], a["level"]) for a in alerts] == [("loss is not finite", "error")]
    losses = programs.series(run, "train/loss")
    norms = programs.series(run, "train/grad_norm")
    last = max(losses)
    assert isinstance(losses[last], str) or isinstance(norms[last], str)
    assert last not in programs.manifests(run)
    for step in programs.manifests(run):
        saved = programs.checkpoint(run, step)
        for name, tensor in (saved["weights"] | saved["average"] | saved["table"]).items():
            assert tensor.isfinite().all(), (step, name)


def test_weights_that_are_not_finite_are_not_saved(training, programs):
    """A step of finite loss may leave broken weights: that is noticed before they are saved."""
    given = programs.SUDOKU | {"clip": 0, "optimizer": "adamw"}
    sound, broken = training(read_settings(given)), training(read_settings(given | {"lr": 1e39}))
    assert all(math.isfinite(loss) for loss in sound.steps(1) + broken.steps(1))
    assert not is_broken(sound.state, saving=True)
    assert not is_broken(broken.state, saving=False)
    assert is_broken(broken.state, saving=True)
    assert int(broken.state.broken) == 1


def test_bf16_trains(programs, tmp_path):
    """In bf16 the loss falls; weights and averages stay float32, the carry is bf16."""
    urm = {"model": "urm", "cycles": 3, "forward_only": 1, "convolution": "row", "steps": 60}
    run = programs.make_run(tmp_path, precision="bf16", **urm)
    code, text = programs.complete(run)
    assert code == 0, text
    losses = list(programs.series(run, "train/loss").values())
    assert sum(losses[-20:]) < 0.8 * sum(losses[:20])
    saved = programs.checkpoint(run, 60)
    assert {t.dtype for t in (saved["weights"] | saved["average"]).values()} == {torch.float32}
    assert {t.dtype for t in saved["carry"]["latents"].values()} == {torch.bfloat16}


def test_training_works_without_exp_around_it(programs, tmp_path):
    """Started by hand in a workspace, it makes a local run; arguments set parameters."""
    (tmp_path / "tickets").mkdir()
    arguments = ["data=maze-4x4", "train_puzzles=8", "test_puzzles=2", "augmentations=2"]
    arguments += ["width=8", "heads=2", "steps=5", "ema=0.1", "batch=4", "checkpoint_every=5"]
    code, text = programs.by_hand(tmp_path, *arguments)
    assert code == 0, text
    run = tmp_path / ".exp" / "runs" / "R-000001"
    assert programs.manifests(run) == [5]
    assert json.loads((run / "run.json").read_text())["params"]["lr"] == 2e-3
    widths = [data["width"] for data in programs.events(run, "config") if "width" in data]
    assert widths[-1] == 8


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler here")
def test_compiled_training_gives_the_same_losses(programs, sudoku_run, tmp_path, monkeypatch):
    """compile=blocks follows the losses of eager training, exploration and halting included.

    About 40 s of one core when torch's cache of compiled code is empty, and 6 s when it is not.
    """
    # What torch (2.13) hands to the linker must be a path without a space: a link is one.
    packages = tmp_path / "packages"
    packages.symlink_to(Path(torch.__file__).resolve().parents[1])
    monkeypatch.setenv("PYTHONPATH", str(packages))
    run = programs.make_run(tmp_path, compile="blocks", eval_every=40, checkpoint_every=40)
    code, text = programs.complete(run, warnings="default")  # torch's own, of its older parts
    assert code == 0, text
    eager = programs.series(sudoku_run, "train/loss")
    assert programs.series(run, "train/loss") == pytest.approx(eager, rel=1e-4)
