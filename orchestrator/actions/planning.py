"""What is fixed of a run before it starts: the same for a start and for its rehearsal."""

import os
import socket
import time

from orchestrator import tickets
from orchestrator.actions.programs import commands_of
from orchestrator.config import load_config
from orchestrator.domain.experiment import Experiment
from orchestrator.domain.run import RunRecord, TicketRef
from orchestrator.domain.ticket import Ticket
from orchestrator.errors import InvalidFileError, RefusedError
from orchestrator.executors.environment import kept_variables
from orchestrator.spec import planned_steps
from orchestrator.watch.claims import criteria_of, said_by
from orchestrator.watch.daemon import watcher_command
from orchestrator.workspace import Workspace


def readable(document: tickets.Document) -> tickets.Document:
    """The ticket, unless some of its bytes are no text: its claims could not be quoted."""
    if document.broken_line is not None:
        raise InvalidFileError(
            f"{document.path}:{document.broken_line}: not UTF-8",
            hint=f"iconv -f latin1 -t utf-8 {document.path}, and look at the result",
        )
    return document


def experiment_path(ticket: Ticket) -> str:
    """The spec that a ticket names.

    Raises:
        RefusedError: it names none.
    """
    if ticket.experiment is None:
        raise RefusedError(
            f"{ticket.id} names no experiment",
            hint=f"add the line '**Experiment**: experiments/NAME.toml' to {ticket.path}",
        )
    return ticket.experiment


def plan_run(
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
