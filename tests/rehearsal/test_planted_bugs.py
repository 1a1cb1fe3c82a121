"""Programs with one fault each: the rehearsal names it at the step that is there for it."""

import os
from contextlib import suppress
from pathlib import Path

import pytest

from orchestrator.domain.rehearsal import StepState

TORCH = Path(__file__).with_name("torch_trainer.py")
PASSED, FAILED, SKIPPED = StepState.PASSED, StepState.FAILED, StepState.SKIPPED
# Fault → spec beside it, the step that fails, and words that its reason must hold.
FAULTS = {
    "no-optimizer-state": ({"evaluates": False}, 5, ("optimizer", "step 5")),
    "replays": ({"evaluates": False}, 5, ("replays data", "steps 4 to 6")),
    "no-position": ({"evaluates": False}, 5, ("step 4",)),
    "torn": ({"evaluates": False}, 4, ("torn checkpoint of step 3", "10 bytes")),
    "ignores-sigterm": ({"evaluates": False}, 6, ("SIGTERM is ignored", "grace of 2 s")),
    "eval-needs-state": ({}, 7, ("needs training state", "exit code 1")),
    "eval-memory": (
        {"evaluates": False, "hoard": 90_000_000, "more": '[resources]\nmemory = "64MiB"\n'},
        2,
        ("validation needs", "64.0 MiB"),
    ),
    "slow-eval": ({"evaluates": False, "eval_every": 2}, 2, ("99%",)),
    "full-disk": (
        {"evaluates": False, "filling": 2_000_000, "steps": 10**9, "checkpoint_every": 1},
        4,
        ("TiB", "free"),
    ),
}


def states(result):
    return {step.number: step.state for step in result.steps}


def test_a_healthy_program_passes_every_step(theatre):
    """Nothing is found, a forecast is made, and of its folders only small ones are kept."""
    theatre.write()
    result = theatre.rehearse()
    passed = dict.fromkeys(range(10), PASSED)
    # A small machine may be warned of at step 0.
    assert states(result) | {0: PASSED} == passed, result.steps
    assert result.findings == ()
    assert result.forecast.eta is not None
    assert result.forecast.checkpoint_bytes
    low, high = result.forecast.speed
    assert 1 < low <= high < 1000
    assert not list(theatre.folder.glob("*/*/checkpoints"))
    assert theatre.lab.processes() == []


def test_two_ranks_under_torchrun_are_judged_by_the_first(theatre):
    """Other losses of the second rank are no noise, and torchrun's exit code is not theirs."""
    theatre.write(evaluates=False, nproc=2, grace=20)
    result = theatre.rehearse()
    judged = {number: state for number, state in states(result).items() if number in {1, 5, 6}}
    assert judged == dict.fromkeys(judged, PASSED), result.steps
    assert "by 2 processes" in result.steps[1].why
    assert "exit code 75" in result.steps[6].why


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_fails_its_step_and_no_earlier_one(theatre, fault):
    """The first step that fails is the one for this fault, and its reason names it."""
    options, number, words = FAULTS[fault]
    theatre.write(fault, **options)
    result = theatre.rehearse()
    first = result.failed[0]
    assert first.number == number, result.steps
    assert all(word in first.why for word in words), first.why
    assert first.action
    assert theatre.lab.processes() == []


@pytest.mark.parametrize(
    ("fault", "number", "words"),
    [
        ("inference", 2, ("Inplace update to inference tensor", "after step 3")),
        ("micro-schedule", 1, ("micro-batches", "12 scheduler steps in 6 optimizer steps")),
    ],
)
def test_a_fault_inside_pytorch_fails_its_step(theatre, fault, number, words):
    """What PyTorch itself refuses or counts is seen in the control, and nothing else is begun."""
    theatre.write(fault, evaluates=False, program=TORCH)
    result = theatre.rehearse()
    first = result.failed[0]
    assert first.number == number, result.steps
    assert all(word in first.why for word in words), first.why
    assert states(result)[5] is SKIPPED
    assert [path.name for path in theatre.folder.glob("2*/*/") if path.is_dir()] == ["control"]


def test_a_program_that_ignores_the_contract_is_still_seen_to_train(theatre):
    """Steps 0 and 1 are judged by what it logged; of the others it is said what nobody knows."""
    theatre.write("ignores-contract")
    result = theatre.rehearse()
    skipped = dict.fromkeys(range(2, 8), SKIPPED)
    others = dict.fromkeys((0, 1, 8, 9), PASSED)
    assert states(result) | {0: PASSED} == skipped | others
    whys = [step.why for step in result.steps if step.state is SKIPPED]
    assert all("track.rehearsal()" in why for why in whys)
    assert theatre.lab.processes() == []


def test_what_outlives_a_program_is_named(theatre):
    """Shared memory and processes that a program leaves fail the teardown, and are ended."""
    block = f"exp-test-{os.getpid()}"
    theatre.write("leaves", evaluates=False, block=block)
    try:
        result = theatre.rehearse()
    finally:
        with suppress(FileNotFoundError):
            Path("/dev/shm", block).unlink()
    step = result.steps[8]
    assert step.state is FAILED
    told = " ".join([step.why, *step.details, *(quote.text for quote in step.evidence)])
    assert block in told
    assert "1 process that had to be ended" in told
    assert theatre.lab.processes() == []
