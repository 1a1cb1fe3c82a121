"""Whether a failed attempt is followed by another one, and by which: rules, no files, no clock."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.clock import format_duration
from orchestrator.diagnose.causes import Diagnosis, shortage
from orchestrator.domain.attempt import AttemptRequest, Failure
from orchestrator.domain.retry import Cause
from orchestrator.domain.run import BY_US, Command, RunRecord

ALIKE = 3  # attempts that end the same way, without progress, after which nothing is tried again
_NO_FAILURE = {Cause.REQUEUE, Cause.PREEMPTED}  # nobody's fault: neither counted nor waited for
# Causes that may well be the run's own doing: tried again only if the last attempt got further.
_NEEDS_PROGRESS = {Cause.HOST_OOM, Cause.KILLED, Cause.NCCL, Cause.STORAGE}
_SEGMENTS = "expandable_segments:True"
# PyTorch 2.9 renamed its variable and reads the old one only where the new one is not set.
_ALLOCATOR = ("PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF")
_NEVER = {
    Cause.NO_RETRY: "exit code 93 says that a retry cannot help",
    Cause.STOPPED: "it was asked to end",
    Cause.SHORT: "it ended by itself with exit code 0 before the plan was done",
    Cause.NAN: "a non-finite value comes again from the same state",
    Cause.PROGRAM: "an error of the program comes again from the same state",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What a decision rests on.

    `request` is what the attempt was asked to execute. `failures` are those of the attempts before
    it, oldest first, back to the last one that a person asked for; `started_from` is the step of
    the newest valid checkpoint when that one began. `step` is the last one logged, `checkpoint`
    that of the newest valid checkpoint now. `survivors` counts processes that could not be ended;
    `over` says why the run itself is over, whatever the attempt ended by; `hopeless` is the title
    of a finding that says that the same again ends no better.
    """

    record: RunRecord
    request: AttemptRequest
    number: int
    failures: tuple[Failure, ...] = ()
    started_from: int | None = None
    step: int | None = None
    checkpoint: int | None = None
    survivors: int = 0
    over: str | None = None
    hopeless: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Knob:
    """What the next attempt changes against the present one, and in words."""

    words: str
    env: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


def decide(story: Story, found: Diagnosis) -> Failure:
    """The failure with the decision whether another attempt follows, and why."""
    retry, why = _verdict(story, found)
    if not retry and found.cause not in {Cause.NO_RETRY, Cause.STOPPED}:
        known = story.checkpoint is not None
        then = f"goes on from {_at(story.checkpoint)}" if known else "starts it again"
        why = f"{why}; exp run resume {story.record.id} {then}"
    return Failure(
        cause=found.cause,
        evidence=found.evidence,
        fingerprint=found.fingerprint,
        retry=retry,
        why=why,
        step=story.step,
        checkpoint=story.checkpoint,
    )


def next_request(
    story: Story, failure: Failure, left: tuple[Command, ...], *, now: float
) -> AttemptRequest:
    """What the attempt after a failure executes: `left`, from the first command not done.

    It follows from the failure alone, so that whoever writes it after a crash writes the same.
    """
    before = story.request
    knob = _knob(story, failure.evidence) if failure.cause is Cause.CUDA_OOM else None
    return AttemptRequest(
        by=BY_US,
        why=f"attempt {story.number}: {failure.cause}",
        time=now,
        commands=left,
        delay=_delay(story, failure.cause),
        priority=before.priority,
        settings=before.settings | (knob.settings if knob else {}),
        env=before.env | (knob.env if knob else {}),
    )


def _verdict(story: Story, found: Diagnosis) -> tuple[bool, str]:
    """Whether to go on, and why."""
    if story.survivors:
        return False, f"{story.survivors} processes of it could not be ended and may hold the GPU"
    if found.cause in _NEVER and found.cause is not Cause.STOPPED:
        return False, _NEVER[found.cause]
    if story.over is not None:
        return False, story.over
    if found.cause is Cause.STOPPED:
        return False, _NEVER[found.cause]
    if found.cause in _NO_FAILURE and _in_circles(story):
        ends = [*(failure.cause for failure in story.failures[-(ALIKE - 1) :]), found.cause]
        return False, f"{ALIKE} times in a row ({', '.join(ends)}) and no newer checkpoint"
    if found.cause is Cause.REQUEUE:
        return True, "exit code 75 is no failure; again at once"
    return _by_policy(story, found)


def _in_circles(story: Story) -> bool:
    """Whether the last attempts, whose ends do not count, brought nothing: else it had no end."""
    last = story.failures[-(ALIKE - 1) :]
    if len(last) < ALIKE - 1 or any(failure.cause not in _NO_FAILURE for failure in last):
        return False
    before = story.started_from
    if len(story.failures) >= ALIKE:
        before = story.failures[-ALIKE].checkpoint
    return not _newer(story.checkpoint, before) and not _own_checkpoints(story, last[0])


def _newer(checkpoint: int | None, before: int | None) -> bool:
    return checkpoint is not None and (before is None or checkpoint > before)


def _own_checkpoints(story: Story, first: Failure) -> bool:
    """Whether a program whose checkpoints nobody sees gets further all the same."""
    return story.checkpoint is None and (story.step or 0) > (first.step or 0)


