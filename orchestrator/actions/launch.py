"""`exp ticket start`: from a ticket to a run that lives on its own."""

import getpass
import os
import socket
import time
from dataclasses import dataclass, replace

from orchestrator import tickets
from orchestrator.actions.last_run import LastRun, last_run
from orchestrator.actions.programs import commands_of
from orchestrator.actions.queueing import check_capacity, mark_ongoing, runs_before, take_turn
from orchestrator.actions.specs import check_lines, checked_experiment
from orchestrator.codec import encode
from orchestrator.config import load_config
from orchestrator.domain.attempt import AttemptRequest
from orchestrator.domain.experiment import Experiment
from orchestrator.domain.run import GitState, RunRecord, RunState, TicketRef
from orchestrator.domain.ticket import Ticket, TicketStatus
from orchestrator.errors import ConflictError, InvalidFileError, RefusedError
from orchestrator.executors.environment import kept_variables, missing_variables
from orchestrator.fsio import locked, to_json, write_atomic, write_once
from orchestrator.git import Repository
from orchestrator.notify import load_settings
from orchestrator.spec import RECORDED_ONLY, planned_steps
from orchestrator.store import Reader
from orchestrator.watch.attempts import request_attempt
from orchestrator.watch.baselines import find_baselines
from orchestrator.watch.bindings import freeze
from orchestrator.watch.claims import criteria_of, said_by
from orchestrator.watch.daemon import ensure_watcher, watcher_command
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
    document = _readable(tickets.find(workspace.tickets, ticket_text))
    ticket = document.ticket
    workspace.prepare_state()
    busy = f"{ticket.id} is being started by another exp process"
    with locked(workspace.lock_file(ticket.id), busy=busy):
        _refuse_second_run(workspace, ticket)
        if not options.force:
            _refuse_by_workflow(workspace, ticket)
        experiment = checked_experiment(workspace, _experiment_path(ticket), options.settings)
        check_lines(workspace, experiment, ticket)
        repository, warnings = _repository(workspace, options)
        known = last_run(workspace, ticket)
        record = _plan(workspace, document, experiment, commit=repository is not None)
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


def _readable(document: tickets.Document) -> tickets.Document:
    """The ticket, unless some of its bytes are no text: its claims could not be quoted."""
    if document.broken_line is not None:
        raise InvalidFileError(
            f"{document.path}:{document.broken_line}: not UTF-8",
            hint=f"iconv -f latin1 -t utf-8 {document.path}, and look at the result",
        )
    return document


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


def _experiment_path(ticket: Ticket) -> str:
    if ticket.experiment is None:
        raise RefusedError(
            f"{ticket.id} names no experiment",
            hint=f"add the line '**Experiment**: experiments/NAME.toml' to {ticket.path}",
        )
    return ticket.experiment


def _repository(
    workspace: Workspace, options: LaunchOptions
) -> tuple[Repository | None, tuple[str, ...]]:
    """The repository to snapshot and to commit to, or None with the reason as a warning."""
    if not options.git:
        return None, ()
    repository = Repository.find(workspace.root)
    if repository is None:
        return None, ("no git repository here: no snapshot, nothing will be committed",)
    refusal = repository.commit_refusal()
    if refusal is None:
        return repository, ()
    if repository.is_detached():
        return repository, (f"the report will be written but not committed: {refusal}",)
    # A ticket edited in the middle of a rebase or merge would end up inside it.
    raise RefusedError(refusal, hint="finish it first, or start with --no-git")


def _plan(
    workspace: Workspace, document: tickets.Document, experiment: Experiment, *, commit: bool
) -> RunRecord:
    """Everything that is fixed at launch, except what the run folder and git add."""
    ticket = document.ticket
    seed = experiment.params.get("seed")
    policy = load_config(workspace.root).git.commit
    return RunRecord(
        id="",
        created=time.time(),
        host=socket.gethostname(),
        cwd=str(workspace.root),
        commands=commands_of(workspace, experiment),
        ticket=TicketRef(id=ticket.id, path=ticket.path, title=ticket.title, blob=ticket.blob),
        experiment=experiment.path,
        executor=experiment.executor.name,
        params=experiment.params,
        resources={
            "gpus": experiment.resources.gpus,
            "cpus": experiment.resources.cpus,
            "memory": experiment.resources.memory,
            "time_limit": experiment.resources.time_limit,
        },
        budget=experiment.budget,
        retry=experiment.retry,
        metrics=experiment.metrics,
        track=experiment.track,
        findings=experiment.findings,
        rehearse=experiment.rehearse,
        criteria=criteria_of(document, said_by(experiment.criteria)),
        planned_steps=planned_steps(experiment),
        stop_when=experiment.stop.when,
        grace=experiment.stop.grace,
        seed=seed if isinstance(seed, int) else None,
        env=experiment.env,
        environment=kept_variables(os.environ),
        commit_policy=policy if commit else "never",
        on_exit=tuple(watcher_command(workspace)),
    )


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
