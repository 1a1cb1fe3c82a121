"""Steps 3, 6, 7 and 8: the evaluator, SIGTERM, the checkpoint alone, and what is left behind."""

import pytest
from rehearsal.facts import PLAN, ended, evaluation, quote, saved, stage, terminated

from orchestrator.domain.rehearsal import StepState
from orchestrator.rehearsal.checks import (
    NAMES,
    check_alone,
    check_evaluator,
    check_teardown,
    check_termination,
    skipped,
)

PASSED, WARNED, FAILED = StepState.PASSED, StepState.WARNED, StepState.FAILED
SKIPPED = StepState.SKIPPED
GOOD = {"eval/exact": 0.25, "eval/loss": 2.4}


@pytest.mark.parametrize(
    ("evaluate", "state", "words"),
    [
        (evaluation(), PASSED, "3 metrics in 20 s"),
        (None, SKIPPED, "the spec has no [evaluate]"),
        (evaluation(exit=ended(1)), FAILED, "the evaluator ended with exit code 1"),
        (evaluation(metrics={}), WARNED, "the evaluator logged no metric"),
        (evaluation(metrics={"eval/loss": float("nan")}), WARNED, "not finite: eval/loss = nan"),
        (evaluation(ended_by="limit", exit=None), FAILED, "did not end within 600 s"),
        (evaluation(ended_by="limit", exit=None, asked=False), SKIPPED, "does not ask"),
    ],
)
def test_the_evaluator_must_work_and_measure(evaluate, state, words):
    """It fails in minutes instead of after all of the training."""
    step = check_evaluator(evaluate, PLAN)
    assert (step.number, step.state) == (3, state)
    assert words in step.why


@pytest.mark.parametrize(
    ("alone", "state", "words"),
    [
        (evaluation("alone"), PASSED, "2 metrics equal those of step 3"),
        (
            evaluation("alone", exit=ended(1), error=quote("FileNotFoundError: vocabulary.json")),
            FAILED,
            "needs training state: with the checkpoint alone it ended with exit code 1",
        ),
        (
            evaluation("alone", metrics=GOOD | {"eval/exact": 0.125}),
            FAILED,
            "metrics differ by 50%, tolerance 0.1%: 0.125 against 0.25 (eval/exact)",
        ),
        (
            evaluation("alone", metrics={"eval/loss": 2.4}),
            FAILED,
            "needs training state: with the checkpoint alone it does not measure eval/exact",
        ),
        (evaluation("alone", metrics=GOOD | {"eval/seconds": 99.0}), PASSED, "2 metrics equal"),
    ],
)
def test_the_checkpoint_alone_is_enough_for_an_evaluation(alone, state, words):
    """The same metrics but for those that the clock measures; anything else needs training."""
    step = check_alone(evaluation(), alone, PLAN)
    assert (step.number, step.state) == (7, state)
    assert words in step.why


@pytest.mark.parametrize(
    ("found", "state", "words"),
    [
        (terminated(), PASSED, "saved 2.0 s after SIGTERM, ended after 2.5 s with exit code 75"),
        (terminated(exit=ended(0)), PASSED, "with exit code 0"),
        (terminated(exit=ended(143)), PASSED, "with exit code 143"),
        (terminated(exit=ended(None, 15)), PASSED, "by signal 15"),
        (terminated(exit=ended(1)), FAILED, "it saved, and then ended with exit code 1"),
        (
            terminated(exit=ended(None, 15), saved_after=None, saved=(saved(3),)),
            FAILED,
            "ended 2.5 s after SIGTERM by signal 15 without saving: what was trained since step 3",
        ),
        (
            terminated(ended_by="limit", exit=None, terminated_after=None, saved_after=None),
            FAILED,
            "SIGTERM is ignored: it lived on for the grace of 30 s",
        ),
        (
            terminated(ended_by="limit", exit=None, terminated_after=None, pace=()),
            FAILED,
            "it logged no step within 600 s",
        ),
        (
            terminated(terminated_after=None, saved_after=None, exit=ended(0)),
            FAILED,
            "it ended by itself before SIGTERM was sent",
        ),
        (
            terminated(saved_after=18.0),
            FAILED,
            "saving took 18.0 s after SIGTERM, more than half the grace: 15 s",
        ),
        (
            terminated(saved=(saved(3), saved(7, problem="model.pt has 0 of 9 bytes"))),
            FAILED,
            "SIGTERM left a torn checkpoint of step 7",
        ),
        (terminated(asked=False), SKIPPED, "does not ask"),
    ],
)
def test_sigterm_saves_within_half_the_grace(found, state, words):
    """What is told to end saves first, wholly and soon, and says that it wants to go on."""
    step = check_termination(found, PLAN)
    assert (step.number, step.state) == (6, state), step.why
    assert words in step.why


def test_whatever_outlives_a_stage_fails_the_teardown():
    """Each thing is named with its stage; nothing left passes."""
    clean = [stage(), evaluation()]
    assert check_teardown(clean, PLAN).state is PASSED
    left = stage("killed", leftovers=("process 71 (worker)", "3.0 GiB of GPU 0"))
    step = check_teardown([*clean, left], PLAN)
    assert (step.number, step.state) == (8, FAILED)
    assert step.why == "left behind by killed: process 71 (worker) and 1 more"
    assert [each.text for each in step.evidence] == [
        "killed: process 71 (worker)",
        "killed: 3.0 GiB of GPU 0",
    ]


def test_shared_memory_that_one_stage_alone_saw_may_be_somebody_elses():
    """It warns; what comes again with a second stage is the program's, and fails."""
    block = "shared memory: sem.mp-1 (32 B)"
    once = check_teardown([stage(), stage("resumed", leftovers=(block,))], PLAN)
    assert once.state is WARNED
    assert "perhaps another program's" in once.why
    twice = [stage(leftovers=(block,)), stage("resumed", leftovers=(block,))]
    assert check_teardown(twice, PLAN).state is FAILED
    assert check_teardown([stage(leftovers=(block, "process 71"))], PLAN).state is FAILED


@pytest.mark.parametrize("number", sorted(NAMES))
def test_what_is_skipped_says_what_is_given_up(number):
    """A skipped step is no silence: the reason, and what the run is in for."""
    step = skipped(number, "step 1 failed", PLAN)
    assert step.state is SKIPPED
    assert step.why.startswith("step 1 failed: ")
    assert len(step.why) > len("step 1 failed: ") + 20
