"""`exp ticket start`: from a ticket to a run that lives on its own."""

import getpass
from dataclasses import dataclass, replace

from orchestrator import tickets
from orchestrator.actions.last_run import LastRun, last_run
from orchestrator.actions.planning import experiment_path, plan_run, readable
from orchestrator.actions.queueing import check_capacity, mark_ongoing, runs_before, take_turn
from orchestrator.actions.specs import check_lines, checked_experiment
from orchestrator.codec import encode
from orchestrator.domain.attempt import AttemptRequest
from orchestrator.domain.experiment import Experiment
from orchestrator.domain.run import GitState, RunRecord, RunState
from orchestrator.domain.ticket import Ticket, TicketStatus
from orchestrator.errors import ConflictError, RefusedError
from orchestrator.executors.environment import missing_variables
from orchestrator.fsio import locked, to_json, write_atomic, write_once
from orchestrator.git import Repository
from orchestrator.notify import load_settings
from orchestrator.spec import RECORDED_ONLY
from orchestrator.store import Reader
from orchestrator.watch.attempts import request_attempt
from orchestrator.watch.baselines import find_baselines
from orchestrator.watch.bindings import freeze
from orchestrator.watch.committing import commit_warning, start_refusal
from orchestrator.watch.daemon import ensure_watcher
from orchestrator.watch.dispatch import queue_lock
from orchestrator.watch.live import live_runs, state_of
from orchestrator.workspace import RunFolder, Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchOptions:
    """What `exp ticket start` may be told beside the ticket.

    `after` names runs, or tickets that stand for their newest live run.
    """

    settings: tuple[str, ...] = ()
    force: bool = False
    git: bool = True
    priority: int = 0
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Launched:
    """A run that lives or waits for its turn; `warnings` are for the person who started it.

    `known` names the series of the ticket's last run, which the criteria were bound to.
    """

    run: RunFolder
    record: RunRecord
    state: RunState
    known: tuple[str, ...]
    warnings: tuple[str, ...]


def start_ticket(workspace: Workspace, ticket_text: str, options: LaunchOptions) -> Launched:
    """Launch the ticket's experiment; return once its shim lives, or its turn has not come yet.

    Raises:
        NotFoundError: ticket, experiment or program is missing.
        InvalidFileError: ticket or spec is malformed.
        RefusedError: dependencies are open, the ticket is done, or git is in the middle of a merge.
        ConflictError: the ticket has a live run already, or is just being started.
        EnvironmentFailure: the run folder cannot be written, the shim did not come up, or the
            machine has fewer GPUs than the spec asks for.
    """
    document = readable(tickets.find(workspace.tickets, ticket_text))
    ticket = document.ticket
    workspace.prepare_state()
    busy = f"{ticket.id} is being started by another exp process"
    with locked(workspace.lock_file(ticket.id), busy=busy):
        _refuse_second_run(workspace, ticket)
        if not options.force:
            _refuse_by_workflow(workspace, ticket)
        experiment = checked_experiment(workspace, experiment_path(ticket), options.settings)
        check_lines(workspace, experiment, ticket)
        repository, warnings = _repository(workspace, options)
        known = last_run(workspace, ticket)
        record = plan_run(workspace, document, experiment, commit=repository is not None)
        record, missing = _bound_to(workspace, record, known)
        warnings += missing
        warnings += check_capacity(workspace, record)
        request = _request(record, options, runs_before(workspace, options.after))
        _refuse_missing_variables(record, request)
        run = workspace.create_run()
        record = _prepare(run, record, request, repository)
        with queue_lock(workspace, wait=True):
            _submit(workspace, run, record, ticket)
        state = state_of(run, record)
    ensure_watcher(workspace)
    warnings += (*_unsupported(experiment), *load_settings(workspace).problems)
    if not any(criterion.required for criterion in record.criteria):
        warnings += (f"{ticket.id} has no acceptance criteria: nothing will be decided",)
    return Launched(run=run, record=record, state=state, known=known.series, warnings=warnings)


def check_start(workspace: Workspace, ticket_text: str, options: LaunchOptions) -> None:
    """Refuse what a start would refuse by the state of the ticket, before minutes are spent on it.

    Raises:
        NotFoundError, InvalidFileError, RefusedError, ConflictError: as `start_ticket`.
    """
    ticket = readable(tickets.find(workspace.tickets, ticket_text)).ticket
    _refuse_second_run(workspace, ticket)
    if not options.force:
        _refuse_by_workflow(workspace, ticket)


