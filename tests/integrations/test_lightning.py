"""`ExpLogger` and `ExpStop` in real trainings with Lightning."""

import importlib.util
import json
import signal

import pytest

pytestmark = [
    pytest.mark.skipif(not importlib.util.find_spec("lightning"), reason="no lightning"),
    pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="no torch"),
]
PROGRAM = "with_lightning.py"


def test_fit_and_test_are_recorded_in_one_run(training):
    """Metrics of fit and test, hyper-parameters and sealed checkpoints are in the run's folder."""
    training.end(training.start(PROGRAM, 20))
    assert [step for step, _ in training.points("train/loss")] == list(range(1, 20, 2))
    assert [step for step, _ in training.points("val/loss")] == [15]
    assert [step for step, _ in training.points("test/loss")] == [20]
    assert [step for step, _ in training.points("epoch")] == [*range(1, 20, 2), 20]
    assert training.events("config")[0] == {"lr": 0.1}
    assert training.events("start")[0]["labels"] == {"project": "tiny"}
    assert training.events("finish") == [{"code": 0, "error": None}]
    manifests = training.manifests()
    assert sorted(manifests) == [8, 16]
    assert manifests[8]["path"].endswith("attempt-1/checkpoints/epoch=0-step=8.ckpt")
    assert not (training.folder / "lightning_logs").exists()


@pytest.mark.parametrize("how", ["signal", "file"])
def test_a_stop_saves_and_another_attempt_goes_on(training, how):
    """SIGTERM or a stop file: saved, sealed, code 75; the next attempt resumes behind it."""
    process = training.start(PROGRAM, 10**9)
    training.wait_for_points(process, "train/loss", 5)
    if how == "signal":
        process.send_signal(signal.SIGTERM)
    else:
        (training.run / "attempt-1" / "stop.json").write_text(json.dumps({"by": "test"}))
    training.end(process, 75)
    saved = max(training.manifests())
    assert training.manifests()[saved]["path"] == "lightning.ckpt"
    training.end(training.start(PROGRAM, saved + 8, attempt=2))
    steps = [step for step, _ in training.points("train/loss", attempt=2)]
    assert saved <= steps[0] <= saved + 2
    assert max(steps) >= saved + 6
