"""Runs in short: what lists of them show."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.domain.run import AttemptState, RunRecord
from orchestrator.errors import InvalidFileError
from orchestrator.executors import executor_for
from orchestrator.store import Reader
from orchestrator.store.rows import RunRow
from orchestrator.watch.lifecycle import attempt_state, read_run
from orchestrator.watch.live import is_finished, state_of
from orchestrator.workspace import RunFolder, Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """One line of `exp run list` and of `exp status`."""

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


def list_runs(
    workspace: Workspace, *, ticket: str | None = None, limit: int | None = None
) -> list[RunSummary]:
    """Runs, newest first. What the index does not know as ended is looked up in the files."""
    with Reader(workspace.database) as reader:
        known = {row.id: row for row in reader.runs()}
    rows = []
    for folder in reversed(list(workspace.run_folders())):
        row = known.get(folder.id)
        finished = row is not None and is_finished(folder, row)
        summary = _known(row) if row is not None and finished else _live(folder, row)
        if summary is not None and (ticket is None or summary.ticket == ticket):
            rows.append(summary)
        if limit is not None and len(rows) == limit:
            break
    return rows


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
    )


def _live(folder: RunFolder, row: RunRow | None) -> RunSummary | None:
    """A run as its files tell it, with the step that the index knows; None if it never began."""
    try:
        record = read_run(folder)
    except InvalidFileError as error:
        return _unreadable(folder, str(error))
    return None if record is None else summary_of(folder, record, row)


def summary_of(folder: RunFolder, record: RunRecord, row: RunRow | None) -> RunSummary:
    """A run as its files tell it."""
    step = row.step if row is not None else None
    state = state_of(folder, record, max_step=step)
    ended = state.attempt.exit.ended if state.attempt.exit else None
    return RunSummary(
        id=folder.id,
        ticket=record.ticket.id if record.ticket else None,
        experiment=record.experiment,
        status=state.status,
        outcome=state.outcome,
        why=state.why,
        step=step,
        planned_steps=record.planned_steps,
        started=_first_start(folder, record, state.attempt),
        ended=ended,
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
