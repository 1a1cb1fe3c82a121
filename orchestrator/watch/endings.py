"""The end of an attempt as its files tell it: what a diagnosis and a decision rest on."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator import procs
from orchestrator.codec import read_record_if_present
from orchestrator.diagnose.causes import Ending, Finish
from orchestrator.domain.attempt import AttemptRequest, Failure
from orchestrator.domain.facts import Checkpoint
from orchestrator.domain.finding import Severity
from orchestrator.domain.point import Event
from orchestrator.domain.run import BY_US, AttemptState, Command, ExitRecord, Identity, Outcome
from orchestrator.store import Reader
from orchestrator.watch.findings import open_findings
from orchestrator.watch.lifecycle import commands_of
from orchestrator.watch.logs import tail
from orchestrator.watch.observer import Observation
from orchestrator.watch.policy import by_verdicts, used_up
from orchestrator.watch.retrying import Story, commands_left
from orchestrator.workspace import RunFolder

_TAIL = 1 << 19  # bytes of out.log in which the cause is looked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of an attempt that ended; `left` are its commands that are not done."""

    ending: Ending
    story: Story
    left: tuple[Command, ...]


def evidence_of(seen: Observation, attempt: AttemptState, reader: Reader) -> Evidence | None:
    """Gather what the files and the index tell; None if nobody has recorded the end yet."""
    if attempt.exit is None:
        return None
    events = [e for e in reader.events(seen.folder.id) if e.at.attempt == attempt.number]
    commands = commands_of(seen.record, attempt)
    codes = _codes(attempt.exit, events)
    left = commands_left(commands, codes)
    ending = Ending(
        exit=attempt.exit,
        outcome=(seen.end.outcome if seen.end else None) or Outcome.LOST,
        why=seen.end.why if seen.end else "",
        log=tail(seen.folder.attempt(attempt.number).log, _TAIL),
        phase=_open_phase(events) or (left[0].phase if left else commands[-1].phase),
        stop=attempt.stop,
        boots=_boots(attempt.process),
        finished=tuple(_finish(event.data) for event in events if event.name == "finish"),
        lost_gpus=_lost_gpus(events),
    )
    return Evidence(ending=ending, story=_story(seen, attempt, attempt.exit, reader), left=left)


def _story(seen: Observation, attempt: AttemptState, ended: ExitRecord, reader: Reader) -> Story:
    record, number = seen.record, attempt.number
    failures, started_from = _failures(seen.folder, number)
    steps = [row.step for row in reader.attempts(seen.folder.id) if row.number == number]
    return Story(
        record=record,
        request=attempt.request
        or AttemptRequest(by="", why="", time=record.created, commands=record.commands),
        number=number,
        failures=failures,
        started_from=started_from,
        step=steps[0] if steps else None,
        checkpoint=_newest(seen.facts.checkpoints),
        survivors=ended.survivors,
        over=_over(seen, attempt),
        hopeless=_hopeless(seen.folder),
    )


def _over(seen: Observation, attempt: AttemptState) -> str | None:
    """Why the run itself is over, whatever this attempt ended by."""
    stop = attempt.stop
    if stop is not None and not stop.is_limit:
        return f"{stop.by} asked for the end: {stop.why}"
    return used_up(seen.record, seen.used) or by_verdicts(seen.record, seen.verdicts)


def _hopeless(folder: RunFolder) -> str | None:
    """What was found that a retry does not mend."""
    errors = (each for each in open_findings(folder) if each.severity is Severity.ERROR)
    return next((each.title for each in errors if each.retry is False), None)


def _failures(folder: RunFolder, number: int) -> tuple[tuple[Failure, ...], int | None]:
    """Failures since a person last asked for an attempt, and the checkpoint that one began with."""
    found: list[Failure] = []
    while True:
        before = read_record_if_present(Failure, folder.attempt(number - 1).failure_file)
        request = read_record_if_present(AttemptRequest, folder.attempt(number).request_file)
        if before is None or request is None or request.by != BY_US:
            return tuple(reversed(found)), before.checkpoint if before else None
        found.append(before)
        number -= 1


def _newest(checkpoints: Sequence[Checkpoint]) -> int | None:
    """Step of the checkpoint that a resumed program finds; a clock may be set between attempts."""
    valid = [checkpoint for checkpoint in checkpoints if checkpoint.valid]
    newest = max(valid, key=lambda saved: (saved.attempt, saved.time, saved.step), default=None)
    return None if newest is None else newest.step


def _codes(ended: ExitRecord, events: Sequence[Event]) -> list[int | None]:
    """Exit codes of the commands that ended; for a lost shim those that it had noted by then."""
    if ended.phases:
        return [phase.code for phase in ended.phases]
    return [
        _code(event.data.get("code"))
        for event in events
        if event.name == "process" and event.data.get("state") == "end"
    ]


def _open_phase(events: Sequence[Event]) -> str | None:
    """The phase inside the last program that failed or was never left: `run.phase("eval")`."""
    began = [event.at.time for event in events if _begins(event)]
    inside = [event for event in events if event.name == "phase"]
    open_: dict[str, list[str]] = {}
    for event in (event for event in inside if not began or event.at.time >= began[-1]):
        stack, name = open_.setdefault(event.at.source, []), str(event.data.get("phase"))
        if event.data.get("error"):
            return name
        if event.data.get("state") == "begin":
            stack.append(name)
        elif stack:
            stack.pop()
    return next((stack[-1] for _, stack in sorted(open_.items()) if stack), None)


def _begins(event: Event) -> bool:
    return event.name == "process" and event.data.get("state") == "begin"


def _finish(data: dict[str, Any]) -> Finish:
    error = data.get("error")
    return Finish(code=_code(data.get("code")), error=error if isinstance(error, str) else None)


def _code(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def _lost_gpus(events: Sequence[Event]) -> tuple[str, ...]:
    """What telemetry said of GPUs that went away and did not come back."""
    lost: dict[str, str] = {}
    for event in events:
        uuid = str(event.data.get("uuid"))
        if event.name == "gpu_lost":
            lost[uuid] = f"{uuid}: {event.data.get('why')}"
        elif event.name == "gpu_recovered":
            lost.pop(uuid, None)
    return tuple(lost.values())


def _boots(process: Identity | None) -> tuple[str | None, str | None]:
    """Boot ids of the machine when the attempt started and now; of another machine's, nothing."""
    if process is None:
        return None, None
    here = process.host == socket.gethostname()
    return process.boot_id, procs.boot_id() if here else None
