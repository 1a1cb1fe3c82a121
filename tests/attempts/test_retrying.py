"""Whether a failed attempt is followed by another one, by the rules alone."""

from dataclasses import replace

import pytest
from attempts import logs

from orchestrator.diagnose.causes import Diagnosis
from orchestrator.domain.attempt import AttemptRequest, Failure
from orchestrator.domain.retry import Cause, OutOfMemory, Retry
from orchestrator.domain.run import Command, Phase, RunRecord
from orchestrator.watch.retrying import Story, commands_left, decide, next_request

TRAIN, EVAL = (Command(phase=phase, argv=(phase,)) for phase in (Phase.TRAIN, Phase.EVAL))
FIRST = AttemptRequest(by="ada", why="start", time=0.0, commands=(TRAIN, EVAL), priority=3)
RETRY = Retry(attempts=3, backoff=10.0, max_backoff=60.0)
FRAGMENTED, SHORT_OF = logs.OOM_NOW, logs.SEED_VALIDATION
OOM = OutOfMemory(expandable_segments=True, settings={"eval_batch": 8})


def story(retry=RETRY, failures=(), *, request=FIRST, env=None, **more):
    record = RunRecord(
        id="R-000007", created=0.0, host="h", cwd="/", commands=(TRAIN, EVAL), retry=retry,
        env=env or {},
    )  # fmt: skip
    return Story(
        record=record, request=request, number=len(failures) + 1, failures=tuple(failures), **more
    )


def found(cause, evidence="evidence", fingerprint="same"):
    return Diagnosis(cause=cause, evidence=evidence, fingerprint=fingerprint)


def failure(cause=Cause.NETWORK, checkpoint=None, step=None, fingerprint="other"):
    return Failure(
        cause=cause, evidence="", fingerprint=fingerprint, retry=True, why="", step=step,
        checkpoint=checkpoint,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("cause", "more", "retry", "why"),
    [
        (Cause.NO_RETRY, {"checkpoint": 5}, False, "exit code 93"),
        (Cause.STOPPED, {"checkpoint": 5}, False, "asked to end"),
        (Cause.SHORT, {"checkpoint": 5}, False, "ended by itself"),
        (Cause.PROGRAM, {"checkpoint": 5}, False, "comes again from the same state"),
        (Cause.NAN, {"checkpoint": 5}, False, "non-finite"),
        (Cause.REQUEUE, {"checkpoint": 5}, True, "no failure; again at once"),
        (Cause.REQUEUE, {}, True, "no failure"),
        (Cause.REQUEUE, {"over": "wall budget of 8 h is used up"}, False, "wall budget"),
        (Cause.NETWORK, {"over": "wall budget of 8 h is used up"}, False, "wall budget"),
        (Cause.PREEMPTED, {}, True, "not the doing of the program; again at once"),
        (Cause.LOST, {}, True, "failure 1 of 3, not the doing of the program; again after"),
        (Cause.LOST, {"survivors": 2}, False, "2 processes of it could not be ended"),
        (Cause.REQUEUE, {"survivors": 2}, False, "2 processes of it could not be ended"),
        (Cause.GPU_LOST, {}, True, "not the doing"),
        (Cause.GPU_LOST, {"hopeless": "loss is NaN at step 9"}, False, "loss is NaN at step 9"),
        (Cause.PREEMPTED, {"hopeless": "loss is NaN at step 9"}, True, "not the doing"),
        (Cause.REQUEUE, {"hopeless": "loss is NaN at step 9"}, True, "no failure"),
        (Cause.NETWORK, {}, True, "not the doing"),
        (Cause.KILLED, {}, False, "than at its start (no checkpoint): no progress"),
        (Cause.HOST_OOM, {"checkpoint": 5, "started_from": 5}, False, "step 5): no progress"),
        (Cause.NCCL, {"checkpoint": 5, "started_from": 5}, False, "no progress"),
        (Cause.STORAGE, {"checkpoint": 5, "started_from": 5}, False, "no progress"),
        (Cause.KILLED, {"checkpoint": 5}, True, "newest checkpoint: step 5, before none"),
        (Cause.HOST_OOM, {"checkpoint": 9, "started_from": 5}, True, "step 9, before step 5"),
        (
            Cause.NCCL,
            {"checkpoint": 9, "started_from": 5},
            True,
            "newest checkpoint: step 9, before step 5",
        ),
        (
            Cause.STORAGE,
            {"checkpoint": 9, "started_from": 5},
            True,
            "newest checkpoint: step 9, before step 5",
        ),
        (Cause.CUDA_OOM, {"checkpoint": 5}, False, "[retry.oom] of the spec allows no change"),
    ],
)
def test_each_cause_has_its_rule(cause, more, retry, why):
    """Infrastructure and progress are tried again; the program's own errors never are."""
    decision = decide(story(**more), found(cause))
    assert decision.retry is retry
    assert why in decision.why
    assert (decision.step, decision.checkpoint) == (None, more.get("checkpoint"))
    hinted = "exp run resume R-000007" in decision.why
    assert hinted is (not retry and cause not in {Cause.NO_RETRY, Cause.STOPPED})


