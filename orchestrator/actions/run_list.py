"""Runs in short: what lists of them show."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest

from orchestrator.domain.run import AttemptState, RunRecord, RunState, RunStatus
from orchestrator.errors import InvalidFileError
from orchestrator.executors import executor_for
from orchestrator.ids import run_number
from orchestrator.store import Reader
from orchestrator.store.rows import RunRow
from orchestrator.watch.lifecycle import attempt_state, read_run
from orchestrator.watch.live import LiveRun, Pending, as_run, state_of
from orchestrator.watch.run_files import RunFiles
from orchestrator.workspace import RunFolder, Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """One line of `exp run list` and of `exp status`; `attempt` is the number of the newest."""

    id: str
    ticket: str | None
    experiment: str | None
    status: str
    outcome: str | None
    why: str
    step: int | None
    planned_steps: int | None
    started: float | None
    ended: float | None
    attempt: int = 1


def list_runs(
    workspace: Workspace, *, ticket: str | None = None, limit: int | None = None
) -> list[RunSummary]:
    """Runs, newest first. What the index does not know as ended is looked up in the files."""
    with Reader(workspace.database) as reader:
        found = Runs(workspace, reader).look()
    return [row for row in found if ticket is None or row.ticket == ticket][:limit]


@dataclass(slots=True)
class _Unfinished:
    """A run whose end is not yet in the index and published, from one look to the next."""

    folder: RunFolder
    files: RunFiles | None = None
    state: RunState | None = None
    started: float | None = None


class Runs:
    """All runs of a workspace from one look to the next.

    Those whose end is published are not looked at again until .exp/runs changes.
    """

    def __init__(self, workspace: Workspace, reader: Reader) -> None:
        self._workspace = workspace
        self._reader = reader
        self._pending = Pending(workspace, reader)
        self._rows: Mapping[str, RunRow] = {}
        self._finished: dict[str, RunSummary] = {}
        self._unfinished: dict[str, _Unfinished] = {}

    def look(self) -> list[RunSummary]:
        """Every run, newest first; one without run.json is none yet."""
        folders = self._pending.folders()
        if self._pending.finished is not self._rows:
            self._rows = self._pending.finished
            self._finished = {run: _known(row) for run, row in self._rows.items()}
        before = self._unfinished
        self._unfinished = {f.id: before.get(f.id) or _Unfinished(f) for f in folders}
        steps = self._steps()
        found = [_look_at(run, steps.get(name)) for name, run in self._unfinished.items()]
        everything = {row.id: row for row in found if row is not None} | self._finished
        return sorted(everything.values(), key=lambda row: run_number(row.id), reverse=True)

    def _steps(self) -> dict[str, int | None]:
        """The largest step of each unfinished run that the index knows."""
        if not self._unfinished:
            return {}
        rows = {row.id: row for row in self._reader.runs(live=True)}
        ended = (self._reader.run(run) for run in self._unfinished if run not in rows)
        return {row.id: row.step for row in (*rows.values(), *filter(None, ended))}

    @property
    def are_unfinished(self) -> bool:
        """Whether, at the last look, the end of some run was still to come or to be published."""
        return bool(self._unfinished)

    def live(self) -> list[LiveRun]:
        """Runs that had not ended at the last look, oldest first."""
        return [
            (run.folder, run.files.record, run.state)
            for run in self._unfinished.values()
            if run.files and run.state and run.state.status is not RunStatus.ENDED
        ]


def _look_at(run: _Unfinished, step: int | None) -> RunSummary | None:
    """A run as its files tell it, with the step that the index knows; None if it never began."""
    run.state = None
    try:
        record = read_run(run.folder)
        if record is None:
            return None
        if run.files is None or run.files.record is not record:
            run.files = RunFiles(run.folder, record)
        run.state = as_run(run.folder, record, run.files.newest(max_step=step))
        if run.started is None:
            run.started = _first_start(run.folder, record, run.state.attempt)
        return _summary(record, run.state, step, run.started)
    except InvalidFileError as error:
        return _unreadable(run.folder, str(error))


def current_runs(runs: Iterable[RunSummary]) -> dict[str, RunSummary]:
    """The run that tells of each ticket now: the one that lives, else the one that ended last.

    Not the one with the largest number: an older one may have been resumed since.
    """
    found: dict[str, RunSummary] = {}
    for run in runs:
        if run.ticket is not None:
            before = found.get(run.ticket)
            found[run.ticket] = run if before is None else max(before, run, key=_recency)
    return found


def live_and_recent(runs: Sequence[RunSummary], count: int) -> list[RunSummary]:
    """All that live, and up to `count` runs with those that ended last.

    Whenever these began: a long run does not leave the screen by ending.
    """
    live = [run for run in runs if run.status != "ended"]
    ended = (run for run in runs if run.status == "ended")
    return live + nlargest(max(0, count - len(live)), ended, key=_recency)


def _recency(run: RunSummary) -> tuple[float, int, str]:
    return math.inf if run.ended is None else run.ended, len(run.id), run.id


def _known(row: RunRow) -> RunSummary:
    return RunSummary(
        id=row.id,
        ticket=row.ticket,
        experiment=row.experiment,
        status=row.status,
        outcome=row.outcome,
        why=row.why,
        step=row.step,
        planned_steps=row.planned_steps,
        started=row.started,
        ended=row.ended,
        attempt=max(1, row.attempts),
    )


def summary_of(folder: RunFolder, record: RunRecord, row: RunRow | None) -> RunSummary:
    """A run as its files tell it."""
    step = row.step if row is not None else None
    state = state_of(folder, record, max_step=step)
    return _summary(record, state, step, _first_start(folder, record, state.attempt))


def _summary(
    record: RunRecord, state: RunState, step: int | None, started: float | None
) -> RunSummary:
    return RunSummary(
        id=record.id,
        ticket=record.ticket.id if record.ticket else None,
        experiment=record.experiment,
        status=state.status,
        outcome=state.outcome,
        why=state.why,
        step=step,
        planned_steps=record.planned_steps,
        started=started,
        ended=state.attempt.exit.ended if state.attempt.exit else None,
        attempt=state.attempt.number,
    )


def _first_start(folder: RunFolder, record: RunRecord, newest: AttemptState) -> float | None:
    """When the run's programs first began: as the index counts, over all attempts."""
    executor = executor_for(record.executor)
    earlier = (
        attempt_state(attempt, executor).started
        for attempt in folder.attempts()
        if attempt.number < newest.number
    )
    return next((start for start in earlier if start is not None), newest.started)


def _unreadable(folder: RunFolder, why: str) -> RunSummary:
    return RunSummary(
        id=folder.id,
        ticket=None,
        experiment=None,
        status="unreadable",
        outcome=None,
        why=why,
        step=None,
        planned_steps=None,
        started=None,
        ended=None,
    )
