"""Step 5: what a resume did not restore shows in what differs from the uninterrupted control."""

from dataclasses import replace

import pytest
from rehearsal.facts import (
    BATCHES,
    LOSSES,
    PLAN,
    ended,
    killed,
    quote,
    resumed,
    saved,
    stage,
)

from orchestrator.domain.rehearsal import StepState
from orchestrator.rehearsal.checks import check_resume

PASSED, WARNED, FAILED = StepState.PASSED, StepState.WARNED, StepState.FAILED
SKIPPED = StepState.SKIPPED
REPLAYED = {4: BATCHES[1], 5: BATCHES[2], 6: BATCHES[3]}
OTHERS = {4: "x", 5: "y", 6: "z"}


def check(after, *, before=None, control=None, plan=PLAN):
    return check_resume(control or stage(), before or killed(), after, plan)


def values(losses, rate=1e-3):
    return {"train/loss": losses, "lr": dict.fromkeys(losses, rate)}


def test_a_resume_that_goes_on_where_it_was_passes():
    """Equal steps, examples and losses, but for what rounding does."""
    close = {step: loss * (1 + 5e-4) for step, loss in LOSSES.items() if step > 3}
    step = check(resumed(close))
    assert step.state is PASSED, step.why
    assert step.why == "steps 4 to 6 after a SIGKILL have the losses of the control"
    assert any("0.05%" in line for line in step.details)


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (resumed(LOSSES), "starts again from the beginning: step 1 after the kill"),
        (resumed({3: 3.1, 4: 2.8}), "goes on with step 3 instead of 4"),
        (resumed({5: 2.6, 6: 2.5}), "goes on with step 5 instead of 4"),
        (resumed({}), "logged no step after it resumed from step 3"),
        (
            resumed(exit=ended(1), error=quote("KeyError: unexpected key in state_dict")),
            "the program ended with exit code 1 when it resumed from step 3",
        ),
        (
            resumed({4: 2.8, 5: 2.7, 6: 2.68}),
            "the optimizer's or the generators' state is missing",
        ),
        (
            resumed({4: 3.0, 5: 2.9, 6: 2.7}, batches=REPLAYED),
            "the loader replays data: the examples of steps 4 to 6 are those from before the kill",
        ),
        (
            resumed({4: 3.0, 5: 2.9, 6: 2.7}, batches=OTHERS),
            "the loader ignores its position: steps 4 to 6 took other examples",
        ),
        (resumed(batches=OTHERS), "the loader ignores its position"),
        (
            resumed({4: 4.0, 5: 3.5, 6: 3.1}, batches={}),
            "the losses are those of the control's first steps again",
        ),
        (resumed({4: 3.4, 5: 3.3, 6: 3.2}), "the weights or the generators are not restored"),
        (
            resumed({4: 3.4, 5: 3.3, 6: 3.2}, batches={}),
            "weights, generators or the loader's position are not restored",
        ),
        (
            resumed(values=values({4: 2.8, 5: 2.7, 6: 2.6}, rate=5e-4)),
            "the scheduler's state is missing",
        ),
        (resumed({4: 2.8, 5: float("nan"), 6: 2.5}), "differ by up to inf%"),
    ],
)
def test_what_was_not_restored_is_named(after, words):
    """Each bug of a resume shows in its own way, and fails the step with something to do."""
    step = check(after)
    assert step.state is FAILED, step.why
    assert words in step.why
    assert step.action


def test_the_numbers_stand_in_the_reason_and_are_quoted():
    """The first step beyond the tolerance is told with both values; both are evidence."""
    step = check(resumed({4: 2.8, 5: 2.7, 6: 2.68}))
    assert (
        "losses of steps 5 to 6 differ by up to 6.7% from the control's, tolerance 0.1%: "
        "2.7 against 2.6 at step 5 (train/loss)"
    ) in step.why
    assert [each.text for each in step.evidence] == [
        "train/loss = 2.7 at step 5",
        "train/loss = 2.6 at step 5",
    ]


def test_a_drift_within_the_tolerance_is_told_where_all_else_repeats_itself():
    """A low learning rate hides a missing state: equal to the last digit, and then not."""
    after = resumed({4: 2.8, 5: 2.6 * (1 + 1e-5), 6: 2.5 * (1 + 2e-5)})
    step = check(after)
    assert step.state is WARNED, step.why
    assert "perhaps the optimizer's" in step.why
    assert "by 0.002% at step 6, within the tolerance" in step.why
    rounded = resumed({4: 2.8, 5: 2.6, 6: 2.5 * (1 + 1e-7)})
    assert check(rounded).state is PASSED
    noisy = killed(values={"train/loss": {1: 4.0, 2: 3.5 * (1 + 1e-6), 3: 3.1}})
    assert check(after, before=noisy).state is PASSED


