"""Several processes under torchrun train like one, and go on with each other's checkpoints."""

import shutil
import signal

import pytest
import torch

from experiments.puzzles.settings import read_settings

STEPS = 24


@pytest.fixture(scope="module")
def config(programs):
    """Rows that leave early because their head says so, others that are made to stay."""
    short = {"steps": STEPS, "checkpoint_every": 12, "eval_every": 12, "best": "", "ema": 0.5}
    heads = {"halting": "halt_over_continue", "continue_target": True, "segments": 4, "lr": 1e-3}
    return programs.SUDOKU | {"batch": 8, "optimizer": "adamw"} | short | heads


@pytest.fixture
def opinionated(training, config):
    """Puts a checkpoint of step 0 into a run, whose heads already tell rows from each other.

    Heads start by saying that no row is right, and learn otherwise long after 24 steps.
    """

    def prepare(run):
        first = training(read_settings(config))
        head = first.state.study.core.q_head
        draws = torch.Generator().manual_seed(0)
        head.weight.data.normal_(0, 0.5, generator=draws)
        head.bias.data.zero_()
        first.save(run)

    return prepare


@pytest.fixture
def alone(programs, config, opinionated):
    """One process with the whole batch."""
    return programs.shared("alone", config, prepare=opinionated)


@pytest.fixture
def pair(programs, config, opinionated):
    """Two workers with half of the same batch each."""
    return programs.shared("pair", config, launcher=programs.TWO_WORKERS, prepare=opinionated)


def follows(programs, run, other):
    """Every logged step, its loss and gradient norm are those of the other run."""
    for name in ("train/loss", "train/halt_loss", "train/exact", "train/grad_norm"):
        found, expected = programs.series(run, name), programs.series(other, name)
        assert sorted(found) == list(range(1, STEPS + 1))
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-6), name


def test_two_workers_train_like_one(programs, alone, pair):
    """The same global batch gives the same curve, and rows halt and explore alike."""
    follows(programs, pair, alone)
    one, two = (programs.checkpoint(run, STEPS) for run in (alone, pair))
    assert one["place"] == two["place"]
    # Were all rows to stay for 4 segments it would be 48, and 192 were all to leave after one.
    assert 60 < one["place"] < 150
    for name in ("age_B", "minimum_B", "halted_B"):
        assert one["carry"][name].equal(two["carry"][name]), name
    assert one["carry"]["rows"]["cells_BS"].equal(two["carry"]["rows"]["cells_BS"])
    for name, tensor in one["average"].items():
        assert two["average"][name].allclose(tensor, atol=1e-4), name


def test_two_workers_share_an_evaluation(programs, alone, pair):
    """Each answers half of the puzzles; together they score as one process does."""
    for name in ("exact", "cell_accuracy", "segments_4/givens_kept", "baseline/constant/exact"):
        one, two = (programs.series(run, f"val/{name}") for run in (alone, pair))
        assert sorted(one) == [12, 24]
        # A token that is a hair's breadth from another one may fall either way.
        assert two == pytest.approx(one, abs=0.01), name


def test_one_worker_of_two_keeps_the_record(programs, pair):
    """Both workers have their event file, but points and checkpoints come from rank 0 alone."""
    files = sorted(pair.glob("attempt-1/events-*.jsonl"))
    speakers = [file for file in files if '"metrics"' in file.read_text()]
    assert (len(files), len(speakers)) == (2, 1)
    assert len(programs.events(pair, "checkpoint")) == 2
    assert programs.manifests(pair) == [0, 12, 24]


def copy_at_12(run, folder):
    """A copy of a run that has lost its last checkpoint."""
    copy = folder / "a run's folder"
    shutil.copytree(run, copy)
    shutil.rmtree(copy / "checkpoints" / "step_24")
    shutil.rmtree(copy / "attempt-1")
    return copy


def resumed(programs, run, launcher):
    """The run, started again from step 12 and ended."""
    code, text = programs.complete(run, 2, launcher=launcher)
    assert code == 0, text
    assert "step 12 of 24" in text
    assert programs.manifests(run) == [0, 12, 24]
    return run


def test_two_workers_resume_bit_for_bit(programs, pair, tmp_path):
    """Without its last checkpoint, a run of two workers makes the same one again."""
    run = resumed(programs, copy_at_12(pair, tmp_path), programs.TWO_WORKERS)
    again, first = (programs.checkpoint(one, STEPS) for one in (run, pair))
    assert programs.difference(again, first) == ""


@pytest.mark.parametrize("processes", [1, 2])
def test_another_number_of_processes_goes_on_with_the_same_rows(
    programs, alone, pair, tmp_path, processes
):
    """What one process saved two go on with, and the other way round, on the same curve."""
    before, launcher = (pair, ()) if processes == 1 else (alone, programs.TWO_WORKERS)
    run = resumed(programs, copy_at_12(before, tmp_path), launcher)
    found, expected = (programs.series(one, "train/loss") for one in (run, alone))
    assert sorted(found) == list(range(13, STEPS + 1))
    assert found == pytest.approx({step: expected[step] for step in found}, rel=1e-4)
    one, two = (programs.checkpoint(x, STEPS)["carry"] for x in (run, alone))
    assert one["rows"]["cells_BS"].equal(two["rows"]["cells_BS"])
    assert one["age_B"].equal(two["age_B"])


def test_all_workers_stop_at_the_same_step(programs, config, tmp_path):
    """SIGTERM to torchrun: both workers save the step they were in and ask to be requeued."""
    run = programs.make_run(tmp_path, config, steps=400, checkpoint_every=10)
    process = programs.begin(run, launcher=programs.TWO_WORKERS)
    programs.wait_for(lambda: 10 in programs.manifests(run), process)
    process.send_signal(signal.SIGTERM)
    code, text = programs.wait(process)
    assert code != 0
    stopped = programs.manifests(run)[-1]
    assert stopped == max(programs.series(run, "train/loss")) < 400
    assert text.count(f"saved step {stopped} of 400") == 2
    assert programs.events(run, "finish") == [{"code": 75, "error": None}] * 2
