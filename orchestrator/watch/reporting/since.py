"""What counts as before: the run before, or what `--since` names."""

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime

from orchestrator import tickets
from orchestrator.clock import format_utc
from orchestrator.errors import NotFoundError, UsageError
from orchestrator.git import Repository, commit_at, commit_named
from orchestrator.ids import run_id, run_number
from orchestrator.report.changes import Since
from orchestrator.store import Reader
from orchestrator.watch.reporting.subject import Ran, runs_of
from orchestrator.workspace import Workspace

_UNITS = {"m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
_AGE = re.compile(rf"(\d{{1,4}}(?:\.\d+)?)\s*({'|'.join(_UNITS)})", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_RUN = re.compile(r"R-?\d{1,9}", re.IGNORECASE | re.ASCII)
_SHOWN = 10  # characters of a commit's id
_HELP = "name a run (R-000003), a date (2026-11-20T18:00), an age (2d, 12h) or a commit"


def run_before(others: Sequence[Ran]) -> Since | None:
    """The run that ended last among the ticket's other runs; None without one."""
    ended = [ran for ran in others if ran.ended < math.inf]
    return _of_run(ended[-1]) if ended else None


def since_of(workspace: Workspace, ticket_id: str, text: str, *, now: float) -> Since:
    """What `--since` names, for a report of this ticket: a run, a time, an age or a commit.

    A date without a time zone is UTC. Of a run its end counts.

    Raises:
        UsageError: the text is empty, lies in the future, or names the run of the report.
        NotFoundError: there is no such ticket, run or commit.
    """
    ticket = tickets.find(workspace.tickets, ticket_id).ticket
    words = text.strip()
    with Reader(workspace.database) as reader:
        runs = runs_of(workspace, reader, ticket.id)
    if _RUN.fullmatch(words):
        return _named_run(runs, words, ticket.id)
    time = _time_of(words, now)
    if time is not None:
        return _at(workspace, runs, time, label=format_utc(time))
    repository = Repository.find(workspace.root)
    found = commit_named(repository, words) if repository and words else None
    if found is None:
        raise NotFoundError(f"--since {text!r} is no run, time, age or commit", hint=_HELP)
    commit, committed = found
    place = _at(workspace, runs, committed, label=commit[:_SHOWN])
    return Since(label=place.label, time=place.time, run=place.run, commit=commit)


def _of_run(ran: Ran) -> Since:
    git = ran.record.git
    return Since(label=ran.id, time=ran.ended, run=ran.id, commit=git.commit if git else None)


def _named_run(runs: Sequence[Ran], words: str, ticket_id: str) -> Since:
    name = run_id(run_number(f"R-{words[1:].removeprefix('-')}"))
    known = {ran.id: ran for ran in runs}
    if name not in known:
        raise NotFoundError(f"{ticket_id} has no run {name}", hint=f"exp run list {ticket_id}")
    if known[name] is runs[-1]:
        raise UsageError(
            f"--since {name}: that is the run that the report is about",
            hint=f"name an earlier run: exp run list {ticket_id}",
        )
    return _of_run(known[name])


def _time_of(words: str, now: float) -> float | None:
    """Seconds since the epoch; None if the words are no time."""
    age = _AGE.fullmatch(words)
    if age is not None:
        return now - float(age[1]) * _UNITS[age[2]]
    if not _DATE.match(words):
        return None
    try:
        moment = datetime.fromisoformat(words)
    except ValueError as error:
        raise UsageError(f"--since {words!r} is no date: {error}", hint=_HELP) from error
    time = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if time > now:
        raise UsageError(
            f"--since {words!r} lies in the future: it is {format_utc(now)}", hint=_HELP
        )
    return time


def _at(workspace: Workspace, runs: Sequence[Ran], time: float, *, label: str) -> Since:
    """A moment, with the earlier run that was the newest by then and the code of that time."""
    earlier = [ran for ran in runs[:-1] if ran.record.created <= time]
    run = max(earlier, key=lambda ran: ran.record.created, default=None)
    repository = Repository.find(workspace.root)
    commit = commit_at(repository, time) if repository is not None else None
    return Since(label=label, time=time, run=run.id if run else None, commit=commit)
