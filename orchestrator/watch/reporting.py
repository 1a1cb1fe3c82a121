"""The facts of a report, gathered from ticket, files and index, and the report put in its place."""

import math
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator import report, tickets
from orchestrator.domain.hardware import is_sampled
from orchestrator.domain.point import Event
from orchestrator.domain.review import Review, Standing
from orchestrator.domain.run import Command, Outcome, RunRecord, RunState, RunStatus
from orchestrator.domain.series import PRINTED, furthest, origin_of, plain_name, surest
from orchestrator.domain.ticket import Ticket
from orchestrator.fsio import write_atomic
from orchestrator.store import Reader
from orchestrator.store.rows import VerdictRow
from orchestrator.watch.censor import Censor
from orchestrator.watch.checkpoints import CheckpointShelf
from orchestrator.watch.findings import known_findings
from orchestrator.watch.lifecycle import read_run
from orchestrator.watch.live import newest_attempt, state_of
from orchestrator.watch.logs import last_lines
from orchestrator.watch.policy import saved_words
from orchestrator.watch.stories import AttemptStory, stories
from orchestrator.workspace import RunFolder, Workspace

_TAIL = 15  # log lines quoted after a failure


def write_report(workspace: Workspace, ticket_id: str, *, now: float) -> list[str]:
    """Render the status report of a ticket and write it; return its files, the page first.

    A person's notes in an earlier report are kept. Files that would not change are not touched.

    Raises:
        NotFoundError: there is no such ticket.
        InvalidFileError: the earlier report's notes cannot be told apart; nothing is written.
        EnvironmentFailure: the folder cannot be written.
    """
    facts = report_facts(workspace, ticket_id, now=now)
    page = workspace.root / facts.path
    files = report.render_report(facts, templates=workspace.templates)
    page.parent.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        target = page.parent / name
        if not target.exists() or target.read_bytes() != content:
            write_atomic(target, content)
    names = sorted(files, key=lambda name: name != page.name)
    return [str((page.parent / name).relative_to(workspace.root)) for name in names]


def report_facts(workspace: Workspace, ticket_id: str, *, now: float) -> report.ReportFacts:
    """Everything that is known of a ticket and its newest run.

    For a run that has ended the moment of the report is its end, so that rendering the report
    again later gives the same bytes.

    Raises:
        NotFoundError: there is no such ticket.
    """
    ticket = tickets.find(workspace.tickets, ticket_id).ticket
    found = _newest_run(workspace, ticket.id)
    if found is None:
        return report.ReportFacts(
            time=now,
            path=_page(ticket.experiment, ticket.id),
            ticket=_ticket(workspace, ticket),
            remarks=tickets.remarks_at(workspace.root / ticket.path),
        )
    folder, record = found
    page = _page(record.experiment, ticket.id)
    with Reader(workspace.database) as reader:
        return _facts_of_run(workspace, reader, (ticket, folder, record), page=page, now=now)


def _settings(state: RunState) -> dict[str, Any]:
    """Parameters that the newest attempt has changed."""
    return state.attempt.request.settings if state.attempt.request is not None else {}


def _page(experiment: str | None, ticket_id: str) -> str:
    """`reports/T-0017/report.md` beside the spec: results lie with what made them."""
    folder = Path(experiment).parent if experiment else Path()
    return str(folder / "reports" / ticket_id / "report.md")


def _newest_run(workspace: Workspace, ticket_id: str) -> tuple[RunFolder, RunRecord] | None:
    """The run of a ticket that lives, else the one that ended last; an older may be resumed."""
    with Reader(workspace.database) as reader:
        foreign = {row.id for row in reader.runs() if row.ticket != ticket_id}
    found = None
    last = -math.inf
    for folder in workspace.run_folders():
        record = read_run(folder) if folder.id not in foreign else None
        if record is None or record.ticket is None or record.ticket.id != ticket_id:
            continue
        end = newest_attempt(folder, record).attempt.exit
        ended = math.inf if end is None else end.ended
        if ended >= last:
            found, last = (folder, record), ended
    return found


