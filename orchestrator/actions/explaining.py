"""`exp run explain`: the story of a run's attempts, with the arithmetic behind each decision."""

import time
from dataclasses import dataclass

from orchestrator.actions.follow import require_record
from orchestrator.domain.retry import Retry
from orchestrator.domain.run import Budget
from orchestrator.store import Reader
from orchestrator.watch.live import state_of
from orchestrator.watch.spending import spent
from orchestrator.watch.stories import AttemptStory, stories
from orchestrator.workspace import RunFolder, Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What happened to a run. `wall` is in seconds, over all attempts; so are `gpu_hours`."""

    run: str
    status: str
    why: str
    attempts: tuple[AttemptStory, ...]
    retry: Retry
    budget: Budget
    time_limit: float | None
    wall: float
    gpu_hours: float


def explain_run(workspace: Workspace, folder: RunFolder) -> Explanation:
    """Gather what is known of a run's attempts.

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
    )
