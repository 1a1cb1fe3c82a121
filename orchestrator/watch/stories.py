"""The attempts of a run as people are told of them: what each did, how it ended, what followed."""

from dataclasses import dataclass

from orchestrator.codec import read_record_if_present
from orchestrator.diagnose.causes import name_of
from orchestrator.domain.attempt import AttemptRequest
from orchestrator.domain.retry import Cause
from orchestrator.domain.run import AttemptState, RunRecord
from orchestrator.executors import executor_for
from orchestrator.store import Reader
from orchestrator.watch.lifecycle import attempt_state, commands_of
from orchestrator.watch.spending import gpus_of
from orchestrator.workspace import AttemptFolder, RunFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptStory:
    """One attempt. Times in seconds; steps and checkpoints None where nothing tells.

    `ending` is how its last command ended. `cause`, `evidence` and `decision` are those of
    failure.json; `retried` whether the tool asked for the next attempt. `delay` is what it waited
    for after `asked_why`. `gpus` counts those it had. `settings` are parameters that it changed.
    """

    number: int
    asked_by: str | None
    asked_why: str | None
    delay: float
    phases: tuple[str, ...]
    started: float | None
    ended: float | None
    gpus: int
    first_step: int | None
    last_step: int | None
    ending: str
    cause: Cause | None = None
    evidence: str | None = None
    decision: str | None = None
    retried: bool | None = None
    checkpoint: int | None = None
    settings: tuple[tuple[str, str], ...] = ()


def stories(folder: RunFolder, record: RunRecord, reader: Reader) -> tuple[AttemptStory, ...]:
    """Every attempt of a run, oldest first."""
    steps = {row.number: (row.first_step, row.step) for row in reader.attempts(folder.id)}
    return tuple(
        _story(attempt, record, steps.get(attempt.number, (None, None)))
        for attempt in folder.attempts()
    )


def _story(
    attempt: AttemptFolder, record: RunRecord, steps: tuple[int | None, int | None]
) -> AttemptStory:
    state = attempt_state(attempt, executor_for(record.executor))
    request = read_record_if_present(AttemptRequest, attempt.request_file)
    failure = state.failure
    settings = request.settings if request else {}
    return AttemptStory(
        number=attempt.number,
        asked_by=request.by if request else None,
        asked_why=request.why if request else None,
        delay=request.delay if request else 0.0,
        phases=tuple(command.phase for command in commands_of(record, state)),
        started=state.started,
        ended=state.exit.ended if state.exit else None,
        gpus=gpus_of(attempt, record),
        first_step=steps[0],
        last_step=steps[1],
        ending=ending_words(state),
        cause=failure.cause if failure else None,
        evidence=failure.evidence if failure else None,
        decision=failure.why if failure else None,
        retried=failure.retry if failure else None,
        checkpoint=failure.checkpoint if failure else None,
        settings=tuple((name, str(value)) for name, value in settings.items()),
    )


def ending_words(state: AttemptState) -> str:
    """How an attempt ended, or how it stands."""
    ended = state.exit
    if ended is None:
        waits = state.process is None and state.request is not None
        return "queued" if waits else "running" if state.alive else "no exit record"
    if ended.error is not None:
        return ended.error
    return name_of(ended.signal) if ended.signal is not None else f"exit code {ended.code}"
