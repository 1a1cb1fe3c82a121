"""`exp run explain`: the story of a run's attempts, with the arithmetic behind each decision."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.actions.doctor import OnRead, examine_run
from orchestrator.actions.follow import require_record
from orchestrator.domain.finding import Finding
from orchestrator.domain.retry import Retry
from orchestrator.domain.run import Budget, Outcome, RunRecord, RunState, RunStatus
from orchestrator.store import Reader
from orchestrator.watch.findings import ledger_of, open_findings
from orchestrator.watch.live import state_of
from orchestrator.watch.spending import spent
from orchestrator.watch.stories import AttemptStory, stories
from orchestrator.workspace import RunFolder, Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class NextStep:
    """A command, and what it is good for."""

    command: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What happened to a run. `wall` is in seconds, over all attempts; so are `gpu_hours`.

    `findings` are what is wrong with it, the worst first.
    """

    run: str
    status: str
    why: str
    attempts: tuple[AttemptStory, ...]
    retry: Retry
    budget: Budget
    time_limit: float | None
    wall: float
    gpu_hours: float
    findings: tuple[Finding, ...]
    next_steps: tuple[NextStep, ...]


def explain_run(workspace: Workspace, folder: RunFolder, on_read: OnRead) -> Explanation:
    """Gather what is known of a run's attempts, and what is wrong with it.

    Findings are those that the watcher has written down; if it never looked, the run is diagnosed
    now, and `on_read` hears how far its logs have been read.

    Raises:
        NotFoundError: its launch died before it was a run.
    """
    record = require_record(folder)
    with Reader(workspace.database) as reader:
        row = reader.run(folder.id)
        told = stories(folder, record, reader)
    state = state_of(folder, record, max_step=row.step if row else None)
    number, ended, started = state.attempt.number, state.attempt.exit, state.attempt.started
    if ended is not None:
        elapsed = ended.seconds
    else:
        elapsed = 0.0 if started is None else max(0.0, time.time() - started)
    used = spent(folder, record, number, elapsed)
    findings = open_findings(folder)
    if ledger_of(folder) is None:
        findings = examine_run(workspace, folder, on_read).findings
    return Explanation(
        run=folder.id,
        status=state.outcome or state.status,
        why=state.why,
        attempts=told,
        retry=record.retry,
        budget=record.budget,
        time_limit=record.resources.get("time_limit"),
        wall=used.wall,
        gpu_hours=used.gpu_hours,
        findings=findings,
        next_steps=tuple(_next_steps(record, state, told)),
    )


def _next_steps(
    record: RunRecord, state: RunState, told: tuple[AttemptStory, ...]
) -> Iterator[NextStep]:
    """What may be done now, the likeliest first."""
    run = record.id
    ticket = record.ticket.id if record.ticket else None
    if state.status is not RunStatus.ENDED:
        yield NextStep(command=f"exp run logs -f {run}", why="follow what it prints")
        yield NextStep(command=f"exp run stop {run}", why="end it, with time to save")
        return
    if state.outcome is Outcome.COMPLETED:
        if ticket is not None:
            yield NextStep(command=f"exp ticket check {ticket}", why="what it says of the criteria")
        return
    yield NextStep(command=f"exp run logs {run}", why="what it printed")
    step = told[-1].checkpoint if told else None
    where = "from its start" if step is None else f"from the checkpoint of step {step:,}"
    yield NextStep(command=f"exp run resume {run}", why=f"once that is mended, go on {where}")
    if ticket is not None:
        yield NextStep(command=f"exp ticket start {ticket}", why="or begin anew, in another run")
