"""The facts of a report, gathered from ticket, files and index."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from orchestrator import report, tickets
from orchestrator.domain.retry import Cause
from orchestrator.domain.review import Review, Standing
from orchestrator.domain.run import Command, Outcome, RunRecord, RunState, RunStatus
from orchestrator.domain.ticket import Ticket
from orchestrator.report.changes import Since
from orchestrator.store import Reader
from orchestrator.store.rows import VerdictRow
from orchestrator.watch.censor import Censor
from orchestrator.watch.checkpoints import CheckpointShelf
from orchestrator.watch.findings import known_findings
from orchestrator.watch.logs import last_lines
from orchestrator.watch.reporting.changes import changes_since
from orchestrator.watch.reporting.cost import cost_of
from orchestrator.watch.reporting.machine import machine_of
from orchestrator.watch.reporting.metrics import metrics_of, progress_of
from orchestrator.watch.reporting.milestone import milestone_of
from orchestrator.watch.reporting.parts import parts_in
from orchestrator.watch.reporting.reported import reported_by
from orchestrator.watch.reporting.since import run_before
from orchestrator.watch.reporting.subject import Subject, subject_of
from orchestrator.watch.reporting.timeline import log_of, phase_now, timeline_of
from orchestrator.watch.saving import saved_words
from orchestrator.watch.stories import AttemptStory, stories
from orchestrator.workspace import RunFolder, Workspace

_TAIL = 15  # log lines quoted after a failure


def report_facts(
    workspace: Workspace, ticket_id: str, *, now: float, since: Since | None = None
) -> report.ReportFacts:
    """Everything that is known of a ticket and its newest run, a page's own notes aside.

    For a run that has ended the moment of the report is its end, so that rendering the report
    again later gives the same bytes. `since` (by `since_of`) is what it is compared with, by
    default the ticket's run before.

    Raises:
        NotFoundError: there is no such ticket.
    """
    ticket = tickets.find(workspace.tickets, ticket_id).ticket
    with Reader(workspace.database) as reader:
        subject = subject_of(workspace, reader, ticket.id, now=now)
        if subject is not None:
            return _facts_of_run(ticket, subject, since or run_before(subject.others))
    page = _page(ticket.experiment, ticket.id)
    return report.ReportFacts(
        time=now,
        path=page,
        ticket=_ticket(workspace, ticket),
        remarks=tickets.remarks_at(workspace.root / ticket.path),
    )


def _page(experiment: str | None, ticket_id: str) -> str:
    """`reports/T-0017/report.md` beside the spec: results lie with what made them."""
    folder = Path(experiment).parent if experiment else Path()
    return str(folder / "reports" / ticket_id / "report.md")


def _facts_of_run(ticket: Ticket, subject: Subject, since: Since | None) -> report.ReportFacts:
    workspace, reader = subject.workspace, subject.reader
    folder, record, state = subject.folder, subject.record, subject.state
    page = _page(record.experiment, ticket.id)
    checkpoints = CheckpointShelf().of(folder)
    progress = progress_of(subject)
    parts = parts_in(subject, since)
    reviews = tickets.reviews_at(workspace.root / ticket.path)
    failed = state.status is RunStatus.ENDED and state.outcome not in {None, Outcome.COMPLETED}
    log = folder.attempt(state.attempt.number).log
    return report.ReportFacts(
        time=subject.moment,
        path=page,
        ticket=_ticket(workspace, ticket),
        run=replace(_run_info(workspace, folder, record, state), doing=phase_now(subject)),
        git=_git(record),
        progress=progress,
        criteria=_criteria(ticket, record, reader.verdicts(folder.id), reviews),
        metrics=metrics_of(subject, since),
        timeline=timeline_of(subject, since),
        log=log_of(subject),
        attempts=tuple(_attempt(told) for told in stories(folder, record, reader)),
        checkpoints=checkpoints,
        findings=known_findings(folder),
        configuration=subject.settings,
        reported=reported_by(subject),
        changes=changes_since(subject, since),
        machine=machine_of(subject, checkpoints),
        cost=cost_of(subject),
        milestone=milestone_of(subject, checkpoints, progress.step),
        remarks=tickets.remarks_at(workspace.root / ticket.path),
        classes=parts.classes,
        components=parts.components,
        gaps=parts.gaps,
        log_tail=tuple(last_lines(log, _TAIL)) if failed else (),
        hosts=(record.host,),
        home=os.path.expanduser("~"),  # noqa: PTH111 - the text to redact, not a path to use
        secrets=Censor.of(record, state.attempt.request).values,
    )


def _ticket(workspace: Workspace, ticket: Ticket) -> report.TicketFacts:
    waiting = tickets.unblocks(tickets.load_all(workspace.tickets), ticket.id)
    dependents = [tickets.find(workspace.tickets, name).ticket for name in waiting]
    return report.TicketFacts(
        id=ticket.id,
        title=ticket.title,
        path=ticket.path,
        status=ticket.status,
        phase=ticket.phase or None,
        dependents=tuple(
            report.Dependent(id=other.id, title=other.title, status=other.status)
            for other in dependents
        ),
    )


def _run_info(
    workspace: Workspace, folder: RunFolder, record: RunRecord, state: RunState
) -> report.RunInfo:
    attempts = folder.attempts()
    process = state.attempt.process
    return report.RunInfo(
        id=folder.id,
        status=state.status,
        outcome=state.outcome,
        why=state.why,
        folder=str(folder.path.relative_to(workspace.root)),
        created=record.created,
        ended=state.attempt.exit.ended if state.attempt.exit else None,
        pid=process.pid if process and state.attempt.alive else None,
        host=record.host,
        log=str(attempts[-1].log.relative_to(workspace.root)) if attempts else None,
        experiment=record.experiment,
        executor=record.executor,
        seed=record.seed,
        commands=tuple(_portable(command, workspace) for command in record.commands),
        resources={name: value for name, value in record.resources.items() if value},
        saved=_saved(record, state),
    )


def _saved(record: RunRecord, state: RunState) -> str | None:
    stopped = state.outcome is Outcome.STOPPED
    return saved_words(record, state.attempt.stop) if stopped else None


def _portable(command: Command, workspace: Workspace) -> Command:
    """Paths below the workspace as they are from its root; the interpreter by its name."""
    root = f"{workspace.root}/"
    argv = (Path(command.argv[0]).name, *(word.replace(root, "") for word in command.argv[1:]))
    return Command(phase=command.phase, argv=argv)


def _git(record: RunRecord) -> report.GitFacts | None:
    state = record.git
    if state is None or state.commit is None:
        return None
    return report.GitFacts(
        commit=state.commit, branch=state.branch, patch=state.patch, untracked=len(state.untracked)
    )


def _criteria(
    ticket: Ticket, record: RunRecord, verdicts: list[VerdictRow], reviews: Sequence[Review]
) -> tuple[report.CriterionFacts, ...]:
    texts = {box.key: box.text for box in ticket.checkboxes}
    judged = {row.key: row.verdict for row in verdicts}
    changes = {c.criterion.key: c for c in tickets.changes_since(ticket, record.criteria)}
    numbers = _numbers(ticket, record)
    return tuple(
        report.CriterionFacts(
            criterion=criterion,
            verdict=judged[criterion.key],
            number=numbers.get(criterion.key),
            edited=_edited(changes.get(criterion.key)),
            reviews=tuple(
                review_words(said)
                for said in tickets.said_of_line(
                    reviews,
                    criterion.key,
                    texts.get(criterion.key, criterion.text),
                    record.id,
                    judged[criterion.key],
                )
            ),
        )
        for criterion in record.criteria
        if criterion.key in judged
    )


def _numbers(ticket: Ticket, record: RunRecord) -> dict[str, int]:
    """How a review calls each criterion; none if lines have come or gone since the start."""
    now = [box.key for box in ticket.checkboxes if tickets.is_criterion(box)]
    if now != [criterion.key for criterion in record.criteria if criterion.tickable]:
        return {}
    return {criterion.key: number for number, criterion in enumerate(record.criteria, 1)}


def review_words(said: Standing) -> str:
    """`accept by Ada: looks fine`, without the mail; and that it has expired."""
    told = said.review
    reason = f": {told.reason}" if told.reason else ""
    expired = f" (expired: {said.expired})" if said.expired else ""
    return f"{told.decision} by {told.by.partition(' <')[0]}{reason}{expired}"


def _edited(change: tickets.Change | None) -> str | None:
    if change is None:
        return None
    return "edited since the start" + (f": {change.numbers}" if change.numbers else "")


def _attempt(told: AttemptStory) -> report.AttemptFacts:
    stopped = told.cause is Cause.STOPPED  # somebody's wish, and no failure
    return report.AttemptFacts(
        number=told.number,
        started=told.started,
        ended=told.ended,
        ending=f"{told.ending}, {told.evidence}" if stopped else told.ending,
        first_step=told.first_step,
        last_step=told.last_step,
        cause=f"{told.cause}: {told.evidence}" if told.cause and not stopped else None,
        decision=None if stopped else told.decision,
    )
