"""`ExpCallback` in real trainings with Hugging Face Transformers."""

import importlib.util
import json
import os
import signal

import pytest

from orchestrator.track.checkpoints import newest_valid

pytestmark = [
    pytest.mark.skipif(not importlib.util.find_spec("transformers"), reason="no transformers"),
    pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="no torch"),
]
PROGRAM = "with_transformers.py"


def test_a_training_is_recorded_as_the_trainer_tells_it(training):
    """Points, evaluations, settings and checkpoints are those of the trainer's own history."""
    training.end(training.start(PROGRAM, 8, 4))
    history = json.loads((training.folder / "history.json").read_text())
    losses = [(entry["step"], entry["loss"]) for entry in history if "loss" in entry]
    tests = [(entry["step"], entry["eval_loss"]) for entry in history if "eval_loss" in entry]
    assert len(losses) == 4
    assert training.points("train/loss") == losses
    assert training.points("eval/loss") == tests
    assert [step for step, _ in training.points("train/epoch")] == [2, 4, 6, 8]
    assert training.points("test/loss")[0][0] == 8
    assert training.events("start")[0]["labels"] == {"project": "tiny"}
    settings, model = training.events("config")
    assert settings["trainer"]["learning_rate"] == 1e-3
    assert settings["max_steps"] == 8
    assert model["model"]["n_embd"] == 16
    assert training.events("summary")[0]["train_loss"] == history[-1]["train_loss"]
    assert "hf_secret" not in str(training.lines())
    assert sorted(training.manifests()) == [4, 8]
    assert newest_valid(training.run / "checkpoints") == training.folder / "saved" / "checkpoint-8"


def test_a_stop_saves_and_another_attempt_goes_on(training):
    """SIGTERM ends the training after a step that saves; the next attempt resumes behind it."""
    process = training.start(PROGRAM, 100_000, 50_000)
    training.wait_for_points(process, "train/loss", 3)
    process.send_signal(signal.SIGTERM)
    training.end(process, 75)
    (saved,) = training.manifests()
    assert saved >= training.points("train/loss")[-1][0]

    training.end(training.start(PROGRAM, saved + 6, 50_000, attempt=2))
    steps = [step for step, _ in training.points("train/loss", attempt=2)]
    assert saved < steps[0] <= saved + 2
    assert steps[-1] >= saved + 5
    assert max(training.manifests()) == saved + 6


def test_two_ranks_stop_at_the_same_step(training):
    """Under torchrun a stop file ends both ranks together, and one whole checkpoint is sealed."""
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
    process = training.start(PROGRAM, 100_000, 50_000, launcher=launcher)
    try:
        training.wait_for_points(process, "train/loss", 2)
        (training.run / "attempt-1" / "stop.json").write_text("{}")
        assert process.wait(200) != 0
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    (manifest,) = training.manifests().values()
    names = {entry["path"].rpartition("/")[2] for entry in manifest["files"]}
    assert {"rng_state_0.pth", "rng_state_1.pth", "model.safetensors"} <= names
    assert newest_valid(training.run / "checkpoints") is not None
    assert [event["rank"] for event in training.events("start")] == [0, 1]
    steps = [step for step, _ in training.points("train/loss")]
    assert steps == sorted(set(steps))
