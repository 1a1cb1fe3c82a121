"""Which commands of a run are still to do: what has ended with code 0 is not done again."""

from collections.abc import Iterable

from orchestrator.codec import read_record_if_present
from orchestrator.domain.point import Event
from orchestrator.domain.run import Command, ExitRecord, RunRecord
from orchestrator.workspace import RunFolder


def remaining_commands(
    record: RunRecord, folder: RunFolder, events: Iterable[Event], *, step: int | None
) -> tuple[Command, ...]:
    """The commands from the first that did not end with code 0 in the newest attempt that ran it.

    `events` are the run's `process` events, which tell of attempts whose shim was lost. All of the
    commands, if none is left or `step` falls short of the plan: training then goes on from its
    newest checkpoint.
    """
    short = record.planned_steps is not None and (step or 0) < record.planned_steps
    codes = last_codes(folder, events)
    done = [codes.get(command.phase) == 0 for command in record.commands]
    if short or all(done):
        return record.commands
    return record.commands[done.index(False) :]


def last_codes(folder: RunFolder, events: Iterable[Event]) -> dict[str, int | None]:
    """The exit code of each phase in the newest attempt that ran it; None if it has none."""
    told: dict[int, dict[str, int | None]] = {}
    for event in events:
        code = event.data.get("code") if event.data.get("state") == "end" else None
        told.setdefault(event.at.attempt, {})[str(event.data.get("phase"))] = code
    codes: dict[str, int | None] = {}
    for attempt in folder.attempts():
        codes |= told.get(attempt.number, {})
        record = read_record_if_present(ExitRecord, attempt.exit_file)
        codes |= {phase.phase: phase.code for phase in (record.phases if record else ())}
    return codes
