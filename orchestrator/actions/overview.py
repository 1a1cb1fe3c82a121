"""`exp status`: what runs, what is decided, what needs a person."""

from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator import tickets
from orchestrator.actions.reading import (
    CriterionRow,
    TicketRow,
    judged_rows,
    load_tickets,
    ticket_rows,
)
from orchestrator.actions.run_list import RunSummary, list_runs
from orchestrator.codec import read_record_if_present
from orchestrator.domain.attempt import NEEDS
from orchestrator.domain.criterion import State
from orchestrator.domain.finding import Finding, Severity
from orchestrator.domain.run import ExitRecord
from orchestrator.domain.ticket import Ticket
from orchestrator.procs import pids_of_run
from orchestrator.store import Reader
from orchestrator.watch.daemon import ensure_watcher
from orchestrator.watch.findings import open_findings
from orchestrator.watch.live import has_pending
from orchestrator.workspace import RunFolder, Workspace

_RECENT = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOverview:
    """A run with the criteria it is judged by, and what is wrong with it, the worst first."""

    run: RunSummary
    title: str
    criteria: tuple[CriterionRow, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The dashboard's facts; `needs` are sentences for a person, with the next command."""

    root: str
    tickets: tuple[TicketRow, ...]
    runs: tuple[RunOverview, ...]
    needs: tuple[str, ...]


def overview(workspace: Workspace) -> Overview:
    """Look at everything once; start a watcher if a run needs one."""
    if workspace.state.is_dir() and has_pending(workspace):
        ensure_watcher(workspace)
    known = {ticket.id: ticket for ticket in load_tickets(workspace)}
    everything = list_runs(workspace)
    rows = ticket_rows(workspace, known.values(), everything)
    live = [run for run in everything if run.status != "ended"]
    recent = [run for run in everything if run.status == "ended"][: max(0, _RECENT - len(live))]
    with Reader(workspace.database) as reader:
        runs = tuple(
            _overview_of(workspace, reader, run, known.get(run.ticket or ""))
            for run in live + recent
        )
    needs = (
        *_alarms(runs),
        *_errors(runs),
        *_queue_needs(runs),
        *_host_needs(workspace, runs),
        *_needs(rows),
    )
    return Overview(root=str(workspace.root), tickets=tuple(rows), runs=runs, needs=needs)


def _overview_of(
    workspace: Workspace, reader: Reader, run: RunSummary, ticket: Ticket | None
) -> RunOverview:
    title = ticket.title if ticket else (run.experiment or "")
    folder = RunFolder(workspace.runs / run.id)
    reviews = tickets.reviews_at(workspace.root / ticket.path) if ticket else ()
    rows = judged_rows(reader, folder, ticket, reviews)
    return RunOverview(run=run, title=title, criteria=rows, findings=open_findings(folder))


def _alarms(runs: tuple[RunOverview, ...]) -> Iterator[str]:
    """Alarms of live runs that are true now."""
    for seen in runs:
        for row in seen.criteria if seen.run.status != "ended" else ():
            if (
                row.polarity == "inverted"
                and row.verdict is not None
                and row.verdict.state is State.MET
            ):
                yield f"{seen.run.ticket}: alarm: {row.text} (exp run logs {seen.run.id})"


def _errors(runs: tuple[RunOverview, ...]) -> Iterator[str]:
    """What makes the result of a live run wrong or lost."""
    for seen in runs:
        for finding in seen.findings if seen.run.status != "ended" else ():
            if finding.severity is Severity.ERROR:
                name = seen.run.ticket or seen.run.id
                yield f"{name}: {finding.title} (exp doctor {seen.run.id})"


def _queue_needs(runs: tuple[RunOverview, ...]) -> Iterator[str]:
    """Runs that wait for what only a person can give them."""
    for seen in runs:
        if seen.run.status == "queued" and seen.run.why.startswith(NEEDS):
            yield f"{seen.run.id} {seen.run.why}"


def _host_needs(workspace: Workspace, runs: tuple[RunOverview, ...]) -> Iterator[str]:
    """What only the owner of the machine can set right."""
    for seen in runs:
        folder = RunFolder(workspace.runs / seen.run.id)
        ends = [read_record_if_present(ExitRecord, a.exit_file) for a in folder.attempts()]
        survived = any(end is not None and end.survivors for end in ends)
        if survived and (pids := pids_of_run(folder.path)):
            yield f"{seen.run.id}: processes {pids} cannot be killed: this host needs attention"
    if workspace.damaged_database.exists():
        yield (
            "the index was damaged, and has been made again from the files: look at the disk"
            f" (rm {workspace.damaged_database})"
        )


def _needs(rows: list[TicketRow]) -> tuple[str, ...]:
    needs = []
    for ticket in rows:
        if ticket.status == "ONGOING" and ticket.run_status in {"failed", "lost", "incomplete"}:
            needs.append(
                f"{ticket.id}: {ticket.run} {ticket.run_status} (exp run logs {ticket.run})"
            )
        elif ticket.status == "ONGOING" and ticket.run_problem:
            needs.append(f"{ticket.id}: {ticket.run_problem}")
        elif ticket.status == "ONGOING" and ticket.phase == "DEBUGGING" and ticket.run:
            needs.append(
                f"{ticket.id}: {ticket.run} {ticket.run_status}, but not all criteria are met"
                f" (exp ticket show {ticket.id})"
            )
        elif ticket.status == "ONGOING" and ticket.phase == "VERIFYING":
            needs.append(f"{ticket.id}: criteria wait for a person (exp ticket review {ticket.id})")
        elif ticket.status == "ONGOING" and ticket.run is None:
            needs.append(f"{ticket.id}: ONGOING, but never started (exp ticket start {ticket.id})")
    return tuple(needs)
