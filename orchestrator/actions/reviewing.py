"""`exp ticket review`: a person's word on each criterion, and the ticket's end."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from orchestrator import tickets
from orchestrator.actions.checking import (
    CheckedCriterion,
    TicketCheck,
    check_ticket,
    judged_as_it_stands,
)
from orchestrator.clock import format_utc
from orchestrator.config import load_config
from orchestrator.domain.criterion import State, Verdict
from orchestrator.domain.review import Decision, Gate, Review
from orchestrator.domain.ticket import TicketStatus
from orchestrator.errors import ConflictError, ExpError, NotFoundError, RefusedError, UsageError
from orchestrator.git import author_of
from orchestrator.tickets import Document
from orchestrator.watch.claims import criteria_of
from orchestrator.watch.committing import repository_for_commits
from orchestrator.watch.reporting import write_report
from orchestrator.watch.ticketing import free_waiting, gates_of
from orchestrator.workspace import Workspace

log = logging.getLogger(__name__)
T = TypeVar("T")

ENDS = {"done": TicketStatus.DONE, "failed": TicketStatus.FAILED, "ready": TicketStatus.READY}
_PAST = {
    Decision.ACCEPT: "accepted",
    Decision.REJECT: "rejected",
    Decision.WAIVE: "waived",
    Decision.NOTE: "noted",
}
_GATES = {
    Gate.PASSED: "passed",
    Gate.WAIVED: "waived",
    Gate.OPEN: "open",
    Gate.UNMET: "not met",
    Gate.REJECTED: "rejected",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What a person says of the criterion with this number."""

    number: int
    decision: Decision
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """The ticket's decision, and why."""

    status: TicketStatus
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a review left behind: files (relative to the workspace), commit, what stood in the way.

    `commit` is None if nothing was to be committed, or could not be.
    """

    paths: tuple[str, ...]
    commit: str | None
    problems: tuple[str, ...]


def facts_for_review(workspace: Workspace, text: str) -> TicketCheck:
    """Everything a person needs to judge a ticket by its newest run.

    Raises:
        NotFoundError: there is no such ticket.
        RefusedError: it was never started, or has no criterion.
    """
    check = check_ticket(workspace, text, explain=True)
    if check.run is None:
        raise RefusedError(
            f"{check.ticket} was never started: there is no evidence to review",
            hint=f"exp ticket start {check.ticket}",
        )
    if not lines_of(check):
        raise RefusedError(f"{check.ticket} has no criteria", hint=f"$EDITOR {check.path}")
    return check


def lines_of(check: TicketCheck) -> list[CheckedCriterion]:
    """The criteria that stand in the ticket now, in its order: the n-th is Cn."""
    found = [row for row in check.criteria if row.number is not None]
    return sorted(found, key=lambda row: row.number or 0)


def reviewer(workspace: Workspace) -> str | None:
    """Whom git knows as the author here, `Ada <ada@example.org>`; None if nobody."""
    return author_of(workspace.root)


def review(
    workspace: Workspace,
    check: TicketCheck,
    words: Sequence[Word],
    *,
    by: str,
    end: End | None = None,
) -> list[str]:
    """Write what a person said into the ticket, all of it or nothing; return the changed files.

    Raises:
        NotFoundError: there is no criterion of such a number.
        UsageError: a rejection or a waiver without a reason.
        RefusedError: the machine's verdict forbids it, or the ticket cannot end so.
        ConflictError: somebody edited the line since it was looked at, or the run still goes on.
        InvalidFileError: the markers in the ticket do not balance.
        EnvironmentFailure: it cannot be written.
    """
    now = time.time()
    told = [_review(check, word, by, now) for word in words]
    if end is not None and check.live:
        raise ConflictError(
            f"{check.run} still goes on: {check.ticket} cannot be decided",
            hint=f"exp run stop {check.run}",
        )
    close = None if end is None else partial(_ended, check=check, end=end, by=by, now=now)
    edit = partial(_edited, check=check, told=told, close=close)
    changed = [check.path] if tickets.edit_file(workspace.root / check.path, edit) else []
    if end is not None and end.status is TicketStatus.DONE:
        changed += free_waiting(workspace, check.ticket)
    return changed


def keep(
    workspace: Workspace, check: TicketCheck, paths: Sequence[str], words: Sequence[str], by: str
) -> Kept:
    """Bring the report up to date, and commit what a review changed, if [git] says so.

    What stands in the way is told and not raised: what was said stands in the ticket.
    """
    problems: list[str] = []
    pages = _attempt(problems, lambda: write_report(workspace, check.ticket, now=time.time()))
    changed = list(dict.fromkeys([*paths, *(pages or [])]))
    commit = None
    if load_config(workspace.root).git.commit == "milestones":
        subject = f"{check.ticket}: {', '.join(words)}"
        commit = _attempt(problems, lambda: _commit(workspace, check, changed, subject, by))
    return Kept(paths=tuple(changed), commit=commit, problems=tuple(problems))


def in_short(word: Word) -> str:
    """`C2 accepted`."""
    return f"C{word.number} {_PAST[word.decision]}"


def open_gates(workspace: Workspace, check: TicketCheck) -> list[str]:
    """What keeps a ticket from DONE: `C2 (rejected)`, …; nothing if it could be."""
    document = tickets.find(workspace.tickets, check.ticket)
    return _in_the_way(document, check)


def _review(check: TicketCheck, word: Word, by: str, now: float) -> Review:
    row = _row(check, word.number)
    verdict = judged_as_it_stands(row)
    if word.decision is not Decision.ACCEPT and not word.reason.strip():
        raise UsageError(
            f"C{word.number} cannot be {_PAST[word.decision]} without a reason",
            hint='--reason "the data of the evaluation leaked"',
        )
    state = verdict.state if verdict else None
    goal = row.polarity == "positive"
    if word.decision is Decision.ACCEPT and goal and state in {State.FAILED, State.PENDING}:
        said = "failed" if state is State.FAILED else "is not decided yet"
        raise RefusedError(
            f"C{word.number} {said} by the evidence of {check.run}: it cannot be accepted",
            hint=f"exp ticket review {check.ticket} --non-interactive --waive C{word.number}"
            " --reason …",
        )
    return Review(
        ticket=check.ticket,
        key=tickets.plain_key(row.key),
        decision=word.decision,
        by=by,
        time=float(int(now)),
        reason=word.reason,
        seen=tickets.line_seen(check.run, row.line_text, verdict),
    )


def _row(check: TicketCheck, number: int) -> CheckedCriterion:
    rows = lines_of(check)
    if not 1 <= number <= len(rows):
        raise NotFoundError(
            f"{check.ticket} has no criterion C{number}: they are C1 to C{len(rows)}",
            hint=f"exp ticket show {check.ticket}",
        )
    return rows[number - 1]


def _edited(
    document: Document,
    *,
    check: TicketCheck,
    told: Sequence[Review],
    close: tickets.Edit | None,
) -> Document:
    _insist_on_same_lines(document, check, told)
    document = tickets.add_reviews(document, told)
    document = _ticked(document, check, told)
    return document if close is None else close(document)


def _insist_on_same_lines(document: Document, check: TicketCheck, told: Sequence[Review]) -> None:
    """What a person has not seen they cannot have judged."""
    claims = {tickets.plain_key(claim.key): claim for claim in criteria_of(document)}
    for one in told:
        claim = claims.get(one.key)
        if claim is None or tickets.line_seen(None, claim.text, None).claim != one.seen.claim:
            raise ConflictError(
                f"{check.path}: somebody edited the line “{one.key}” meanwhile",
                hint=f"exp ticket review {check.ticket}",
            )


def _ticked(document: Document, check: TicketCheck, told: Sequence[Review]) -> Document:
    """Tick what a person accepted; a rejection unticks nothing."""
    goals = {
        tickets.plain_key(row.key)
        for row in lines_of(check)
        if row.tickable and row.polarity == "positive"
    }
    accepted = {one.key for one in told if one.decision is Decision.ACCEPT} & goals
    boxes = document.ticket.checkboxes
    return document.set_boxes(
        {box.key: True for box in boxes if tickets.plain_key(box.key) in accepted}
    )


def _ended(document: Document, *, check: TicketCheck, end: End, by: str, now: float) -> Document:
    obstacles = _in_the_way(document, check)
    if end.status is TicketStatus.DONE and obstacles:
        raise RefusedError(
            f"{check.ticket} cannot be DONE: {', '.join(obstacles)}",
            hint=f"accept or waive these, or: exp ticket review {check.ticket} --non-interactive"
            " --decide failed",
        )
    counts = _tally(_gates(document, check))
    reason = f" {end.reason.strip()}" if end.reason.strip() else ""
    words = (
        f"**{end.status}** by {by} on {format_utc(now)}, after {check.run}"
        f" {check.run_status}: {counts}.{reason}"
    )
    document = document.set_block("Outcome", "outcome-review", words)
    return document.set_field("Status", end.status).set_field("Phase", "—")


def _verdicts(check: TicketCheck) -> dict[str, Verdict]:
    judged = {row.key: judged_as_it_stands(row) for row in lines_of(check)}
    return {key: verdict for key, verdict in judged.items() if verdict is not None}


def _gates(document: Document, check: TicketCheck) -> dict[str, Gate]:
    return gates_of(document, _verdicts(check), check.run or "")


def _in_the_way(document: Document, check: TicketCheck) -> list[str]:
    numbers = {claim.key: number for number, claim in enumerate(criteria_of(document), 1)}
    gates = _gates(document, check)
    if Gate.PASSED not in gates.values():
        return ["no required criterion is met or accepted"]
    passing = {Gate.PASSED, Gate.WAIVED}
    return [f"C{numbers[k]} ({_GATES[g]})" for k, g in gates.items() if g not in passing]


def _tally(gates: dict[str, Gate]) -> str:
    """`2 passed, 1 waived of 3 required criteria`."""
    counts = [(list(gates.values()).count(gate), word) for gate, word in _GATES.items()]
    said = ", ".join(f"{count} {word}" for count, word in counts if count)
    return f"{said or 'none'} of {len(gates)} required criteria"


def _attempt(problems: list[str], step: Callable[[], T]) -> T | None:
    try:
        return step()
    except ExpError as error:
        log.warning("review: %s", error, exc_info=True)
        problems.append(f"{error}; {error.hint}" if error.hint else str(error))
        return None


def _commit(
    workspace: Workspace, check: TicketCheck, paths: Sequence[str], subject: str, by: str
) -> str | None:
    repository = repository_for_commits(workspace)
    if repository is None:
        return None
    return repository.commit(
        [workspace.root / path for path in paths],
        subject=subject,
        trailers={"Ticket": check.ticket, "Run": check.run or "", "Reviewed-by": by},
    )
