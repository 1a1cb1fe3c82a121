"""`ExpTracker` and `Stop` in real training loops with Accelerate."""

import importlib.util
import signal

import pytest

pytestmark = [
    pytest.mark.skipif(not importlib.util.find_spec("accelerate"), reason="no accelerate"),
    pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="no torch"),
]
PROGRAM = "with_accelerate.py"


def test_what_the_accelerator_logs_is_recorded(training):
    """Settings and values given to the accelerator are the run's, and end_training finishes it."""
    training.end(training.start(PROGRAM, 5))
    assert [step for step, _ in training.points("train/loss")] == [1, 2, 3, 4, 5]
    assert training.events("config") == [{"lr": 0.1, "steps": 5}]
    assert training.events("start")[0]["labels"] == {"tags": ["tiny"]}
    assert training.events("finish") == [{"code": 0, "error": None}]


def test_a_stop_saves_and_another_attempt_goes_on(training):
    """SIGTERM is noticed between steps; the state that was sealed is the one that is loaded."""
    process = training.start(PROGRAM, 10**9)
    training.wait_for_points(process, "train/loss", 5)
    process.send_signal(signal.SIGTERM)
    training.end(process, 75)
    (saved,) = training.manifests()
    assert saved == training.points("train/loss")[-1][0]
    training.end(training.start(PROGRAM, saved + 2, attempt=2))
    assert [step for step, _ in training.points("train/loss", 2)] == [saved + 1, saved + 2]
