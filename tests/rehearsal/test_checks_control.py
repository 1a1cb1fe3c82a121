"""Steps 1, 2 and 4: what an uninterrupted control shows of training, validation, checkpoints."""

from dataclasses import replace

import pytest
from rehearsal.facts import (
    GIB,
    LOSSES,
    MIB,
    PLAN,
    ended,
    memory,
    quote,
    saved,
    span,
    stage,
)

from orchestrator.domain.rehearsal import StepState
from orchestrator.rehearsal.checks import check_checkpoint, check_training, check_validation
from orchestrator.rehearsal.checks.checkpoint import is_cramped

PASSED, WARNED, FAILED = StepState.PASSED, StepState.WARNED, StepState.FAILED
SKIPPED = StepState.SKIPPED
INPLACE = quote("RuntimeError: Inplace update to inference tensor outside InferenceMode")
IN_VALIDATION = {
    "exit": ended(1),
    "pace": stage().pace[:3],
    "values": {"train/loss": {1: 4.0, 2: 3.5, 3: 3.1}},
    "optimizer_steps": 3,
    "phases": (span("eval", 3, 0.1, "RuntimeError: in-place"),),
    "error": INPLACE,
    "saved": (),
}
UNREAD = {"pace": (), "values": {}, "optimizer_steps": None, "ended_by": "limit", "exit": None}
BY_16 = replace(PLAN, accumulation=16, steps=48, every=24)


def test_a_healthy_control_passes_every_step():
    """What works is called so, without a warning."""
    control = stage(memory=(memory("train", 60 * GIB), memory("eval", 50 * GIB)), data_seconds=0.05)
    steps = [
        check_training(control, PLAN),
        check_validation(control, PLAN),
        check_checkpoint(control, PLAN, free_disk=100 * GIB),
    ]
    assert [(step.number, step.state) for step in steps] == [(1, PASSED), (2, PASSED), (4, PASSED)]
    assert all(step.action is None and step.why for step in steps)


@pytest.mark.parametrize(
    ("changes", "plan", "state", "words"),
    [
        ({"exit": ended(1), "phases": ()}, PLAN, FAILED, "ended with exit code 1"),
        ({"exit": ended(None, 9), "phases": ()}, PLAN, FAILED, "was ended by signal 9"),
        ({"exit": None}, PLAN, FAILED, "vanished"),
        ({"ended_by": "limit", "exit": None}, PLAN, FAILED, "did not end within 600 s"),
        (IN_VALIDATION, PLAN, WARNED, "3 of 6 optimizer steps: then it was in the phase 'eval'"),
        ({"optimizer_steps": 4}, PLAN, FAILED, "4 of 6 optimizer steps"),
        (
            {"pace": (), "values": {}, "optimizer_steps": None},
            PLAN,
            FAILED,
            "no step was logged",
        ),
        (
            UNREAD | {"asked": False, "silent": 2.0},
            PLAN,
            WARNED,
            "no step was logged within 600 s, so that whether it trains is not known",
        ),
        (
            UNREAD | {"asked": False, "silent": 590.0},
            PLAN,
            FAILED,
            "no step was logged within 600 s, and nothing written for the last 590 s",
        ),
        (UNREAD | {"silent": 2.0}, PLAN, FAILED, "did not end within 600 s"),
        (
            {"values": {"train/loss": LOSSES | {5: float("nan")}}},
            PLAN,
            FAILED,
            "train/loss = nan at step 5: not finite in 1 of 6 points",
        ),
        (
            {"values": {"train/grad_norm": LOSSES | {1: float("inf")}}},
            PLAN,
            WARNED,
            "train/grad_norm = inf at step 1",
        ),
        (
            {"values": {"train/lr": {1: 0.0, 2: 0.0, 3: 1e-5}}},
            PLAN,
            FAILED,
            "the learning rate is exactly 0 at step 2 (train/lr)",
        ),
        ({"values": {"lr": {1: 0.0, 2: 1e-5}}}, PLAN, PASSED, "6 optimizer steps"),
        (
            {"values": {"lr": {1: 1e-3, 6: 0.0}}},
            replace(PLAN, planned_steps=6),
            PASSED,
            "6 optimizer steps",
        ),
        (
            {"optimizer_steps": 48, "scheduler_steps": 768},
            BY_16,
            FAILED,
            "the scheduler is stepped in micro-batches: 768 scheduler steps in 48 optimizer steps",
        ),
        (
            {"optimizer_steps": 48, "scheduler_steps": 48, "pace": ((48, 1.0),)},
            BY_16,
            PASSED,
            "48 optimizer steps",
        ),
        (
            {"optimizer_steps": 6, "scheduler_steps": 24},
            PLAN,
            WARNED,
            "the scheduler is stepped 4 times for each optimizer step",
        ),
        (
            {"optimizer_steps": 96},
            replace(PLAN, accumulation=16),
            WARNED,
            "the optimizer is stepped in micro-batches: 96 times in 6 logged steps",
        ),
        (
            {"memory": (memory("train", 78 * GIB),)},
            PLAN,
            WARNED,
            "cuda:0: 78.0 GiB of 80.0 GiB at the peak: headroom of 2.5%",
        ),
        ({"values": {"val/loss": {6: float("nan")}}}, PLAN, WARNED, "val/loss = nan at step 6"),
        ({"values": {"retrieval/loss": {6: float("nan")}}}, PLAN, FAILED, "retrieval/loss = nan"),
        ({"data_seconds": 2.0}, PLAN, WARNED, "40% of the time waits for data"),
    ],
)
def test_training_is_judged_by_what_it_did(changes, plan, state, words):
    """All steps, finite values, a learning rate, a scheduler in step, memory to spare."""
    step = check_training(stage(**changes), plan)
    assert step.state is state, step.why
    assert words in step.why
    assert (step.action is None) == (state is PASSED)


