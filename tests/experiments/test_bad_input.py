"""Data, settings and checkpoints that cannot be used: clear errors, exit 93, no traceback."""

import json
import re
import shutil

import numpy as np
import pytest

from experiments.common.member import Member, Voice
from experiments.common.world import World
from experiments.puzzles.data import data_folder
from experiments.puzzles.job import make_job
from experiments.puzzles.settings import read_settings
from experiments.puzzles.study import build
from models.puzzles import read_split


@pytest.fixture
def folder(programs, tmp_path):
    """A copy of the folder of the Sudokus, to be spoiled."""
    copy = tmp_path / "a set's folder"
    shutil.copytree(data_folder(read_settings(programs.SUDOKU)), copy)
    return copy


def edit(path, **changes):
    """Change keys of a JSON file; None takes one away."""
    found = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in found.items() if v is not None}))


def cut_short(folder):
    path = folder / "train" / "all__inputs.npy"
    path.write_bytes(path.read_bytes()[:200])


def other_labels(folder):
    path = folder / "train" / "all__labels.npy"
    labels = np.load(path)
    labels[3] = 0
    np.save(path, labels)


def other_version(folder):
    for part in ("train", "test"):
        edit(folder / part / "dataset.json", format=99)


def no_scored_label(folder):
    other_labels(folder)
    edit(folder / "train" / "dataset.json", sha256=None)


def no_identifiers(folder):
    (folder / "identifiers.json").unlink()


def no_square(folder):
    for part in ("train", "test"):
        edit(folder / part / "dataset.json", seq_len=15)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (cut_short, "all__inputs.npy"),
        (other_labels, "not what was written"),
        (other_version, "format 99, this code reads"),
        (no_scored_label, "example 3 (and 0 more): no scored label"),
        (no_identifiers, "identifiers.json: missing"),
        (no_square, "15 cells are no square canvas"),
    ],
)
def test_a_spoiled_data_folder_is_refused(training, programs, folder, spoil, said):
    """Whatever is wrong with the folder, a ValueError says what and where."""
    spoil(folder)
    with pytest.raises(ValueError, match=re.escape(said)) as error:
        training(read_settings(programs.SUDOKU | {"data": str(folder)}))
    assert str(folder) in str(error.value)


def test_a_spoiled_data_folder_ends_training_for_good(programs, folder, tmp_path):
    """As a process: exit 93, the reason and no traceback."""
    cut_short(folder)
    run = programs.make_run(tmp_path, data=str(folder))
    code, text = programs.complete(run)
    assert code == 93, text
    assert f"train.py: {folder}/train/all__inputs.npy: not what was written" in text
    assert "Traceback" not in text
    assert [data["code"] for data in programs.events(run, "finish")] == [93]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"data": "sudoku-5x5"}, "5"),
        ({"data": "sudoku-4x6"}, "the grid must be square"),
        ({"data": "chess"}, "chess"),
        ({"data": "/no/such/folder"}, "/no/such/folder.*missing"),
        ({"data": "arc1-train-same-size-1x1"}, "1x1"),
        ({"data": "arc1-train-same-size-31x31"}, "31x31"),
        ({"givens": [8]}, "givens: two numbers"),
        ({"data": "maze-9x9", "walls": [30]}, "walls: two numbers"),
        ({"data": "maze-9x9", "walls": [50, 30]}, r"walls=\(0.5, 0.3\)"),
        ({"augmentations": 8}, "augmentations"),
        ({"identity": "parts"}, 'use identity="whole"'),
        ({"width": 10, "heads": 4}, "heads"),
        ({"convolution": "round"}, "convolution.kind is 'round'"),
        ({"convolution": "row@roof"}, "convolution.place is 'roof'"),
        ({"mixer": "mlp"}, "positions"),
        ({"model": "urm", "cycles": 2, "forward_only": 2}, "no graded call"),
    ],
)
def test_settings_that_name_nothing_are_refused(programs, given, said):
    """Data that does not exist and models that cannot be built give a ValueError with the name."""
    settings = read_settings(programs.SUDOKU | {"best": ""} | given)
    with pytest.raises(ValueError, match=said):
        build(settings, World())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"ema": 0.999}, "ema=0.999 has a half-life of 693 steps"),
        ({"steps": 0, "epochs": 1, "batch": 64}, "epochs=1: less than one batch of 64"),
        ({"exploration": 2.0}, "exploration=2.0 is no probability"),
        ({"halting": "halt_over_continue"}, "reads the continue head, which nothing trains"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_trainings_that_cannot_be_are_refused(training, programs, given, said):
    """Before any step: averages, epochs and halting rules that make no sense."""
    with pytest.raises(ValueError, match=said):
        training(read_settings(programs.SUDOKU | {"best": ""} | given))


def test_a_batch_that_the_processes_cannot_share_is_refused(programs):
    """Every process finds out for itself, before it waits for another one."""
    settings = read_settings(programs.SUDOKU | {"batch": 9})
    split = read_split(data_folder(settings), "train")
    silent = Voice(run=None, member=Member())
    make_job(silent, settings, World(), split)
    for rank in (0, 1):
        with pytest.raises(ValueError, match="batch=9: 2 processes with accumulate=1 cannot"):
            make_job(silent, settings, World(rank=rank, size=2), split)


def test_a_wrong_setting_ends_for_good(programs, tmp_path):
    """As a process: an unknown setting is named, nothing is trained, and a retry is ruled out."""
    run = programs.make_run(tmp_path)
    code, text = programs.complete(run, arguments=["widht=16"])
    assert code == 93
    assert "train.py: no such setting: widht (did you mean width?)" in text
    assert "Traceback" not in text
    assert programs.events(run, "finish")[0]["code"] == 93
    assert programs.series(run, "train/loss") == {}


def test_a_metric_that_validation_does_not_give_is_named(programs, tmp_path):
    """best=val/nothing ends with 93 at the first validation, and lists what there is."""
    run = programs.make_run(tmp_path, best="val/nothing", steps=5, eval_every=1, ema=0.3)
    code, text = programs.complete(run)
    assert code == 93
    assert "best='val/nothing': validation gives val/" in text
    assert "val/exact" in text
    assert programs.manifests(run) == [1]


def test_a_checkpoint_that_is_none_is_named(programs, tmp_path):
    """evaluate.py names a path that holds no checkpoint, and ends with 93."""
    run = programs.make_run(tmp_path)
    path = tmp_path / "nothing here"
    code, text = programs.complete(run, program="evaluate.py", arguments=[f"checkpoint={path}"])
    assert code == 93
    assert f"{path}: cannot be read as a checkpoint" in text
    assert "Traceback" not in text