def test_what_differs_a_little_before_the_kill_may_differ_more_after_it():
    """Rounding grows from step to step: up to five times what two executions differ by."""
    noisy = killed(values={"train/loss": {1: 4.0, 2: 3.5, 3: 3.1 * (1 + 8e-4)}})
    assert check(resumed({4: 2.8, 5: 2.6, 6: 2.5 * 1.003}), before=noisy).state is PASSED
    step = check(resumed({4: 2.8, 5: 2.6, 6: 2.5 * 1.005}), before=noisy)
    assert step.state is FAILED
    assert "tolerance 0.4%" in step.why


def test_losses_of_three_digits_are_compared_as_such():
    """Neighbours in bfloat16 are 0.4% to 0.8% apart: one of them is rounding."""
    coarse = {1: 4.0, 2: 3.5, 3: 3.125, 4: 2.796875, 5: 2.59375, 6: 2.5}
    control = stage(values=values(coarse))
    before = killed(values=values({step: coarse[step] for step in (1, 2, 3)}))
    near = resumed({4: 2.796875, 5: 2.609375, 6: 2.5})
    assert check(near, before=before, control=control).state is not FAILED
    far = resumed({4: 2.796875, 5: 2.65625, 6: 2.5})
    assert check(far, before=before, control=control).state is FAILED
    assert check(near).state is FAILED


def test_a_program_that_never_repeats_itself_cannot_be_judged_by_losses():
    """Where two executions differ before the kill, a resume is not blamed for it."""
    other = killed(values={"train/loss": {1: 4.0, 2: 3.4, 3: 3.0}}, batches=OTHERS | {1: "w"})
    step = check(resumed({4: 2.7, 5: 2.5, 6: 2.4}, batches=OTHERS), before=other)
    assert step.state is WARNED, step.why
    assert "two executions of the program differ before any kill" in step.why
    assert "3 against 3.1 at step 3" in step.why


def test_replayed_data_are_seen_even_where_losses_do_not_repeat():
    """The order of the examples is the same in both executions, and the resume leaves it."""
    noisy = killed(values={"train/loss": {1: 4.0, 2: 3.4, 3: 3.0}})
    step = check(resumed({4: 2.7, 5: 2.5, 6: 2.4}, batches=REPLAYED), before=noisy)
    assert step.state is FAILED
    assert "replays data" in step.why


def test_a_kill_without_a_whole_checkpoint_says_so():
    """None is no verdict on the resume; a torn one is a failure of its own."""
    assert check(resumed(), before=killed(saved=())).state is SKIPPED
    torn = killed(saved=(saved(3, problem="state.pt is missing"),))
    step = check(resumed(), before=torn)
    assert step.state is FAILED
    assert "torn checkpoint of step 3: state.pt is missing" in step.why


def test_steps_counted_from_zero_go_on_with_the_checkpoints_number():
    """After three steps, 0 to 2, a checkpoint of step 3 goes on with step 3."""
    shifted = {step - 1: loss for step, loss in LOSSES.items()}
    control = stage(
        values={"train/loss": shifted}, pace=tuple((s, 1.0 + s) for s in shifted), batches={}
    )
    before = killed(values={"train/loss": {0: 4.0, 1: 3.5, 2: 3.1}}, batches={})
    good = resumed({3: 2.8, 4: 2.6, 5: 2.5}, batches={})
    assert check(good, before=before, control=control).state is PASSED
    bad = resumed({3: 2.8, 4: 2.7, 5: 2.6}, batches={})
    step = check(bad, before=before, control=control)
    assert "the optimizer's" in step.why


def test_a_control_that_logged_nothing_behind_the_checkpoint_gives_no_verdict():
    """Sparse logging is told, not taken for a resume that works."""
    control = stage(values={"train/loss": {1: 4.0, 3: 3.1}}, pace=((1, 1.0), (3, 3.0)))
    step = check(resumed({6: 2.5}), control=control)
    assert step.state is WARNED
    assert "nothing to compare" in step.why


def test_a_wider_tolerance_forgives():
    """The tolerance of the spec decides."""
    after = resumed({4: 2.82, 5: 2.6, 6: 2.5})
    assert check(after).state is FAILED
    assert check(after, plan=replace(PLAN, tolerance=0.05)).state is PASSED
