"""`exp queue`: who waits for what, and who has what."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from orchestrator.config import load_config
from orchestrator.domain.attempt import AttemptRequest
from orchestrator.domain.run import RunRecord, RunState, RunStatus
from orchestrator.watch.daemon import ensure_watcher
from orchestrator.watch.live import LiveRun, live_runs
from orchestrator.watch.queue import cpu_slots, gpus_wanted, turn
from orchestrator.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingRun:
    """A run that waits: what it needs, what it waits for, and its place in the queue (from 1).

    `since` is when its attempt was asked for. `slots` is None where CPU slots are not counted.
    """

    run: str
    ticket: str | None
    attempt: int
    priority: int
    since: float
    gpus: int
    slots: int | None
    after: tuple[str, ...]
    why: str
    position: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldingRun:
    """A run that has started: the GPUs (by UUID) and CPU slots it was given, and when."""

    run: str
    ticket: str | None
    status: str
    since: float | None
    gpus: tuple[str, ...]
    slots: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """Everything that `exp queue` shows; `slots` is the number of CPU slots, None for no limit."""

    waiting: tuple[WaitingRun, ...]
    holding: tuple[HoldingRun, ...]
    slots: int | None
    slots_free: int | None


def look_at_queue(workspace: Workspace) -> Queue:
    """Look at every live run; start a watcher if one waits."""
    found = queue_of(live_runs(workspace), load_config(workspace.root).queue.cpus)
    if found.waiting:
        ensure_watcher(workspace)
    return found


def queue_of(live: Iterable[LiveRun], limit: int | None) -> Queue:
    """Who of these live runs waits, and who has what; `limit` is the number of CPU slots."""
    waiting, holding = [], []
    for _, record, state in live:
        request = state.attempt.request
        if state.status is RunStatus.QUEUED and request is not None:
            waiting.append(_waiting(record, state, request, limit))
        else:
            holding.append(_holding(record, state, limit))
    waiting.sort(key=lambda row: turn(row.priority, row.since, row.run))
    rows = [replace(row, position=number) for number, row in enumerate(waiting, 1)]
    used = sum(run.slots or 0 for run in holding)
    return Queue(
        waiting=tuple(rows),
        holding=tuple(holding),
        slots=limit,
        slots_free=None if limit is None else max(0, limit - used),
    )


def _waiting(
    record: RunRecord, state: RunState, request: AttemptRequest, limit: int | None
) -> WaitingRun:
    return WaitingRun(
        run=record.id,
        ticket=record.ticket.id if record.ticket else None,
        attempt=state.attempt.number,
        priority=request.priority,
        since=request.time,
        gpus=gpus_wanted(record),
        slots=cpu_slots(record) if limit is not None else None,
        after=request.after,
        why=state.why,
    )


def _holding(record: RunRecord, state: RunState, limit: int | None) -> HoldingRun:
    lease = state.attempt.lease
    return HoldingRun(
        run=record.id,
        ticket=record.ticket.id if record.ticket else None,
        status=state.status,
        since=lease.time if lease else state.attempt.started,
        gpus=(lease.gpus if lease else None) or (),
        slots=lease.cpus if lease and limit is not None else None,
    )