def test_a_program_that_ignores_the_contract_is_judged_by_what_it_logged():
    """Nobody told it to end, so that ending it is no failure; what cannot be seen is skipped."""
    control = stage(asked=False, ended_by="limit", exit=ended(143), optimizer_steps=None)
    assert check_training(control, PLAN).state is PASSED
    few = replace(control, pace=control.pace[:3], values={"train/loss": {1: 4.0, 3: 3.0}})
    assert check_training(few, PLAN).state is WARNED
    for step in (check_validation(control, PLAN), check_checkpoint(control, PLAN)):
        assert step.state is SKIPPED
        assert step.why.startswith("the program does not ask track.rehearsal(): ")


@pytest.mark.parametrize(
    ("changes", "plan", "state", "words"),
    [
        (
            IN_VALIDATION,
            PLAN,
            FAILED,
            "validation after step 3 did not end well: the program ended with exit code 1",
        ),
        (
            {"phases": (span("eval", 3, None),), "ended_by": "limit", "exit": None},
            PLAN,
            FAILED,
            "did not end within 600 s",
        ),
        ({"phases": ()}, PLAN, FAILED, "no validation came, though the run wants one every 1,000"),
        ({"phases": (replace(span("eval", 0), after=None),)}, PLAN, FAILED, "no validation came"),
        (
            {"phases": (), "values": {"train/loss": LOSSES, "val/loss": {3: 3.0}}},
            PLAN,
            WARNED,
            "val/loss was logged outside of a phase",
        ),
        ({"phases": ()}, replace(PLAN, eval_every=None), SKIPPED, "does not validate while"),
        ({"phases": (), "exit": ended(1)}, PLAN, SKIPPED, "training did not get that far"),
        (
            {"memory": (memory("train", 60 * GIB), memory("eval", 75 * GIB))},
            PLAN,
            WARNED,
            "validation needs more memory of cuda:0 than training: 75.0 GiB against 60.0 GiB",
        ),
        (  # what the allocator keeps of training is no need of validation
            {
                "memory": (
                    memory("train", 60 * GIB, reserved=70 * GIB),
                    memory("eval", 40 * GIB, reserved=76 * GIB),
                )
            },
            PLAN,
            PASSED,
            "2 validations",
        ),
        (
            {
                "memory": (
                    memory("train", 1 * GIB, device="host", total=64 * GIB),
                    memory("eval", 3 * GIB, device="host", total=64 * GIB),
                )
            },
            replace(PLAN, memory=2 * GIB),
            FAILED,
            "validation needs 3.0 GiB of host, and there are 2.0 GiB: 1.0 GiB too much",
        ),
        (  # all processes share the host
            {
                "memory": tuple(
                    memory(phase, 600 * MIB, device="host", total=GIB, rank=rank)
                    for phase in ("train", "eval")
                    for rank in (0, 1)
                )
            },
            PLAN,
            FAILED,
            "validation needs 1.2 GiB of host",
        ),
        (
            {"phases": (span("eval", 6, 8.0),), "subset": (32, 10_000)},
            replace(PLAN, eval_every=50),
            FAILED,
            "evaluation takes 98% of the time: 41 min 40 s every 50 steps of 1 s",
        ),
        (
            {"phases": (span("eval", 6, 0.2),), "subset": (32, 3_200)},
            replace(PLAN, eval_every=40),
            WARNED,
            "evaluation takes 33% of the time: 20 s every 40 steps of 1 s",
        ),
        (  # a subset within one batch says little of the whole
            {"phases": (span("eval", 6, 0.2),), "subset": (32, 32_000)},
            replace(PLAN, eval_every=40),
            WARNED,
            "evaluation takes 83% of the time",
        ),
    ],
)
def test_validation_is_judged_with_the_optimizer_resident(changes, plan, state, words):
    """It must come, end well, fit, and leave time for training at the run's own interval."""
    step = check_validation(stage(**changes), plan)
    assert step.state is state, step.why
    assert words in step.why