def _by_policy(story: Story, found: Diagnosis) -> tuple[bool, str]:
    """What [retry] of the spec says of an infrastructure failure."""
    retry, cause = story.record.retry, found.cause
    if retry.attempts <= 1:
        return False, "the spec has no [retry]: only exit code 75 starts another attempt"
    if cause not in retry.on:
        return False, f"retry.on of the spec does not name {cause}"
    alike = _alike(story, found)
    if alike is not None:
        return False, alike
    counted = sum(failure.cause not in _NO_FAILURE for failure in story.failures) + 1
    if cause not in _NO_FAILURE and counted >= retry.attempts:
        return False, f"{counted} of {retry.attempts} attempts have failed"
    left = "" if cause in _NO_FAILURE else f"failure {counted} of {retry.attempts}, "
    if cause is Cause.CUDA_OOM:
        knob = _knob(story, found.evidence)
        if knob is None:
            return False, f"unchanged it would run out of memory again: {_no_knob(story)}"
        return True, f"{left}{knob.words}{_pause(story, cause)}"
    if story.hopeless is not None and cause not in _NO_FAILURE:
        return False, story.hopeless
    progress = _progress(story)
    if cause in _NEEDS_PROGRESS and progress is None:
        return False, f"no newer checkpoint than at its start ({_at(_start(story))}): no progress"
    return True, f"{left}{progress or 'not the doing of the program'}{_pause(story, cause)}"


def _alike(story: Story, found: Diagnosis) -> str | None:
    """Why a third failure of the same kind at the same place is the last one."""
    last = story.failures[-(ALIKE - 1) :]
    if len(last) < ALIKE - 1 or any(f.fingerprint != found.fingerprint for f in last):
        return None
    if all(failure.step == story.step for failure in last):
        place = "before any step" if story.step is None else f"at step {story.step:,}"
    elif all(failure.checkpoint == story.checkpoint for failure in last):
        place = f"without a newer checkpoint ({_at(story.checkpoint)})"
    else:
        return None
    return f"the same failure {ALIKE} times {place}: {found.fingerprint}"


def _start(story: Story) -> int | None:
    """Step of the newest valid checkpoint when the attempt began."""
    return story.failures[-1].checkpoint if story.failures else story.started_from


def _progress(story: Story) -> str | None:
    """That there is a newer valid checkpoint than the attempt began with, in words."""
    start = _start(story)
    if not _newer(story.checkpoint, start):
        return None
    before = "none" if start is None else f"step {start:,}"
    return f"newest checkpoint: step {story.checkpoint:,}, before {before}"


def _at(checkpoint: int | None) -> str:
    return "no checkpoint" if checkpoint is None else f"the checkpoint of step {checkpoint:,}"


def _knob(story: Story, evidence: str) -> Knob | None:
    """What may be changed after the GPU's memory was not enough; None if nothing is left."""
    allowed, before = story.record.retry.oom, story.request
    asked = shortage(evidence)
    present = _allocator(story.record.env | before.env)
    if (
        allowed.expandable_segments
        and _SEGMENTS not in present
        and asked is not None
        and asked.fragmented
    ):
        value = ",".join([*(part for part in present if "expandable" not in part), _SEGMENTS])
        words = f"now with the allocator's {_SEGMENTS}"
        return Knob(words=words, env=dict.fromkeys(_ALLOCATOR, value))
    settings = {
        key: value
        for key, value in allowed.settings.items()
        if key not in before.settings or before.settings[key] != value
    }
    if settings:
        words = ", ".join(f"{key} = {value}" for key, value in settings.items())
        return Knob(words=f"now with {words}", settings=settings)
    return None


def _allocator(variables: dict[str, str]) -> list[str]:
    """The parts of PyTorch's allocator configuration that the spec or an earlier attempt set."""
    values = (variables.get(name, "") for name in reversed(_ALLOCATOR))
    value = next((v for v in values if v and not v.startswith("$")), "")
    return value.split(",") if value else []


def _no_knob(story: Story) -> str:
    oom = story.record.retry.oom
    if not oom.expandable_segments and not oom.settings:
        return "[retry.oom] of the spec allows no change"
    return "[retry.oom] of the spec allows no change that helps and was not tried yet"


def _delay(story: Story, cause: Cause) -> float:
    """Seconds to wait: doubled with each failure, between half and all of it by chance.

    The chance is the run's id and the attempt's number: the same for whoever asks.
    """
    if cause in _NO_FAILURE:
        return 0.0
    retry = story.record.retry
    earlier = sum(failure.cause not in _NO_FAILURE for failure in story.failures)
    whole = min(retry.backoff * 2.0**earlier, retry.max_backoff)
    chance = random.Random(f"{story.record.id}/{story.number}").random()  # noqa: S311 - no secret
    return round(whole / 2 + whole / 2 * chance, 3)


def _pause(story: Story, cause: Cause) -> str:
    delay = _delay(story, cause)
    return f"; again after {format_duration(delay)}" if delay else "; again at once"


def commands_left(commands: Sequence[Command], codes: Sequence[int | None]) -> tuple[Command, ...]:
    """The commands from the first one that has not ended with 0; `codes` are of those that ended.

    `codes` follow the order of `commands`; what was never started has none.
    """
    done = 0
    while done < len(codes) and codes[done] == 0:
        done += 1
    return tuple(commands[done:])
