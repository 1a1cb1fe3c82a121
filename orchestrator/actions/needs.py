"""What needs a person: sentences, each with the next command."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from orchestrator.codec import read_record_if_present
from orchestrator.domain.attempt import NEEDS
from orchestrator.domain.criterion import State
from orchestrator.domain.finding import Severity
from orchestrator.domain.review import undone, waits
from orchestrator.domain.run import ExitRecord
from orchestrator.procs import pids_of_run
from orchestrator.tickets import without_predicate
from orchestrator.workspace import RunFolder, Workspace

if TYPE_CHECKING:
    from orchestrator.actions.overview import RunOverview
    from orchestrator.actions.rows import CriterionRow, TicketRow


def needs_of(
    workspace: Workspace, runs: "tuple[RunOverview, ...]", tickets: "Iterable[TicketRow]"
) -> tuple[str, ...]:
    """Everything that waits for a person, what is worst first."""
    return (
        *_alarms(runs),
        *_errors(runs),
        *_queue_needs(runs),
        *_host_needs(workspace, runs),
        *_ticket_needs(tickets, {seen.run.id: seen.criteria for seen in runs}),
    )


def _alarms(runs: "tuple[RunOverview, ...]") -> Iterator[str]:
    """Alarms of live runs that are true now."""
    for seen in runs:
        for row in seen.criteria if seen.run.status != "ended" else ():
            if (
                row.polarity == "inverted"
                and row.verdict is not None
                and row.verdict.state is State.MET
            ):
                yield f"{seen.run.ticket}: alarm: {row.text} (exp run logs {seen.run.id})"


def _errors(runs: "tuple[RunOverview, ...]") -> Iterator[str]:
    """What makes the result of a live run wrong or lost."""
    for seen in runs:
        for finding in seen.findings if seen.run.status != "ended" else ():
            if finding.severity is Severity.ERROR:
                name = seen.run.ticket or seen.run.id
                yield f"{name}: {finding.title} (exp doctor {seen.run.id})"


def _queue_needs(runs: "tuple[RunOverview, ...]") -> Iterator[str]:
    """Runs that wait for what only a person can give them."""
    for seen in runs:
        if seen.run.status == "queued" and seen.run.why.startswith(NEEDS):
            yield f"{seen.run.id} {seen.run.why}"


def _host_needs(workspace: Workspace, runs: "tuple[RunOverview, ...]") -> Iterator[str]:
    """What only the owner of the machine can set right."""
    for seen in runs:
        ended = seen.run.attempt - (seen.run.status != "ended")
        if not ended:
            continue  # nearly every live run: nothing to look for
        folder = RunFolder(workspace.runs / seen.run.id)
        files = (folder.attempt(number).exit_file for number in range(1, ended + 1))
        ends = [read_record_if_present(ExitRecord, file) for file in files]
        survived = any(end is not None and end.survivors for end in ends)
        if survived and (pids := pids_of_run(folder.path)):
            yield f"{seen.run.id}: processes {pids} cannot be killed: this host needs attention"
    if workspace.damaged_database.exists():
        yield (
            "the index was damaged, and has been made again from the files: look at the disk"
            f" (rm {workspace.damaged_database})"
        )


def _ticket_needs(
    tickets: "Iterable[TicketRow]", criteria: "Mapping[str, Sequence[CriterionRow]]"
) -> Iterator[str]:
    for ticket in tickets:
        rows = criteria.get(ticket.run or "", ())
        if ticket.status == "ONGOING" and ticket.run_status in {"failed", "lost", "incomplete"}:
            yield f"{ticket.id}: {ticket.run} {ticket.run_status} (exp run logs {ticket.run})"
        elif ticket.status == "ONGOING" and ticket.run_problem:
            yield f"{ticket.id}: {ticket.run_problem}"
        elif ticket.status == "ONGOING" and ticket.phase == "DEBUGGING" and ticket.run:
            yield (
                f"{ticket.id}: {ticket.run} {ticket.run_status}, but not all criteria are met"
                f" (exp ticket show {ticket.id})"
            )
        elif ticket.status == "ONGOING" and ticket.phase == "VERIFYING":
            unsaid = "the ticket is not decided" if rows else "criteria wait for a person"
            what = _waiting(rows) or unsaid
            yield f"{ticket.id}: {what} (exp ticket review {ticket.id})"
        elif ticket.status == "DONE" and (against := _against(rows)):
            yield f"{ticket.id}: {against} (exp ticket review {ticket.id})"
        elif ticket.status == "ONGOING" and ticket.run is None:
            yield f"{ticket.id}: ONGOING, but never started (exp ticket start {ticket.id})"


def _waiting(criteria: "Sequence[CriterionRow]") -> str:
    """What a person is asked of a run that is shown: the first criterion, and how many more."""
    return _first_of(
        (row, waits(row.verdict, row.reviews, polarity=row.polarity, checked=row.checked))
        for row in criteria
        if row.must or row.reviews
    )


def _against(criteria: "Sequence[CriterionRow]") -> str:
    """What speaks against a ticket that is DONE; what it did not need to be DONE does not."""
    return _first_of((row, undone(row.reviews)) for row in criteria)


def _first_of(told: "Iterable[tuple[CriterionRow, str | None]]") -> str:
    found = [f"{without_predicate(row.text)}: {why}" for row, why in told if why]
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"{found[0]}{more}" if found else ""
