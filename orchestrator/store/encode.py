"""Domain values → rows of the tables."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from orchestrator.codec import read_record_if_present
from orchestrator.domain.criterion import Criterion, Verdict
from orchestrator.domain.facts import Checkpoint
from orchestrator.domain.run import (
    AttemptState,
    ExitRecord,
    Identity,
    RunRecord,
    RunState,
    RunStatus,
    StopRequest,
)
from orchestrator.store import schema
from orchestrator.store.rows import CachedTicket
from orchestrator.workspace import RunFolder

Words = dict[str, Any]


def run_row(record: RunRecord, state: RunState) -> schema.Run:
    """The run; `step`, `phase` and `started` follow from other tables and are filled in later."""
    exit_record = state.attempt.exit
    ended = exit_record.ended if state.status is RunStatus.ENDED and exit_record else None
    return schema.Run(
        id=record.id,
        ticket=record.ticket.id if record.ticket else None,
        title=record.ticket.title if record.ticket else None,
        experiment=record.experiment,
        created=record.created,
        host=record.host,
        executor=record.executor,
        status=str(state.status),
        outcome=str(state.outcome) if state.outcome else None,
        why=state.why,
        phase=None,
        step=None,
        planned_steps=record.planned_steps,
        attempts=state.attempt.number,
        started=None,
        ended=ended,
        commit=record.git.commit if record.git else None,
        params=_json(record.params),
    )


def attempt_rows(run: str, state: RunState, folder: RunFolder | None) -> list[schema.Attempt]:
    """The present attempt and, from their files, those before it.

    Raises:
        InvalidFileError: a record of an earlier attempt cannot be read.
    """
    earlier = [
        AttemptState(
            number=attempt.number,
            process=read_record_if_present(Identity, attempt.process_file),
            exit=read_record_if_present(ExitRecord, attempt.exit_file),
            stop=read_record_if_present(StopRequest, attempt.stop_file),
        )
        for attempt in (folder.attempts() if folder else [])
        if attempt.number < state.attempt.number
    ]
    return [_attempt(run, attempt) for attempt in (*earlier, state.attempt)]


def _attempt(run: str, attempt: AttemptState) -> schema.Attempt:
    process, ended, stop = attempt.process, attempt.exit, attempt.stop
    started = attempt.started
    return schema.Attempt(
        run=run,
        number=attempt.number,
        started=ended.started if started is None and ended else started,
        ended=ended.ended if ended else None,
        host=process.host if process else None,
        pid=process.pid if process else None,
        code=ended.code if ended else None,
        signal=ended.signal if ended else None,
        max_rss=ended.max_rss if ended else None,
        oom_kill=ended.oom_kill if ended else None,
        error=ended.error if ended else None,
        stop_by=stop.by if stop else None,
        stop_why=stop.why if stop else None,
    )


def ticket_row(cached: CachedTicket) -> schema.Ticket:
    """A parsed ticket with what tells that its file has not changed."""
    ticket = cached.ticket
    return schema.Ticket(
        path=ticket.path,
        id=ticket.id,
        title=ticket.title,
        status=ticket.status,
        phase=ticket.phase,
        experiment=ticket.experiment,
        after=_json(ticket.after),
        before=_json(ticket.before),
        checkboxes=_json([asdict(box) for box in ticket.checkboxes]),
        blob=ticket.blob,
        mtime_ns=cached.mtime_ns,
        size=cached.size,
    )


def checkpoint_row(run: str, checkpoint: Checkpoint) -> schema.Checkpoint:
    """A checkpoint of a run."""
    return schema.Checkpoint(run=run, **asdict(checkpoint))


def verdict_rows(
    run: str, criteria: Sequence[Criterion], verdicts: Sequence[Verdict]
) -> list[Words]:
    """The words of a row for each criterion, in the ticket's order.

    Not by way of the table's class, which takes longer than the statement: the watcher writes
    verdicts all the time.

    Raises:
        ValueError: there are not as many verdicts as criteria.
    """
    pairs = enumerate(zip(criteria, verdicts, strict=True))
    return [
        _stored(
            {
                "run": run,
                "position": position,
                "key": criterion.key,
                "text": criterion.text,
                "section": criterion.section,
                "required": criterion.required,
                "state": str(verdict.state),
                "final": verdict.final,
                "why": verdict.why,
                "value": verdict.value,
                "margin": verdict.margin,
                "unit": verdict.unit,
                "evidence": _json(asdict(verdict.evidence)) if verdict.evidence else None,
                "polarity": criterion.reading.polarity,
                "projection": _json(asdict(verdict.projection)) if verdict.projection else None,
                "companions": _json(list(verdict.companions)),
            }
        )
        for position, (criterion, verdict) in pairs
    ]


def words_of(row: schema.Table) -> Words:
    """A row as the words of a statement."""
    return _stored(row.model_dump())


def _stored(words: Words) -> Words:
    """NaN becomes text: SQLite would make it NULL, which says here that there is no value."""
    return {
        name: "NaN" if isinstance(value, float) and math.isnan(value) else value
        for name, value in words.items()
    }


def _json(value: Any) -> str:
    return json.dumps(value, default=str, separators=(",", ":"))