@pytest.mark.parametrize("cause", [cause for cause in Cause if cause is not Cause.REQUEUE])
def test_without_a_policy_only_exit_code_75_starts_another_attempt(cause):
    """A spec without [retry] has nothing tried again, and the failure says how to go on."""
    plain = story(Retry(), checkpoint=5)
    assert not decide(plain, found(cause)).retry
    assert decide(plain, found(Cause.REQUEUE)).retry
    assert "no [retry]" in decide(plain, found(Cause.LOST)).why


def test_only_named_causes_are_tried_again():
    """`on` limits the policy to what it names."""
    chosen = story(replace(RETRY, on=("nccl",)), checkpoint=5)
    assert decide(chosen, found(Cause.NCCL)).retry
    refused = decide(chosen, found(Cause.LOST))
    assert not refused.retry
    assert "retry.on of the spec does not name lost" in refused.why


def test_attempts_are_counted_without_those_that_were_nobodys_fault():
    """Three failures are all with attempts = 3; requeues and preemptions between do not count."""
    once = story(failures=[failure(), failure(Cause.REQUEUE), failure(Cause.PREEMPTED)])
    assert "failure 2 of 3" in decide(once, found(Cause.NETWORK)).why
    twice = story(failures=[*once.failures, failure(Cause.LOST)])
    refused = decide(twice, found(Cause.NETWORK))
    assert not refused.retry
    assert "3 of 3 attempts have failed" in refused.why
    assert decide(twice, found(Cause.PREEMPTED)).retry
    assert decide(twice, found(Cause.REQUEUE)).retry


@pytest.mark.parametrize(
    ("before", "now", "retry"),
    [
        ([{"step": 50}, {"step": 50}], {"step": 50, "checkpoint": 40}, False),
        ([{"step": 50}, {"step": 51}], {"step": 50}, False),  # no checkpoint in any of them
        (
            [{"step": 50, "checkpoint": 9}, {"step": 51, "checkpoint": 9}],
            {"step": 60, "checkpoint": 9},
            False,
        ),
        (
            [{"step": 50, "checkpoint": 9}, {"step": 51, "checkpoint": 9}],
            {"step": 60, "checkpoint": 55},
            True,
        ),
        ([{"step": 50}], {"step": 50}, True),
        ([{"fingerprint": "other", "step": 50}, {"step": 50}], {"step": 50}, True),
    ],
)
def test_a_crash_loop_is_stopped(before, now, retry):
    """Three failures alike, at one step or without a newer checkpoint, are the last ones."""
    failures = [failure(**{"fingerprint": "same", **values}) for values in before]
    decision = decide(story(replace(RETRY, attempts=9), failures, **now), found(Cause.GPU_LOST))
    assert decision.retry is retry
    assert ("the same failure 3 times" in decision.why) is not retry


@pytest.mark.parametrize(
    ("before", "now", "retry"),
    [
        ([], {"checkpoint": None}, True),
        ([5, 5], {"checkpoint": 5}, True),  # the first of these three brought it
        ([5, 5, 5], {"checkpoint": 5}, False),
        ([5, 5, 5], {"checkpoint": 6}, True),
        ([4, 5, 5], {"checkpoint": 5}, True),
        ([5, 5], {"checkpoint": 5, "started_from": 5}, False),
        ([None, None], {"checkpoint": None}, False),
        ([None, None], {"checkpoint": None, "step": 90}, True),
    ],
)
def test_75_in_circles_is_stopped(before, now, retry):
    """Three requeues in a row without a newer checkpoint end the run; steps may stand in."""
    failures = [failure(Cause.REQUEUE, checkpoint=step, step=10) for step in before]
    decision = decide(story(Retry(), failures, **now), found(Cause.REQUEUE))
    assert decision.retry is retry


@pytest.mark.parametrize(("checkpoint", "retry"), [(None, False), (5, False), (6, True)])
def test_ends_that_do_not_count_are_no_way_to_go_on_for_ever(checkpoint, retry):
    """Preempted and requeued by turns, by other signals each time: only progress goes on."""
    causes = [Cause.PREEMPTED, Cause.REQUEUE] * 3
    failures = [
        failure(cause, checkpoint=checkpoint and 5, step=10, fingerprint=f"way {number}")
        for number, cause in enumerate(causes)
    ]
    decision = decide(story(RETRY, failures, checkpoint=checkpoint), found(Cause.PREEMPTED))
    assert decision.retry is retry
    assert ("3 times in a row (preempted, requeue, preempted)" in decision.why) is not retry