def _refuse_second_run(workspace: Workspace, ticket: Ticket) -> None:
    for folder, record, state in live_runs(workspace):
        if record.ticket is not None and record.ticket.id == ticket.id:
            raise ConflictError(
                f"{ticket.id} has a live run already: {folder.id} ({state.status})",
                hint=f"exp run logs -f {folder.id}, or exp run stop {folder.id}",
            )


def _refuse_by_workflow(workspace: Workspace, ticket: Ticket) -> None:
    if ticket.status == TicketStatus.DONE:
        raise RefusedError(
            f"{ticket.id} is DONE",
            hint=f"exp ticket start {ticket.id} --force to run it again",
        )
    for dependency in ticket.after:
        status = tickets.find(workspace.tickets, dependency).ticket.status
        if status != TicketStatus.DONE:
            raise RefusedError(
                f"{ticket.id} comes after {dependency}, which is {status or 'without a status'}",
                hint=f"finish {dependency}, or exp ticket start {ticket.id} --force",
            )


def _repository(
    workspace: Workspace, options: LaunchOptions
) -> tuple[Repository | None, tuple[str, ...]]:
    """The repository to snapshot and to commit to, or None with the reason as a warning."""
    if not options.git:
        return None, ()
    repository = Repository.find(workspace.root)
    if repository is None:
        return None, ("no git repository here: no snapshot, nothing will be committed",)
    refusal = start_refusal(repository)
    if refusal is not None:
        raise RefusedError(refusal, hint="finish it first, or start with --no-git")
    obstacle = commit_warning(workspace, repository)
    if obstacle is None:
        return repository, ()
    return repository, (f"the report will be written but not committed: {obstacle}",)


def _bound_to(
    workspace: Workspace, record: RunRecord, last: LastRun
) -> tuple[RunRecord, tuple[str, ...]]:
    """The record with series and baselines as they are known now; they stay fixed from here on."""
    criteria = freeze(record.criteria, record.metrics, last.series)
    with Reader(workspace.database) as reader:
        found = find_baselines(reader, criteria, record.metrics, last.id)
    return replace(record, criteria=criteria, baselines=found.values), found.missing


def _request(record: RunRecord, options: LaunchOptions, after: tuple[str, ...]) -> AttemptRequest:
    return AttemptRequest(
        by=getpass.getuser(),
        why="exp ticket start",
        time=record.created,
        commands=record.commands,
        priority=options.priority,
        after=after,
    )


def _refuse_missing_variables(record: RunRecord, request: AttemptRequest) -> None:
    for name in missing_variables(record, request):
        raise RefusedError(
            f"{record.experiment}: [env] refers to ${name}, which is not set",
            hint=f"export {name}=...",
        )


def _prepare(
    run: RunFolder, record: RunRecord, request: AttemptRequest, repository: Repository | None
) -> RunRecord:
    """Write the folder but for run.json: until that is there it is no run."""
    state = GitState(commit=None, branch=None, patch=False)
    if repository is not None:
        state = repository.snapshot(run.patch)
    record = replace(record, id=run.id, git=state)
    write_atomic(run.config_file, to_json(record.params))
    request_attempt(run, record, request)
    return record


def _submit(workspace: Workspace, run: RunFolder, record: RunRecord, ticket: Ticket) -> None:
    """Make it a run, mark the ticket ONGOING, start what may start; none stays if one fails.

    Without run.json the folder is no run; it stays, so that its number is never given to another
    one, which a watcher might take for this one.
    """
    path, marked = workspace.root / ticket.path, False
    try:
        write_once(run.record_file, encode(record))
        tickets.edit_file(path, mark_ongoing)
        marked = True
        take_turn(workspace, run)
    except BaseException:
        # A Ctrl-C may come when it has started: then it is a run like any other.
        if not state_of(run, record).attempt.alive:
            try:
                if marked:
                    tickets.edit_file(path, lambda document: _unmark(document, ticket))
            finally:
                run.record_file.unlink(missing_ok=True)
        raise


def _unmark(document: tickets.Document, before: Ticket) -> tickets.Document:
    return document.set_field("Status", before.status).set_field("Phase", before.phase)


def _unsupported(experiment: Experiment) -> tuple[str, ...]:
    return tuple(
        f"[{section}] is recorded, but nothing acts on it yet"
        for section in RECORDED_ONLY
        if getattr(experiment, section)
    )
