"""train.py as a process: it ends, resumes, stops and refuses as documented."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest


def test_a_run_logs_every_step_and_ends_well(straight, arc_programs):
    """120 planned steps give 120 finite losses, checkpoints every 20 and exit 0."""
    losses = arc_programs.series(straight, "train/loss")
    assert sorted(losses) == list(range(1, 121))
    assert all(isinstance(value, float) for value in losses.values())
    assert arc_programs.manifests(straight) == [20, 40, 60, 80, 100, 120]
    for name in ("train/lr", "train/grad_norm", "train/steps_per_second"):
        assert len(arc_programs.series(straight, name)) == 120
    assert arc_programs.events(straight, "finish") == [{"code": 0, "error": None}]


def test_training_learns(straight, arc_programs):
    """The loss of the last 30 steps is well below that of the first 30."""
    losses = list(arc_programs.series(straight, "train/loss").values())
    assert sum(losses[-30:]) < 0.8 * sum(losses[:30])


def test_a_killed_run_goes_on_with_the_same_losses(straight, arc_programs, tmp_path):
    """SIGKILL and a new process give bit for bit the losses of the run that was not killed."""
    run = arc_programs.make_run(tmp_path)
    process = arc_programs.begin(run)
    arc_programs.wait_for(lambda: 40 in arc_programs.manifests(run), process)
    process.send_signal(signal.SIGKILL)
    assert arc_programs.wait(process)[0] == -signal.SIGKILL
    resumed_from = arc_programs.manifests(run)[-1]
    code, text = arc_programs.complete(run, attempt=2)
    assert code == 0, text
    assert f"step {resumed_from} of 120" in text
    expected = arc_programs.series(straight, "train/loss")
    assert arc_programs.series(run, "train/loss") == expected
    assert (run / "attempt-2").is_dir()


def test_sigterm_saves_and_asks_to_be_requeued(straight, arc_programs, tmp_path):
    """SIGTERM ends with 75 and a checkpoint between the planned ones; resuming changes no loss."""
    run = arc_programs.make_run(tmp_path)
    process = arc_programs.begin(run)
    arc_programs.wait_for(lambda: 20 in arc_programs.manifests(run), process)
    process.send_signal(signal.SIGTERM)
    code, text = arc_programs.wait(process)
    assert code == 75, text
    stopped = arc_programs.manifests(run)[-1]
    assert f"saved step {stopped} of 120" in text
    assert max(arc_programs.series(run, "train/loss")) == stopped < 120
    assert arc_programs.complete(run, attempt=2)[0] == 0
    expected = arc_programs.series(straight, "train/loss")
    assert arc_programs.series(run, "train/loss") == expected


def test_a_stop_request_in_a_file_is_obeyed_too(arc_programs, tmp_path):
    """With stop.json in the attempt's folder, training saves and ends with 75."""
    run = arc_programs.make_run(tmp_path)
    (run / "attempt-1").mkdir()
    (run / "attempt-1" / "stop.json").write_text("{}")
    code, text = arc_programs.complete(run)
    assert code == 75, text
    assert arc_programs.manifests(run) == [1]


def test_a_finished_run_is_not_trained_again(arc_programs, tmp_path):
    """Started again on a finished run, training ends at once with 0 and logs nothing."""
    run = arc_programs.make_run(tmp_path, steps=4, checkpoint_every=4, ema=0.1)
    assert arc_programs.complete(run)[0] == 0
    before = arc_programs.series(run, "train/loss")
    code, text = arc_programs.complete(run, attempt=2)
    assert code == 0
    assert "step 4 of 4" in text
    assert arc_programs.series(run, "train/loss") == before