@pytest.mark.parametrize(
    ("evidence", "oom", "request_", "env", "settings"),
    [
        (FRAGMENTED, OOM, FIRST, True, {}),
        (FRAGMENTED, replace(OOM, expandable_segments=False), FIRST, False, {"eval_batch": 8}),
        (SHORT_OF, OOM, FIRST, False, {"eval_batch": 8}),
        (SHORT_OF, replace(OOM, settings={}), FIRST, None, None),
        ("CUDA out of memory", OOM, FIRST, False, {"eval_batch": 8}),
        (FRAGMENTED, OOM, replace(FIRST, settings={"eval_batch": 8}), True, {"eval_batch": 8}),
        (SHORT_OF, OOM, replace(FIRST, settings={"eval_batch": 8}), None, None),
    ],
)
def test_memory_is_tried_again_only_with_a_changed_knob(evidence, oom, request_, env, settings):
    """Each allowed knob is turned once; the allocator's only where its arithmetic explains it."""
    told = story(replace(RETRY, attempts=9, oom=oom), request=request_)
    decision = decide(told, found(Cause.CUDA_OOM, evidence))
    if env is None:
        assert not decision.retry
        assert "unchanged it would run out of memory again" in decision.why
        return
    assert decision.retry
    follows = next_request(told, decision, (TRAIN,), now=1.0)
    names = ("PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF")
    assert follows.env == (dict.fromkeys(names, "expandable_segments:True") if env else {})
    assert follows.settings == settings
    once_more = replace(told, request=follows, number=2, failures=(decision,))
    assert not decide(once_more, found(Cause.CUDA_OOM, evidence)).retry or (
        env and "eval_batch" in oom.settings and "eval_batch" not in follows.settings
    )


def test_the_allocators_other_settings_stay():
    """expandable_segments is added to what the spec sets, for old and for new PyTorch."""
    env = {"PYTORCH_CUDA_ALLOC_CONF": "max_split_size_mb:128,expandable_segments:False"}
    told = story(replace(RETRY, oom=OOM), env=env)
    decision = decide(told, found(Cause.CUDA_OOM, FRAGMENTED))
    wanted = "max_split_size_mb:128,expandable_segments:True"
    assert set(next_request(told, decision, (), now=1.0).env.values()) == {wanted}
    env = {"PYTORCH_ALLOC_CONF": "expandable_segments:True"}
    told = story(replace(RETRY, oom=replace(OOM, settings={})), env=env)
    assert not decide(told, found(Cause.CUDA_OOM, FRAGMENTED)).retry


def test_a_pause_doubles_up_to_its_limit_with_jitter():
    """Half to all of the doubled backoff, at most max_backoff, the same whenever it is asked."""
    failures, delays = [], []
    for _ in range(5):
        told = story(replace(RETRY, attempts=9), failures)
        decision = decide(told, found(Cause.LOST, fingerprint=str(len(failures))))
        delays.append(next_request(told, decision, (), now=1.0).delay)
        assert delays[-1] == next_request(told, decision, (), now=2.0).delay
        failures.append(decision)
    for delay, whole in zip(delays, (10, 20, 40, 60, 60), strict=True):
        assert whole / 2 <= delay <= whole
    assert (
        len({delay / whole for delay, whole in zip(delays, (10, 20, 40, 60, 60), strict=True)}) == 5
    )
    calm = decide(story(failures=failures[:1]), found(Cause.PREEMPTED))
    assert next_request(story(failures=failures[:1]), calm, (), now=1.0).delay == 0


def test_the_next_attempt_inherits_what_was_asked_for():
    """Priority, settings and variables go on; the request says which failure it answers."""
    before = replace(FIRST, settings={"a": 1}, env={"B": "2"})
    told = story(request=before)
    follows = next_request(told, decide(told, found(Cause.LOST)), (EVAL,), now=8.0)
    assert (follows.by, follows.time, follows.priority) == ("exp", 8.0, 3)
    assert (follows.commands, follows.settings, follows.env) == ((EVAL,), {"a": 1}, {"B": "2"})
    assert follows.why == "attempt 1: lost"


@pytest.mark.parametrize(
    ("codes", "left"),
    [
        ((), (TRAIN, EVAL)),
        ((1,), (TRAIN, EVAL)),
        ((None,), (TRAIN, EVAL)),
        ((0,), (EVAL,)),
        ((0, 1), (EVAL,)),
        ((0, 0), ()),
    ],
)
def test_what_is_done_is_not_done_again(codes, left):
    """An attempt begins with the first command that has not ended with 0."""
    assert commands_left((TRAIN, EVAL), codes) == left
