"""A case out of the index and the files of a run: what the rules of findings look at.

Nothing here grows with the length of a run: curves are excerpts, logs are the few lines that mean
something, tickets are read up to a bound.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Protocol

from orchestrator import tickets
from orchestrator.codec import read_record_if_present
from orchestrator.diagnose.case import Case, Curve, Hits, Machine
from orchestrator.domain.attempt import Failure
from orchestrator.domain.finding import Quote
from orchestrator.domain.hardware import is_sampled
from orchestrator.domain.run import RunRecord, RunState, RunStatus
from orchestrator.errors import ExpError, InvalidFileError
from orchestrator.store import Reader
from orchestrator.watch.checkpoints import CheckpointShelf
from orchestrator.watch.live import state_of
from orchestrator.workspace import AttemptFolder, RunFolder, Workspace

_NEWEST, _OLDER = 2000, 3000  # points of a curve
_SAMPLES = 400  # of a curve of the hardware, of either kind
_EVENTS = 20_000  # the newest ones
_REPORTED, _LINE = 2000, 500  # lines of a ticket, and characters of one


class Scan(Protocol):
    """What was found in the logs of a run so far."""

    def hits(self) -> Mapping[str, Hits]:
        """Log lines that mean something, by kind of sign."""


def case_of(
    folder: RunFolder,
    record: RunRecord,
    reader: Reader,
    *,
    now: float,
    scan: Scan | None = None,
) -> Case:
    """Gather what is known of a run at the moment `now`, in seconds.

    `scan` is what was found in its logs, None if nobody has looked. Of the machine it holds what
    the kernel said of an attempt that went wrong; `measured` (machines.py) adds the present.

    Raises:
        InvalidFileError: the index or a record of the newest attempt cannot be read.
    """
    row = reader.run(folder.id)
    state = state_of(folder, record, max_step=row.step if row else None)
    newest = folder.attempt(state.attempt.number)
    ended = state.status is RunStatus.ENDED
    return Case(
        record=record,
        now=now,
        attempt=newest.number,
        started=state.attempt.started,
        elapsed=_elapsed(state, now),
        ended=ended,
        outcome=state.outcome,
        exit=state.attempt.exit,
        idle=0.0 if ended else _idle(newest, state, now),
        curves=_curves(reader, folder.id),
        events=reader.events(folder.id)[-_EVENTS:],
        hits=scan.hits() if scan is not None else {},
        checkpoints=CheckpointShelf().of(folder),
        failures=dict(_failures(folder)),
        verdicts=tuple(row.verdict for row in reader.verdicts(folder.id)),
        machine=Machine(kernel=tuple(_kernel(folder, newest.number))),
        reported=tuple(_reported(folder, record)),
        written=_written(folder),
    )


def _curves(reader: Reader, run: str) -> dict[str, Curve]:
    """Every series within bounds; of the hardware less, for there are dozens of them."""
    found = {}
    for name in reader.series(run):
        sampled = is_sampled(name)
        newest, older = (_SAMPLES, _SAMPLES) if sampled else (_NEWEST, _OLDER)
        found[name] = curve_of(reader, run, name, newest=newest, older=older)
    return found


def curve_of(reader: Reader, run: str, name: str, *, newest: int, older: int) -> Curve:
    """So much of one series as rules look at: the `newest` points, and of the `older` a share."""
    part = reader.curve(run, name, newest=newest, older=older)
    return Curve(
        name=name,
        steps=part.steps,
        values=part.values,
        times=part.times,
        sources=part.sources,
        lines=part.lines,
        total=part.total,
    )


def _elapsed(state: RunState, now: float) -> float:
    """How long the newest attempt has executed; not less than nothing if a clock was set back."""
    if state.attempt.exit is not None:
        return state.attempt.exit.seconds
    return 0.0 if state.attempt.started is None else max(0.0, now - state.attempt.started)


def _idle(attempt: AttemptFolder, state: RunState, now: float) -> float:
    """Seconds since the attempt's programs last wrote anything; samples are not theirs."""
    files = [f for f in attempt.event_files() if f != attempt.telemetry_file]
    times = [] if state.attempt.started is None else [state.attempt.started]
    for file in (*files, *attempt.logs()):
        with suppress(OSError):  # rotated a moment ago
            times.append(file.stat().st_mtime)
    return max(0.0, now - max(times)) if times else 0.0


def _written(folder: RunFolder) -> int:
    """Bytes of logs and records so far."""
    files = [f for a in folder.attempts() for f in (*a.event_files(), *a.logs())]
    sizes = []
    for file in files:
        with suppress(OSError):
            sizes.append(file.stat().st_size)
    return sum(sizes)


def _kernel(folder: RunFolder, number: int) -> Iterator[Quote]:
    """What was kept of the kernel's log when an attempt went wrong."""
    file = folder.forensics(number) / "kernel.log"
    with suppress(OSError):
        for line, text in enumerate(file.read_text(errors="replace").splitlines(), 1):
            yield Quote(source=str(file.relative_to(folder.path)), line=line, text=text)


def _failures(folder: RunFolder) -> Iterator[tuple[int, Failure]]:
    """Why attempts failed, by number; a torn record tells nothing."""
    for attempt in folder.attempts():
        with suppress(InvalidFileError):
            failure = read_record_if_present(Failure, attempt.failure_file)
            if failure is not None:
                yield attempt.number, failure


def _reported(folder: RunFolder, record: RunRecord) -> Iterator[Quote]:
    """Lines of the ticket in which people say what they saw.

    Not what a run has written there, and not the criteria: these say what is wanted.
    """
    workspace = _workspace_of(folder)
    if workspace is None or record.ticket is None:
        return
    try:
        document = tickets.find(workspace.tickets, record.ticket.id)
    except (ExpError, OSError):
        return  # it is gone: a ticket that nobody can read reports nothing
    claims = {box.line for box in document.ticket.checkboxes if tickets.is_criterion(box)}
    lines = document.words_of_people()
    told = ((n, line.strip()[:_LINE]) for n, line in lines if n not in claims and line.strip())
    for number, line in islice(told, _REPORTED):
        yield Quote(source=document.path, line=number, text=line)


def _workspace_of(folder: RunFolder) -> Workspace | None:
    """The workspace whose state folder a run lies in, at whatever depth."""
    above = (Workspace(path.parent) for path in folder.path.parents)
    return next((each for each in above if folder.path.is_relative_to(each.state)), None)
