"""The questions that both sides of the index ask of an open connection."""

import json
import sqlite3
from collections.abc import Collection
from math import nan
from typing import Any

from orchestrator.domain.criterion import Evidence, Projection, State, Verdict
from orchestrator.domain.facts import Checkpoint
from orchestrator.domain.run import Outcome, RunStatus
from orchestrator.domain.ticket import Checkbox, Ticket
from orchestrator.store.progress import attempt_steps
from orchestrator.store.rows import (
    AttemptRow,
    CachedTicket,
    LatestValue,
    RunRow,
    SeriesRow,
    SourceRow,
    Tally,
    VerdictRow,
)

_RUN = """id ticket title experiment created host executor status outcome why phase step
    planned_steps attempts started ended commit params"""
_ATTEMPT = """run number started ended host pid code signal max_rss oom_kill error stop_by
    stop_why"""
_VERDICT = """run position key text section required state final why value margin unit evidence
    polarity projection companions"""
_TICKET = "id title path status phase after before experiment checkboxes blob mtime_ns size"
_CHECKPOINT = "step path bytes files time valid attempt"
_SERIES = "run name count nonfinite low high max_step step value time"
_SOURCE = "path attempt offset line broken broken_lines"

_LATEST = """SELECT run, name, step, value, time FROM series
    WHERE run IN (SELECT value FROM json_each(?))"""

_TALLIES = """SELECT run, sum(polarity = 'positive' AND state = 'met'),
    sum(polarity = 'positive') FROM verdict
    WHERE run IN (SELECT value FROM json_each(?)) GROUP BY run"""

Words = dict[str, Any]


def version(connection: sqlite3.Connection) -> int:
    """A number that is another one once somebody else has changed the database."""
    (number,) = connection.execute("PRAGMA data_version").fetchone()
    return int(number)


def runs(
    connection: sqlite3.Connection,
    ticket: str | None,
    status: RunStatus | None,
    limit: int | None,
    live: bool,
) -> list[RunRow]:
    """Runs of a ticket and in a status, newest first."""
    rest = """run WHERE (:ticket IS NULL OR ticket = :ticket)
        AND (:status IS NULL OR status = :status)
        AND (NOT :live OR status IN ('queued', 'starting', 'running', 'stopping'))
        ORDER BY created DESC, id DESC LIMIT :limit"""
    words: Words = {"ticket": ticket, "status": status and str(status), "live": live}
    words["limit"] = -1 if limit is None else limit  # SQLite's word for no limit
    return [_run(row) for row in _select(connection, _RUN, rest, words)]


def run(connection: sqlite3.Connection, name: str) -> list[RunRow]:
    """One run, or none."""
    return [_run(row) for row in _select(connection, _RUN, "run WHERE id = ?", (name,))]


def attempts(connection: sqlite3.Connection, run: str) -> list[AttemptRow]:
    """Attempts of a run, oldest first."""
    rows = _select(connection, _ATTEMPT, "attempt WHERE run = ? ORDER BY number", (run,))
    return [_attempt(connection, row) for row in rows]


def latest(
    connection: sqlite3.Connection, runs: Collection[str]
) -> dict[str, dict[str, LatestValue]]:
    """Last points by run and metric."""
    found: dict[str, dict[str, LatestValue]] = {}
    current, values = None, {}
    words = (json.dumps(list(runs)),)
    # Ten thousand rows are common, and they come run by run.
    for run, name, step, value, time in connection.execute(_LATEST, words):
        if run != current:
            current, values = run, found.setdefault(run, {})
        values[name] = LatestValue(step, nan if value is None else value, time)
    return found


def series(connection: sqlite3.Connection, run: str) -> dict[str, SeriesRow]:
    """Metrics of a run, by name."""
    rows = _select(connection, _SERIES, "series WHERE run = ? ORDER BY name", (run,))
    return {row["name"]: _series(row) for row in rows}