def _facts_of_run(
    workspace: Workspace,
    reader: Reader,
    subject: tuple[Ticket, RunFolder, RunRecord],
    *,
    page: str,
    now: float,
) -> report.ReportFacts:
    ticket, folder, record = subject
    row = reader.run(folder.id)
    state = state_of(folder, record, max_step=row.step if row else None)
    ended = state.attempt.exit.ended if state.attempt.exit else None
    verdicts = reader.verdicts(folder.id)
    failed = state.status is RunStatus.ENDED and state.outcome not in {None, "completed"}
    return report.ReportFacts(
        time=now if ended is None else ended,
        path=page,
        ticket=_ticket(workspace, ticket),
        run=_run_info(workspace, folder, record, state),
        git=_git(record),
        progress=_progress(reader, folder, record, now=now if ended is None else ended),
        criteria=_criteria(
            ticket, record, verdicts, tickets.reviews_at(workspace.root / ticket.path)
        ),
        metrics=_metrics(reader, folder, record),
        timeline=_timeline(reader, folder, record, ended),
        attempts=tuple(_attempt(told) for told in stories(folder, record, reader)),
        checkpoints=CheckpointShelf().of(folder),
        findings=known_findings(folder),
        configuration=record.params | _settings(state),
        remarks=tickets.remarks_at(workspace.root / ticket.path),
        log_tail=tuple(last_lines(folder.attempt(state.attempt.number).log, _TAIL))
        if failed
        else (),
        notes=_notes(workspace.root / page),
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


def _progress(
    reader: Reader, folder: RunFolder, record: RunRecord, *, now: float
) -> report.Progress:
    """Pace from the densest series: training logs more often than evaluation."""
    series = [row for row in reader.series(folder.id).values() if not is_sampled(row.name)]
    if not series:
        return report.Progress(planned=record.planned_steps)
    steps = {row.name: row.max_step for row in series}
    surer = surest(steps)
    densest = max(
        (row for row in series if row.name in surer), key=lambda row: (row.count, row.name)
    )
    history = reader.history(folder.id, densest.name)
    measured = report.pace(
        list(zip(history.steps, history.times, strict=True)), record.planned_steps
    )
    return replace(
        measured,
        step=furthest(steps),
        elapsed=now - record.created,
        eval_share=_eval_share(reader.events(folder.id, "phase"), now - record.created),
    )


def _eval_share(events: list[Event], elapsed: float) -> float | None:
    spent = [
        float(event.data.get("seconds", 0.0))
        for event in events
        if event.data.get("phase") == "eval" and event.data.get("state") == "end"
    ]
    return sum(spent) / elapsed if spent and elapsed > 0 else None


def _criteria(
    ticket: Ticket, record: RunRecord, verdicts: list[VerdictRow], reviews: Sequence[Review]
) -> tuple[report.CriterionFacts, ...]:
    texts = {box.key: box.text for box in ticket.checkboxes}
    judged = {row.key: row.verdict for row in verdicts}
    changes = {c.criterion.key: c for c in tickets.changes_since(ticket, record.criteria)}
    return tuple(
        report.CriterionFacts(
            criterion=criterion,
            verdict=judged[criterion.key],
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


def _metrics(
    reader: Reader, folder: RunFolder, record: RunRecord
) -> tuple[report.MetricFacts, ...]:
    specs = {spec.key or name: spec for name, spec in record.metrics.items()}
    found = []
    for row in reader.series(folder.id).values():
        if is_sampled(row.name):
            continue  # dozens of curves of hardware would drown what the run is about
        history = reader.history(folder.id, row.name)
        found.append(
            report.metric_facts(
                row.name,
                list(zip(history.steps, history.values, strict=True)),
                spec=specs.get(row.name) or specs.get(plain_name(row.name)),
                criteria=record.criteria,
            )
        )
    return tuple(fact for fact in found if _is_shown(fact, found))


def _is_shown(fact: report.MetricFacts, everything: list[report.MetricFacts]) -> bool:
    """Whether a metric belongs in the report: printed only where nothing surer tells it."""
    if origin_of(fact.name) != PRINTED:
        return True
    surer = {plain_name(f.name) for f in everything if origin_of(f.name) != PRINTED}
    return not surer or (bool(fact.targets) and plain_name(fact.name) not in surer)


def _timeline(
    reader: Reader, folder: RunFolder, record: RunRecord, ended: float | None
) -> tuple[report.Moment, ...]:
    moments = [report.Moment(time=record.created, text=f"{folder.id} launched")]
    for event in reader.events(folder.id):
        text = _told(event)
        if text is not None:
            moments.append(report.Moment(time=event.at.time, text=text, step=_step_of(event)))
    if ended is not None:
        moments.append(report.Moment(time=ended, text=f"{folder.id} ended"))
    return tuple(sorted(moments, key=lambda moment: moment.time))


def _step_of(event: Event) -> int | None:
    """Where training stood; the shim, which tells of processes, does not know."""
    return None if event.name == "process" else event.at.step


def _told(event: Event) -> str | None:
    """An event as a line of the timeline; most are too small for one."""
    data = event.data
    if event.name == "gpu_lost":
        return f"GPU {data.get('ordinal')} lost: {data.get('why')}"
    if event.name == "gpu_recovered":
        return f"GPU {data.get('ordinal')} recovered"
    if event.name == "process" and data.get("state") == "begin":
        return f"{data.get('phase')} started"
    if event.name == "process" and data.get("state") == "end":
        how = f"signal {data['signal']}" if data.get("signal") else f"exit code {data.get('code')}"
        return f"{data.get('phase')} ended with {how}"
    if event.name == "checkpoint":
        return "checkpoint saved"
    if event.name == "alert":
        return f"alert: {data.get('title')}"
    return None


def _attempt(told: AttemptStory) -> report.AttemptFacts:
    return report.AttemptFacts(
        number=told.number,
        started=told.started,
        ended=told.ended,
        ending=told.ending,
        first_step=told.first_step,
        last_step=told.last_step,
        cause=f"{told.cause}: {told.evidence}" if told.cause else None,
        decision=told.decision,
    )


def _notes(page: Path) -> str:
    try:
        return report.notes_of(page.read_bytes())
    except FileNotFoundError:
        return ""
