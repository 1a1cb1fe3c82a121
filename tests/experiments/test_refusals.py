"""Faults that a hurried user meets: one line that says what, where and what to do; exit 93."""

import json
import re
import resource
import shutil
import signal
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from experiments.common.checkpoints import save
from experiments.puzzles.data import data_folder
from experiments.puzzles.settings import read_settings
from experiments.puzzles.state import read
from models.puzzles import read_split
from models.recurrent import check_config


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["expansion=0"], "expansion=0.0: a number above 0"),
        (["expansion=nan"], "expansion=nan: a number above 0"),
        (["lr=nan"], "lr=nan: at least 0"),
        (["weight_decay=-1"], "weight_decay=-1.0: at least 0"),
        (["identity_lr=nan"], "identity_lr=nan: at least 0"),
        (["lr_end=-1"], "lr_end=-1.0: at least 0"),
        (["forward_only=-1"], "forward_only=-1: at least 0"),
        (["hardest=2"], "hardest=2.0: above 0 and up to 1"),
        (["train_puzzles=0"], "train_puzzles=0: at least 1"),
        (["best=exact", "eval_every=2"], "best=exact: a metric of the validation"),
        (["epochs=3"], "steps=1200 and epochs=3: say either"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(arguments, said):
    """Before anything is generated or trained, the setting and what it may be are said."""
    with pytest.raises(ValueError, match=re.escape(said)):
        read_settings({}, arguments)


@pytest.mark.parametrize("name", ["sudoku-6", "suduko-6x6", "", "maze", "folder"])
def test_a_set_that_is_none_is_told_what_there_is(name):
    """Every kind of set, and folders, stand in the message."""
    with pytest.raises(ValueError, match=r"sudoku-9x9, maze-11x11, arc1-aug-100.*folder"):
        data_folder(read_settings({"data": name}))


def test_a_cache_that_cannot_be_written_is_refused(programs, tmp_path, monkeypatch):
    """A file where the cache should be: the path, the reason and the variable, nothing else."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EXP_PUZZLE_CACHE", str(tmp_path / "file"))
    with pytest.raises(ValueError, match=r"file/sudoku.*cannot be written.*EXP_PUZZLE_CACHE"):
        data_folder(read_settings(programs.SUDOKU))


def test_a_file_in_place_of_a_set_is_refused(programs, tmp_path, monkeypatch):
    """So is a file that has the name of the set's folder; it stays, and no part of a set."""
    name = data_folder(read_settings(programs.SUDOKU)).name
    (tmp_path / name).write_text("mine")
    monkeypatch.setenv("EXP_PUZZLE_CACHE", str(tmp_path))
    with pytest.raises(ValueError, match="cannot be written"):
        data_folder(read_settings(programs.SUDOKU))
    assert {path.name for path in tmp_path.iterdir()} == {name, f"{name}.lock"}


@pytest.mark.parametrize("text", ["[1]", "3", '"text"'])
def test_a_description_that_is_no_object_is_refused(tmp_path, text):
    """dataset.json holds an object."""
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "dataset.json").write_text(text)
    with pytest.raises(ValueError, match=r"train/dataset\.json: no object"):
        read_split(tmp_path, "train")


