"""The programs in a rehearsal: the first steps of the real run, validated, saved, cut short."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from regression import CONFIG

from experiments.common.world import World
from experiments.distill.settings import read_settings as read_distill
from experiments.distill.task import LanguageTask
from experiments.puzzles.evaluation import shortened
from experiments.puzzles.settings import read_settings
from experiments.sage.settings import read_settings as read_sage
from experiments.sage.task import SageTask
from models.puzzles import read_split

REGRESSION = Path(__file__).parents[1] / "regression.py"
SAGE = {"side": 4, "test_share": 0.3, "val_share": 0.3, "features": 24, "forms": 2, "width": 16}
SAGE |= {"heads": 2, "layers": 1, "decoder_layers": 1}
TEXT = {"documents": 120, "held_out": 0.1, "vocabulary": 300, "context": 24, "width": 16}
ASKED = {"steps": 6, "every": 3, "examples": 4}


def told(programs, run, state):
    """What was recorded under one state, in order."""
    return [data for data in programs.events(run, "rehearsal") if data["state"] == state]


def real(programs, kind):
    """The configuration of a real run, that run, and its program."""
    if kind == "regression":
        return CONFIG, programs.shared(kind, CONFIG, program=REGRESSION), REGRESSION
    return programs.SUDOKU, programs.shared(kind, programs.SUDOKU), "train.py"


@pytest.mark.parametrize("kind", ["regression", "sudoku"])
def test_a_rehearsal_is_the_begin_of_the_real_run(programs, tmp_path, kind):
    """Bit for bit, learning rate too; then a fresh process repeats it from its middle."""
    config, planned, program = real(programs, kind)
    # Neither interval of the real run comes within six steps.
    run = programs.make_run(tmp_path, config, log_every=20)
    code, text = programs.complete(run, program=program, rehearsal=ASKED)
    assert code == 0, text
    for name in ("train/loss", "train/lr", "train/grad_norm"):
        expected = programs.series(planned, name)
        found = {step: expected[step] for step in range(1, 7)}
        assert programs.series(run, name) == found, name
    assert programs.manifests(run) == [3, 6]
    phases = [(data["phase"], data["state"]) for data in programs.events(run, "phase")]
    begun = [phase for phase, state in phases if state == "begin"]
    assert [phase for phase in begun if phase != "setup"] == ["checkpoint", "eval"] * 2
    assert len(told(programs, run, "asked")) == 1
    batches = {data["step"]: data["digest"] for data in told(programs, run, "batch")}
    assert sorted(batches) == list(range(1, 7))
    assert len(set(batches.values())) > 1
    if kind != "regression":
        assert all(data["used"] <= data["total"] for data in told(programs, run, "subset"))
        assert len(told(programs, run, "subset")) == 2
    (run / "checkpoints" / "step_6" / "manifest.json").unlink()
    code, text = programs.complete(run, 2, program=program, rehearsal=ASKED)
    assert code == 0, text
    again = told(programs, run, "batch")[6:]
    assert {data["step"]: data["digest"] for data in again} == {s: batches[s] for s in (4, 5, 6)}
    losses = [
        line["step"] for line in programs.lines(run) if "train/loss" in line.get("metrics", ())
    ]
    assert losses == [1, 2, 3, 4, 5, 6, 4, 5, 6]  # equal where told twice: `series` looks at it
    assert len(programs.series(run, "train/loss")) == 6


def test_the_steps_asked_for_never_exceed_the_plan(programs, tmp_path):
    """A rehearsal without an end, as the one that is sent SIGTERM, ends with the training."""
    run = programs.make_run(tmp_path, CONFIG, steps=8, ema=0.5)
    endless = ASKED | {"steps": 10**9}
    code, text = programs.complete(run, program=REGRESSION, rehearsal=endless)
    assert code == 0, text
    assert sorted(programs.series(run, "train/loss")) == list(range(1, 9))
    assert programs.manifests(run) == [3, 6, 8]


@pytest.mark.timeout(400)
def test_workers_rehearse_together_and_the_checkpoint_is_enough(programs, tmp_path):
    """Both ranks ask and draw alike; the evaluation needs the newest checkpoint and no more."""
    run = programs.make_run(tmp_path / "pair", programs.SUDOKU)
    two = {"launcher": programs.TWO_WORKERS, "rehearsal": ASKED}
    code, text = programs.complete(run, **two)
    assert code == 0, text
    assert len(told(programs, run, "asked")) == 2
    batches = [(data["step"], data["digest"]) for data in told(programs, run, "batch")]
    assert len(batches) == 12
    assert len(set(batches)) == 6
    code, text = programs.complete(run, 2, program="evaluate.py", **two)
    assert code == 0, text
    found = {"state": "subset", "used": 4, "total": 20}
    assert told(programs, run, "subset")[-1] == found
    scored = [line for line in programs.lines(run) if "eval/exact" in line.get("metrics", ())]
    assert [line["step"] for line in scored] == [6]
    bare = programs.make_run(tmp_path / "bare", programs.SUDOKU)
    shutil.copytree(run / "checkpoints" / "step_6", bare / "checkpoints" / "step_6")
    code, text = programs.complete(bare, program="evaluate.py", rehearsal=ASKED)
    assert code == 0, text
    (alone,) = [line for line in programs.lines(bare) if "eval/exact" in line.get("metrics", ())]
    assert alone["metrics"] == pytest.approx(scored[0]["metrics"], abs=1e-6)


def test_a_comparison_rehearses_each_member_once(programs, tmp_path):
    """With the first of its seeds, for the asked steps; scored, and concluded."""
    members = {"recursive": {"segments": 2}, "direct": {"model": "direct", "segments": 1}}
    short = {"members": members, "seeds": [3, 7], "best": "", "eval_every": 0}
    run = programs.make_run(tmp_path, programs.SUDOKU | short, steps=20, ema=0.5)
    code, text = programs.complete(run, program="compare.py", rehearsal=ASKED)
    assert code == 0, text
    assert sorted(programs.series(run, "recursive/seed_3/train/loss")) == [1, 2, 3, 4, 5, 6]
    assert sorted(programs.series(run, "direct/seed_3/train/loss")) == [7, 8, 9, 10, 11, 12]
    assert "seed_7" not in text
    assert programs.manifests(run) == [3, 6, 9, 12]
    assert sorted(data["step"] for data in told(programs, run, "batch")) == list(range(1, 13))
    assert programs.series(run, "recursive/exact_above_direct").keys() == {12}


@pytest.fixture
def rehearsed(monkeypatch):
    """This process is rehearsed."""
    monkeypatch.setenv("EXP_REHEARSAL", json.dumps(ASKED))


def test_sage_is_evaluated_on_fewer_examples(rehearsed, generators):
    """Of validation and of the test parts, never of what is trained on."""
    task = SageTask(read_sage(SAGE), World())
    assert task.sizes["val"] == len(task.predict("val")) == 4
    assert task.sizes["train"] > 4
    assert len(task.data.parts["test"].examples) > 4
    pairs = task.data.shortened({"test"}).parts["test"]
    assert {len(getattr(pairs, name)) for name in pairs.__slots__} == {4}
    assert 0 <= task.scores()["cell_accuracy"] <= 1


def test_text_is_evaluated_on_fewer_blocks(rehearsed, generators, monkeypatch):
    """Scores are those of the blocks that are shown, in bytes too."""
    task = LanguageTask(read_distill(TEXT), World(), {})
    assert task.sizes["val"] == 4
    with torch.no_grad():
        scores = task.scores()
    _, labels = task.text.val.read([0, 1, 2, 3])
    tokens = int((labels >= 0).sum())
    assert tokens < task.text.val.targets
    share = task.text.val_bytes * tokens / task.text.val.targets
    expected = scores["cross_entropy"] * tokens / torch.tensor(2.0).log().item() / share
    assert scores["bits_per_byte"] == pytest.approx(expected)
    monkeypatch.delenv("EXP_REHEARSAL")
    whole = LanguageTask(read_distill(TEXT), World(), {})
    assert whole.sizes["val"] == whole.text.val.examples > 4


def test_puzzles_are_taken_with_all_their_variants(rehearsed, training, programs, monkeypatch):
    """Votes of a puzzle belong together; outside of a rehearsal the split is the same object."""
    study = training(read_settings(programs.ARC)).state.study
    split = read_split(study.folder, "test")
    some = shortened(split, 0)
    assert 0 < some.examples < split.examples
    assert set(some.identifiers_N()) < set(split.identifiers_N())
    assert some.puzzles / some.groups == split.puzzles / split.groups
    monkeypatch.delenv("EXP_REHEARSAL")
    assert shortened(split, 0) is split
