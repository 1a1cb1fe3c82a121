"""`exp status`: what runs, what is decided, what needs a person."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

from orchestrator import tickets
from orchestrator.actions.deciding import next_deciding
from orchestrator.actions.hardware import GpuOverview
from orchestrator.actions.needs import needs_of
from orchestrator.actions.pulse import Pulse, Pulses
from orchestrator.actions.queue import WaitingRun, queue_of
from orchestrator.actions.rows import CriterionRow, TicketRow, judged_rows, ticket_row
from orchestrator.actions.run_list import Runs, RunSummary, current_runs, live_and_recent
from orchestrator.actions.surroundings import QuickReading, last_commits
from orchestrator.actions.ticket_shelf import TicketShelf
from orchestrator.config import load_config
from orchestrator.domain.finding import Finding
from orchestrator.domain.review import Review
from orchestrator.domain.ticket import Ticket
from orchestrator.git import Commit
from orchestrator.store import Reader
from orchestrator.watch.daemon import watcher_keeper
from orchestrator.watch.findings import open_findings
from orchestrator.workspace import RunFolder, Workspace

if TYPE_CHECKING:
    from orchestrator.store.rows import LatestValue, Tally, VerdictRow

_RECENT = 5  # runs that are shown, if fewer are live


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOverview:
    """A run with the criteria it is judged by, how it goes, and what is wrong with it.

    `next` is the criterion on which its success hangs next; findings come the worst first.
    """

    run: RunSummary
    title: str
    criteria: tuple[CriterionRow, ...]
    findings: tuple[Finding, ...] = ()
    pulse: Pulse = field(default_factory=Pulse)
    next: CriterionRow | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The dashboard's facts; `needs` are sentences for a person, with the next command.

    `gpus` is None if nobody was asked.
    """

    root: str
    tickets: tuple[TicketRow, ...]
    runs: tuple[RunOverview, ...]
    needs: tuple[str, ...]
    queue: tuple[WaitingRun, ...] = ()
    gpus: GpuOverview | None = None
    commits: tuple[Commit, ...] = ()


def overview(workspace: Workspace) -> Overview:
    """Look at everything once; start a watcher if a run needs one."""
    asked = QuickReading()
    with Board(workspace) as board:
        seen = board.look()
        return replace(seen, gpus=asked.answer(board.leases()), commits=last_commits(workspace))


class Board:
    """What runs and what is decided, from one look to the next.

    A look costs what has changed since the last: files are listed anew when their folder is, the
    index is asked when somebody wrote to it. One thread uses it.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._reader = Reader(workspace.database)
        self._runs = Runs(workspace, self._reader)
        self._tickets = TicketShelf(workspace, self._reader)
        self._pulses = Pulses(self._reader)
        self._keep_watcher = watcher_keeper(workspace)
        self._stamp: object = None
        self._names: list[str] = []
        self._folders: dict[str, RunFolder] = {}
        self._latest: dict[str, dict[str, LatestValue]] = {}
        self._verdicts: dict[str, list[VerdictRow]] = {}
        self._tallies: dict[str, Tally | None] = {}
        self._rows: dict[str, tuple[object, TicketRow]] = {}
        self._reviews: dict[str, tuple[str, tuple[Review, ...]]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._reader.close()

    def look(self) -> Overview:
        """The present facts, without hardware and commits."""
        everything = self._runs.look()
        if self._workspace.state.is_dir() and (
            self._runs.are_unfinished or self._workspace.unsent_file.exists()
        ):
            self._keep_watcher()
        shown = live_and_recent(everything, _RECENT)
        known = {ticket.id: ticket for ticket in self._tickets.look()}
        self._ask_index(shown)
        rows = self._ticket_rows(known.values(), everything)
        runs = tuple(self._overview_of(run, known.get(run.ticket or "")) for run in shown)
        return Overview(
            root=str(self._workspace.root),
            tickets=rows,
            runs=runs,
            needs=needs_of(self._workspace, runs, rows),
            queue=self._queue(),
        )

    def leases(self) -> dict[str, list[str]]:
        """Live runs by the UUIDs of the GPUs that they were given, as of the last look."""
        found: dict[str, list[str]] = {}
        for folder, _, state in self._runs.live():
            lease = state.attempt.lease
            for uuid in (lease.gpus if lease else None) or ():
                found.setdefault(uuid, []).append(folder.id)
        return found

    def _queue(self) -> tuple[WaitingRun, ...]:
        live = self._runs.live()
        if not any(run[2].status == "queued" for run in live):
            return ()
        return queue_of(live, load_config(self._workspace.root).queue.cpus).waiting

    def _ask_index(self, shown: Iterable[RunSummary]) -> None:
        """Newest values and verdicts of the shown runs; what has ended keeps its own."""
        stamp, names = self._reader.stamp, [run.id for run in shown]
        if stamp != self._stamp or self._names != names:
            self._stamp, self._names = stamp, names
            self._latest = self._reader.latest(names)
            self._verdicts = {run: self._reader.verdicts(run) for run in names}
            self._tallies |= dict.fromkeys(names) | self._reader.tallies(names)

    def _ticket_rows(
        self, known: Iterable[Ticket], everything: Iterable[RunSummary]
    ) -> tuple[TicketRow, ...]:
        current = current_runs(everything)
        unknown = [run.id for run in current.values() if run.id not in self._tallies]
        if unknown:
            self._tallies |= dict.fromkeys(unknown) | self._reader.tallies(unknown)
        rows = {ticket.id: self._ticket_row(ticket, current.get(ticket.id)) for ticket in known}
        self._rows = rows
        return tuple(row for _, row in rows.values())

    def _ticket_row(self, ticket: Ticket, run: RunSummary | None) -> tuple[object, TicketRow]:
        """A row with what it was made of; the one of the last look if that is the same."""
        tally = self._tallies.get(run.id) if run is not None else None
        # What stood in the way of publishing is written after the run has ended.
        published = (
            run is not None and run.status == "ended" and self._folder(run).published_file.exists()
        )
        made_of = ticket, run, tally, published
        before = self._rows.get(ticket.id)
        if before is not None and before[0] == made_of:
            return before
        return made_of, ticket_row(self._workspace, ticket, run, tally)

    def _overview_of(self, run: RunSummary, ticket: Ticket | None) -> RunOverview:
        reviews = self._reviews_of(ticket) if ticket else ()
        criteria = judged_rows(self._verdicts[run.id], run.id, ticket, reviews)
        return RunOverview(
            run=run,
            title=ticket.title if ticket else (run.experiment or ""),
            criteria=criteria,
            findings=open_findings(self._folder(run)),
            pulse=self._pulses.look(run.id, run.planned_steps, self._latest.get(run.id, {})),
            next=next_deciding(criteria),
        )

    def _reviews_of(self, ticket: Ticket) -> tuple[Review, ...]:
        """What people say in a ticket; its file is read again when it has changed."""
        before = self._reviews.get(ticket.id)
        if before is None or before[0] != ticket.blob:
            before = ticket.blob, tickets.reviews_at(self._workspace.root / ticket.path)
            self._reviews[ticket.id] = before
        return before[1]

    def _folder(self, run: RunSummary) -> RunFolder:
        folder = self._folders.get(run.id)
        if folder is None:
            folder = self._folders[run.id] = RunFolder(self._workspace.runs / run.id)
        return folder