def test_a_file_as_a_folder_of_puzzles_is_refused(tmp_path):
    """data=FILE: the path and the reason."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"file/train/dataset\.json: cannot be read"):
        read_split(tmp_path / "file", "train")


def test_an_array_without_a_dimension_is_refused(programs, tmp_path):
    """In a folder of the originals, which has no hashes, a single number is no array."""
    folder = data_folder(read_settings(programs.SUDOKU))
    (tmp_path / "train").mkdir()
    for file in (folder / "train").iterdir():
        (tmp_path / "train" / file.name).write_bytes(file.read_bytes())
    description = json.loads((folder / "train" / "dataset.json").read_text())
    del description["sha256"]
    (tmp_path / "train" / "dataset.json").write_text(json.dumps(description))
    np.save(tmp_path / "train" / "all__group_indices.npy", np.array(3))
    with pytest.raises(ValueError, match=r"group_indices\.npy: one number"):
        read_split(tmp_path, "train")


@pytest.mark.parametrize("bytes_there", [b"hi\n", b"\x80\x02.", b"\x00" * 64, b"PK\x03\x04"])
def test_any_bytes_are_refused_as_a_checkpoint(tmp_path, bytes_there):
    """Whatever torch makes of them, it is one line with the path."""
    (tmp_path / "state.pt").write_bytes(bytes_there)
    with pytest.raises(ValueError, match=r"state\.pt: cannot be read as a checkpoint") as error:
        read(tmp_path)
    assert "\n" not in str(error.value)


def test_a_full_disk_is_named_and_nothing_is_left(tmp_path):
    """What the disk said arrives, so that the cause can be told; half a file does not stay."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            save(tmp_path, {"weights": torch.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert list(tmp_path.iterdir()) == []


def test_many_fields_that_differ_are_counted(training, programs):
    """Another model differs in dozens of calls: the sizes come first, and the rest is a number."""
    config = training(read_settings(programs.SUDOKU)).state.study.core.config
    saved = training(read_settings(programs.SUDOKU, ["model=hrm", "cycles=4", "width=16"]))
    with pytest.raises(ValueError, match="width is 16 there and 8 here") as error:
        check_config(saved.content()["core"], config)
    assert re.search(r"; and \d\d more\.", str(error.value))
    assert len(str(error.value)) < 700


def test_every_process_learns_that_the_data_are_wrong(programs, tmp_path):
    """Of two workers both end with 93 and say the reason; none dies of the other one's end."""
    run = programs.make_run(tmp_path, data="sudoku-5x5")
    code, text = programs.complete(run, launcher=programs.TWO_WORKERS, warnings="default")
    assert code != 0
    assert text.count("train.py: side=5: sizes are 4, 6 and 9") == 2, text
    assert "[rank1]" not in text


def test_a_broken_test_split_is_refused_before_the_first_step(programs, tmp_path):
    """With a validation ahead, a test split that cannot be read ends the run at once."""
    copy = tmp_path / "set"
    shutil.copytree(data_folder(read_settings(programs.SUDOKU)), copy)
    (copy / "test" / "all__labels.npy").write_bytes(b"")
    run = programs.make_run(tmp_path, data=str(copy))
    code, text = programs.complete(run)
    assert code == 93, text
    assert "all__labels.npy: not what was written" in text
    assert programs.series(run, "train/loss") == {}


def test_ctrl_c_ends_without_a_traceback(programs, tmp_path, monkeypatch):
    """Interrupted by hand: 130, one line, and the record of the run says so too."""
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    run = programs.make_run(
        tmp_path, steps=100_000, checkpoint_every=100_000, eval_every=0, best=""
    )
    with interruptible():
        process = programs.begin(run)
    programs.wait_for(lambda: programs.series(run, "train/loss"), process)
    process.send_signal(signal.SIGINT)
    code, text = programs.wait(process)
    assert code == 130, text
    assert "train.py: interrupted" in text
    assert "Traceback" not in text
    assert programs.events(run, "finish")[0]["code"] == 130


@contextmanager
def interruptible():
    """What is started here obeys SIGINT, also where the tests were started to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def test_training_by_hand_says_where_its_checkpoint_is(programs, tmp_path):
    """The last line is the path that evaluate.py takes, and it can be read."""
    arguments = [f"{k}={v}" for k, v in programs.SUDOKU.items() if not isinstance(v, (list, bool))]
    arguments += ["givens=6,10", "steps=10", "ema=0.3", "eval_every=0", "best="]
    code, text = programs.by_hand(tmp_path, *arguments)
    assert code == 0, text
    last = text.splitlines()[-1].removeprefix("checkpoint: ")
    assert last.endswith(".exp/runs/R-000001/checkpoints/step_10")
    code, text = programs.by_hand(tmp_path, f"checkpoint={last}", program="evaluate.py")
    assert code == 0, text
