"""How far a run is, as its events and points tell: columns `step` and `phase` of `run`."""

import json
import sqlite3

from orchestrator.domain.hardware import SAMPLED
from orchestrator.domain.series import furthest

_LAST = """SELECT event.data, event.time FROM event JOIN source ON source.id = event.source
    WHERE source.run = :run AND event.name = :name
      AND source.attempt = (SELECT max(attempt) FROM source WHERE run = :run)
    ORDER BY event.time DESC, source.path DESC, event.line DESC LIMIT 1"""


def max_step(connection: sqlite3.Connection, run: str) -> int | None:
    """The largest step of any metric that a program logged, in any attempt; None without points."""
    rows = connection.execute("SELECT name, max_step FROM series WHERE run = ?", (run,))
    return furthest(dict(rows.fetchall()))


def attempt_steps(
    connection: sqlite3.Connection, run: str, attempt: int
) -> tuple[int | None, int | None]:
    """The first and the largest step that the programs of an attempt logged."""
    # The key of `point` begins with the stream and the line: one look-up a stream.
    first, last = connection.execute(
        """SELECT min((SELECT step FROM point WHERE point.stream = stream.id
            ORDER BY point.line LIMIT 1)), max(stream.max_step)
        FROM stream JOIN source ON source.id = stream.source
        WHERE source.run = ? AND source.attempt = ? AND stream.name NOT GLOB ?""",
        (run, attempt, f"{SAMPLED}*"),
    ).fetchone()
    return first, last


def phase(connection: sqlite3.Connection, run: str) -> str | None:
    """What the last attempt is doing: its program's phase, or a phase inside that program."""
    program, begun = _open(connection, run, "process")
    inner, entered = _open(connection, run, "phase")
    return inner if inner is not None and entered >= begun else program


def refresh_step(connection: sqlite3.Connection, run: str) -> None:
    """Bring `run.step` up to date, if the run is known yet."""
    put_step(connection, run, max_step(connection, run))


def put_step(connection: sqlite3.Connection, run: str, step: int | None) -> None:
    """Store how far a run is, if the run is known yet."""
    connection.execute("UPDATE run SET step = ? WHERE id = ?", (step, run))


def refresh_phase(connection: sqlite3.Connection, run: str) -> None:
    """Bring `run.phase` up to date, if the run is known yet; an ended run has none."""
    connection.execute(
        "UPDATE run SET phase = CASE status WHEN 'ended' THEN NULL ELSE ? END WHERE id = ?",
        (phase(connection, run), run),
    )


def _open(connection: sqlite3.Connection, run: str, name: str) -> tuple[str | None, float]:
    """The phase that the last event of this name began, and when; None if it ended it."""
    row = connection.execute(_LAST, {"run": run, "name": name}).fetchone()
    if row is None:
        return None, float("-inf")
    data = json.loads(row[0])
    begun = data.get("phase") if data.get("state") == "begin" else None
    return (begun if isinstance(begun, str) else None), row[1]