def test_a_loss_that_is_not_finite_stops_for_good(arc_programs, tmp_path):
    """A diverged run ends with 93, an alert, the bad value on record and no broken checkpoint."""
    run = arc_programs.make_run(tmp_path, lr=1e38, clip=1e38, checkpoint_every=1)
    code, text = arc_programs.complete(run)
    assert code == 93, text
    alerts = arc_programs.events(run, "alert")
    assert [(a["title"], a["level"]) for a in alerts] == [("loss is not finite", "error")]
    losses = arc_programs.series(run, "train/loss")
    norms = arc_programs.series(run, "train/grad_norm")
    last = max(losses)
    assert isinstance(losses[last], str) or isinstance(norms[last], str)
    assert last not in arc_programs.manifests(run)


SHORT = {"steps": 24, "segments": 2, "checkpoint_every": 12, "ema": 0.5, "exploration": 0.0}
TWO_WORKERS = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


@pytest.fixture(scope="module")
def pair(arc_programs, tmp_path_factory):
    """A run of two workers, four rows each; tests that change it copy it first."""
    run = arc_programs.make_run(tmp_path_factory.mktemp("pair"), batch=4, **SHORT)
    code, text = arc_programs.complete(run, launcher=TWO_WORKERS)
    assert code == 0, text
    return run


def test_two_workers_train_like_one(pair, arc_programs, tmp_path):
    """Under torchrun two workers with half the batch follow one worker with the whole batch."""
    alone = arc_programs.make_run(tmp_path, batch=8, **SHORT)
    assert arc_programs.complete(alone)[0] == 0
    expected = arc_programs.series(alone, "train/loss")
    found = arc_programs.series(pair, "train/loss")
    assert sorted(found) == list(range(1, 25))
    assert found == pytest.approx(expected, rel=1e-3)


def test_one_worker_of_two_keeps_the_record(pair, arc_programs):
    """Both workers have their event file, but points and checkpoints come from rank 0 alone."""
    files = sorted(pair.glob("attempt-1/events-*.jsonl"))
    speakers = [file for file in files if '"metrics"' in file.read_text()]
    assert (len(files), len(speakers)) == (2, 1)
    assert len(arc_programs.events(pair, "checkpoint")) == 2


def test_two_workers_resume_alike(pair, arc_programs, tmp_path):
    """Without its last checkpoint, a run of two workers repeats the same losses to the end."""
    run = tmp_path / "a run"
    shutil.copytree(pair, run)
    shutil.rmtree(run / "checkpoints" / "step_24")
    code, text = arc_programs.complete(run, 2, launcher=TWO_WORKERS)
    assert code == 0, text
    assert "step 12 of 24" in text
    # `series` fails if a step was logged with two different values.
    assert arc_programs.series(run, "train/loss") == arc_programs.series(pair, "train/loss")
    assert arc_programs.manifests(run) == [12, 24]


def test_an_average_too_slow_for_the_run_is_refused(arc_programs, tmp_path):
    """Before any step, an average whose half-life exceeds a fifth of the run stops it."""
    run = arc_programs.make_run(tmp_path, ema=0.999)
    code, text = arc_programs.complete(run)
    assert code == 93
    assert "Traceback" not in text
    assert "ema=0.999 has a half-life of 693 steps" in text
    assert arc_programs.series(run, "train/loss") == {}


def test_training_works_without_exp_around_it(arc_programs, tmp_path):
    """Started by hand in a workspace, it makes a local run; arguments set parameters."""
    (tmp_path / "tickets").mkdir()
    clean = {key: value for key, value in os.environ.items() if not key.startswith("EXP_")}
    arguments = ["subset=arc1-train-same-size-3x3", "width=8", "heads=2", "steps=5", "ema=0.1"]
    done = subprocess.run(
        [sys.executable, str(arc_programs.TRAIN), *arguments, "checkpoint_every=5"],
        cwd=tmp_path,
        env=clean,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    run = tmp_path / ".exp" / "runs" / "R-000001"
    assert arc_programs.manifests(run) == [5]
    params = json.loads((run / "run.json").read_text())["params"]
    assert params["lr"] == 2e-3
    widths = [data["width"] for data in arc_programs.events(run, "config") if "width" in data]
    assert widths[-1] == 8