def verdicts(connection: sqlite3.Connection, run: str) -> list[VerdictRow]:
    """Verdicts of a run in the ticket's order."""
    rest = "verdict WHERE run = ? ORDER BY position"
    return [_verdict(row) for row in _select(connection, _VERDICT, rest, (run,))]


def tallies(connection: sqlite3.Connection, runs: Collection[str]) -> dict[str, Tally]:
    """How many goals of these runs are met; runs without verdicts are absent."""
    found = connection.execute(_TALLIES, (json.dumps(list(runs)),))
    return {run: Tally(met, goals) for run, met, goals in found}


def checkpoints(connection: sqlite3.Connection, run: str) -> list[Checkpoint]:
    """Checkpoints of a run by attempt and step."""
    rest = "checkpoint WHERE run = ? ORDER BY attempt, step, path"
    rows = _select(connection, _CHECKPOINT, rest, (run,))
    return [Checkpoint(**row | {"valid": bool(row["valid"])}) for row in rows]


def tickets(connection: sqlite3.Connection) -> list[CachedTicket]:
    """Tickets by path."""
    return [_ticket(row) for row in _select(connection, _TICKET, "ticket ORDER BY path")]


def sources(connection: sqlite3.Connection, run: str) -> list[SourceRow]:
    """Event files of a run."""
    rest = "source WHERE run = ? ORDER BY attempt, path"
    return [_source(row) for row in _select(connection, _SOURCE, rest, (run,))]


def _select(
    connection: sqlite3.Connection, columns: str, rest: str, words: Any = ()
) -> list[Words]:
    names = columns.split()
    quoted = ", ".join(f'"{name}"' for name in names)
    rows = connection.execute(f"SELECT {quoted} FROM {rest}", words).fetchall()  # noqa: S608 - our own words only
    return [dict(zip(names, row, strict=True)) for row in rows]


def _attempt(connection: sqlite3.Connection, row: Words) -> AttemptRow:
    first, last = attempt_steps(connection, row["run"], row["number"])
    return AttemptRow(**row, first_step=first, step=last)


def _run(row: Words) -> RunRow:
    row["status"] = RunStatus(row["status"])
    row["outcome"] = None if row["outcome"] is None else Outcome(row["outcome"])
    row["params"] = json.loads(row["params"])
    return RunRow(**row)


def _series(row: Words) -> SeriesRow:
    step, value, time = row.pop("step"), row.pop("value"), row.pop("time")
    return SeriesRow(**row, latest=LatestValue(step, nan if value is None else value, time))


def _source(row: Words) -> SourceRow:
    return SourceRow(
        path=row["path"],
        attempt=row["attempt"],
        bytes=row["offset"],
        lines=row["line"],
        broken=row["broken"],
        broken_lines=tuple(json.loads(row["broken_lines"])),
    )


def _verdict(row: Words) -> VerdictRow:
    kept = {name: row[name] for name in ("run", "position", "key", "text", "section")}
    evidence, projection = row["evidence"], row["projection"]
    verdict = Verdict(
        state=State(row["state"]),
        final=bool(row["final"]),
        why=row["why"],
        value=_real(row["value"]),
        margin=_real(row["margin"]),
        unit=row["unit"],
        evidence=None if evidence is None else Evidence(**json.loads(evidence)),
        projection=None if projection is None else Projection(**json.loads(projection)),
        companions=tuple(json.loads(row["companions"])),
    )
    required = bool(row["required"])
    return VerdictRow(**kept, required=required, polarity=row["polarity"], verdict=verdict)


def _real(value: Any) -> float | None:
    return None if value is None else float(value)  # the text 'NaN' too


def _ticket(row: Words) -> CachedTicket:
    mtime_ns, size = row.pop("mtime_ns"), row.pop("size")
    row["after"] = tuple(json.loads(row["after"]))
    row["before"] = tuple(json.loads(row["before"]))
    row["checkboxes"] = tuple(Checkbox(**box) for box in json.loads(row["checkboxes"]))
    return CachedTicket(ticket=Ticket(**row), mtime_ns=mtime_ns, size=size)
