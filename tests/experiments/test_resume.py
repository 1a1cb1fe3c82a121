"""A run that is stopped or killed goes on as if nothing had happened."""

import os
import shutil
import signal


def killed(programs, folder, config, step):
    """A run of that configuration that got SIGKILL some time after that checkpoint was sealed."""
    run = programs.make_run(folder, config)
    process = programs.begin(run)
    programs.wait_for(lambda: step in programs.manifests(run), process)
    process.send_signal(signal.SIGKILL)
    assert programs.wait(process)[0] == -signal.SIGKILL
    assert programs.manifests(run)[-1] < config["steps"]
    return run


def goes_on(programs, run, straight, attempt=2):
    """Start the run again; it must end with the series and the last checkpoint of the other."""
    resumed_from = programs.manifests(run)[-1]
    code, text = programs.complete(run, attempt)
    assert code == 0, text
    assert f"step {resumed_from} of 80" in text
    for name in ("train/loss", "train/halt_loss", "train/grad_norm", "train/lr"):
        assert programs.series(run, name) == programs.series(straight, name), name
    ends = programs.checkpoint(run, 80), programs.checkpoint(straight, 80)
    assert programs.difference(*ends) == ""


def test_after_sigkill_every_bit_is_the_same(programs, sudoku_run, tmp_path):
    """Stream of examples, AdamATan2: losses, weights, moments, averages, carry, table, order."""
    run = killed(programs, tmp_path, programs.SUDOKU, 20)
    goes_on(programs, run, sudoku_run)
    assert programs.series(run, "val/exact") == programs.series(sudoku_run, "val/exact") != {}


def test_after_sigkill_every_bit_is_the_same_with_groups(programs, arc_run, tmp_path):
    """The same with a stream of groups, Muon and AdamW, HRM's two heads and shared identities."""
    run = killed(programs, tmp_path, programs.ARC, 20)
    goes_on(programs, run, arc_run)
    assert programs.series(run, "val/pass@1") == programs.series(arc_run, "val/pass@1") != {}


def test_sigterm_saves_and_asks_to_be_requeued(programs, sudoku_run, tmp_path):
    """SIGTERM ends with 75 and a checkpoint of the step it was in; going on changes no bit."""
    run = programs.make_run(tmp_path)
    process = programs.begin(run)
    programs.wait_for(lambda: 10 in programs.manifests(run), process)
    process.send_signal(signal.SIGTERM)
    code, text = programs.wait(process)
    assert code == 75, text
    stopped = programs.manifests(run)[-1]
    assert f"saved step {stopped} of 80" in text
    assert max(programs.series(run, "train/loss")) == stopped < 80
    goes_on(programs, run, sudoku_run)


def test_a_stop_request_in_a_file_is_obeyed_too(programs, tmp_path):
    """With stop.json in the attempt's folder, training saves its first step and ends with 75."""
    run = programs.make_run(tmp_path)
    (run / "attempt-1").mkdir()
    (run / "attempt-1" / "stop.json").write_text("{}")
    code, text = programs.complete(run)
    assert code == 75, text
    assert programs.manifests(run) == [1]


def test_a_kill_during_evaluation_loses_no_step(programs, tmp_path):
    """The step is saved before it is evaluated: the next attempt evaluates it and goes on."""
    slow = {"steps": 4, "eval_every": 2, "checkpoint_every": 4, "ema": 0.1, "eval_batch": 1}
    run = programs.make_run(tmp_path, **slow, eval_segments=[100, 200])
    process = programs.begin(run)
    programs.wait_for(lambda: {"phase": "eval", "state": "begin"} in phases(programs, run), process)
    process.send_signal(signal.SIGKILL)
    assert programs.wait(process)[0] == -signal.SIGKILL
    assert programs.manifests(run) == [2]
    assert max(programs.series(run, "train/loss")) == 2
    assert programs.series(run, "val/exact") == {}
    code, text = programs.complete(run, 2, arguments=["eval_batch=20", "eval_segments=2"])
    assert code == 0, text
    assert sorted(programs.series(run, "val/exact")) == [2, 4]
    assert sorted(programs.series(run, "train/loss")) == [1, 2, 3, 4]


def phases(programs, run):
    return programs.events(run, "phase")


def test_what_a_killed_save_leaves_behind_does_not_count(programs, sudoku_run, tmp_path):
    """Files without a manifest, cut short or changed, are passed over: an older step is taken."""
    run = tmp_path / "a run's folder"
    shutil.copytree(sudoku_run, run)
    steps = run / "checkpoints"
    (steps / "step_80" / "manifest.json").unlink()
    (steps / "step_80" / "state.pt").rename(steps / "step_80" / ".state.pt.tmp")
    os.truncate(steps / "step_70" / "state.pt", 1000)
    code, text = programs.complete(run, 2)
    assert code == 0, text
    assert "step 60 of 80" in text
    ends = programs.checkpoint(run, 80), programs.checkpoint(sudoku_run, 80)
    assert programs.difference(*ends) == ""


def test_a_finished_run_is_not_trained_again(programs, sudoku_run, tmp_path):
    """Started again on a finished run, training ends with 0 and takes no step."""
    run = tmp_path / "a run's folder"
    shutil.copytree(sudoku_run, run)
    shutil.rmtree(run / "attempt-1")
    code, text = programs.complete(run, 2)
    assert code == 0, text
    assert "step 80 of 80" in text
    assert programs.events(run, "finish") == [{"code": 0, "error": None}]
    assert programs.series(run, "train/loss") == {}
    assert programs.manifests(run) == programs.manifests(sudoku_run)


def test_a_checkpoint_of_another_configuration_names_the_field(programs, sudoku_run, tmp_path):
    """Resumed with another model, the run stops with 93, says why, and keeps its checkpoints."""
    run = tmp_path / "a run's folder"
    shutil.copytree(sudoku_run, run)
    code, text = programs.complete(run, 2, arguments=["width=16"])
    assert code == 93, text
    assert "width is 8 there and 16 here" in text
    assert "Traceback" not in text
    assert programs.manifests(run) == programs.manifests(sudoku_run)