def test_too_much_evaluation_comes_with_an_interval_and_a_subset():
    """The proposal keeps evaluation under a fifth of the time, by either of the two."""
    control = stage(phases=(span("eval", 6, 8.0),), subset=(32, 10_000))
    step = check_validation(control, replace(PLAN, eval_every=50))
    # 4 x 2,500 s of training for one evaluation of 2,500 s; or 12.5 s of it every 50 s.
    assert step.action == "evaluate every 10,000 steps, or on 50 of the 10,000 examples"


@pytest.mark.parametrize(
    ("said", "action"),
    [
        (INPLACE, "torch.no_grad(), or clone()"),
        (quote("torch.OutOfMemoryError: CUDA out of memory."), "halve the evaluation batch"),
        (quote("KeyError: 'logits'"), "read the end of .exp/rehearsals/T-0001/1/control"),
    ],
)
def test_an_error_in_validation_names_its_usual_cause(said, action):
    """The error is quoted with its line, and what is known of it leads to the next step."""
    step = check_validation(stage(**{**IN_VALIDATION, "error": said}), PLAN)
    assert said in step.evidence
    assert action in step.action


def test_out_of_memory_in_training_is_another_matter():
    """The remedy of validation leaves training alone, that of training does not."""
    control = stage(exit=ended(1), phases=(), error=quote("CUDA out of memory. Tried to"))
    assert "micro-batch" in check_training(control, PLAN).action


@pytest.mark.parametrize(
    ("changes", "plan", "free", "state", "words"),
    [
        ({"saved": ()}, PLAN, None, FAILED, "no checkpoint was saved"),
        ({"saved": (), "exit": ended(1)}, PLAN, None, SKIPPED, "training did not get that far"),
        (
            {"saved": (saved(3), saved(6, problem="model.pt has 5 of 10 bytes"))},
            PLAN,
            None,
            FAILED,
            "torn checkpoint of step 6: model.pt has 5 of 10 bytes",
        ),
        (
            {"saved": (), "exit": ended(1), "phases": (span("checkpoint", 3, 0.1, "OSError"),)},
            PLAN,
            None,
            FAILED,
            "saving did not end well: the program ended with exit code 1: OSError",
        ),
        ({"saved": (saved(6),)}, PLAN, None, WARNED, "saved at step 6, not at step 3"),
        (
            {"saved": (saved(3, took=30.0),)},
            replace(PLAN, checkpoint_every=20),
            None,
            WARNED,
            "saving takes 60% of the time: 30 s every 20 steps of 1 s",
        ),
        (
            {"saved": (saved(3, size=2 * GIB),)},
            PLAN,
            5 * GIB,
            FAILED,
            "the disk is too small: 3 checkpoints of 2.0 GiB take 6.0 GiB, 5.0 GiB free",
        ),
        (
            {"saved": (saved(3, size=2 * GIB),)},
            replace(PLAN, keep=None),
            15 * GIB,
            FAILED,
            "10 checkpoints of 2.0 GiB take 20.0 GiB",
        ),
        ({}, replace(PLAN, keep=None, checkpoint_every=None), MIB, PASSED, "2 whole"),
    ],
)
def test_checkpoints_are_whole_quick_and_fit(changes, plan, free, state, words):
    """A torn one, none, slow ones and those that will fill the disk are told apart."""
    step = check_checkpoint(stage(**changes), plan, free)
    assert step.state is state, step.why
    assert words in step.why


def test_many_small_files_may_take_all_inodes():
    """Three checkpoints of two files need six inodes."""
    assert check_checkpoint(stage(), PLAN, free_inodes=6).state is PASSED
    step = check_checkpoint(stage(), PLAN, free_inodes=5)
    assert step.state is FAILED
    assert "too few inodes: 3 checkpoints of 2 files, 5 inodes free" in step.why


def test_a_disk_without_room_for_six_checkpoints_is_cramped():
    """The other trainings of the rehearsal would fill it; what is unknown is not cramped."""
    assert is_cramped(stage(), 59 * MIB)
    assert not is_cramped(stage(), 60 * MIB)
    assert not is_cramped(stage(), None)
    assert not is_cramped(stage(saved=()), 0)


def test_the_worst_is_told_first_and_the_rest_is_kept():
    """A failure comes before a warning that was found earlier; no number is lost."""
    control = stage(
        memory=(memory("train", 78 * GIB),), optimizer_steps=48, scheduler_steps=768, data_seconds=9
    )
    step = check_training(control, BY_16)
    assert step.state is FAILED
    assert "micro-batches" in step.why
    assert any("headroom of 2.5%" in line for line in step.details)
    assert any("waits for data" in line for line in step.details)
