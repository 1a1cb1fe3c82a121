"""What a run writes into its ticket: boxes, machine blocks, status. People's words stay theirs."""

from collections.abc import Iterable, Iterator, Mapping

from orchestrator import report, tickets
from orchestrator.clock import format_duration, format_utc
from orchestrator.domain.criterion import Criterion, State, Verdict
from orchestrator.domain.retry import Cause
from orchestrator.domain.review import Decision, Gate, decision_of, gate
from orchestrator.domain.run import AttemptState, Outcome, TicketRef
from orchestrator.domain.ticket import TicketPhase, TicketStatus
from orchestrator.errors import InvalidFileError
from orchestrator.executors import executor_for
from orchestrator.fsio import read_json, to_json, write_atomic
from orchestrator.tickets import Document
from orchestrator.watch.claims import criteria_of
from orchestrator.watch.evidence import evidence_lines, tally
from orchestrator.watch.findings import LOUD, open_findings
from orchestrator.watch.lifecycle import attempt_state, run_state
from orchestrator.watch.observer import Observation
from orchestrator.watch.saving import is_decided, saved_words
from orchestrator.workspace import RunFolder, Workspace

_TROUBLES = {Outcome.FAILED, Outcome.LOST, Outcome.INCOMPLETE}


def tick_boxes(workspace: Workspace, ticket: TicketRef, seen: Observation) -> list[str]:
    """Tick the boxes whose verdict is met for good; return the files that changed."""
    met = [
        c.key for c, v in _judged(seen) if v.state is State.MET and v.final and c.reading.is_goal
    ]
    before = _ticked_before(seen.folder)
    if set(met) <= before:
        return []
    path = tickets.find(workspace.tickets, ticket.id).ticket.path
    changed = _edited(workspace, path, lambda document: _tick(document, seen, met, before))
    _remember_ticks(seen.folder, before, met)
    return changed


def write_end(workspace: Workspace, ticket: TicketRef, seen: Observation) -> list[str]:
    """Write the end of a run into its ticket, and free the tickets that waited for it.

    Returns the files that belong into the commit, relative to the workspace: the ticket always,
    since an earlier call that was killed may have changed it.

    Raises:
        NotFoundError: the ticket is gone.
        InvalidFileError: its machine blocks are broken.
        EnvironmentFailure: it cannot be written.
    """
    path = tickets.find(workspace.tickets, ticket.id).ticket.path
    before = _ticked_before(seen.folder)
    _edited(workspace, path, lambda document: _with_end(document, seen, before))
    changed = [path]
    if ticket.path != path and not (workspace.root / ticket.path).exists():
        changed.append(ticket.path)  # renamed meanwhile: the commit holds the whole move
    _remember_ticks(seen.folder, before, _met(seen))
    if tickets.find(workspace.tickets, ticket.id).ticket.status == TicketStatus.DONE:
        changed += free_waiting(workspace, ticket.id)
    return changed


def free_waiting(workspace: Workspace, ticket: str) -> list[str]:
    """Make READY what waited for this ticket alone; return the files that changed."""
    changed = []
    for waiting in tickets.freed_by(tickets.load_all(workspace.tickets), ticket):
        changed += _edited(workspace, waiting.path, _ready)
    return changed


def _edited(workspace: Workspace, path: str, edit: tickets.Edit) -> list[str]:
    return [path] if tickets.edit_file(workspace.root / path, edit) else []


def _ready(document: Document) -> Document:
    return document.set_field("Status", TicketStatus.READY)


def _judged(seen: Observation) -> Iterable[tuple[Criterion, Verdict]]:
    return zip(seen.record.criteria, seen.verdicts, strict=True)


def _met(seen: Observation) -> list[str]:
    return [c.key for c, v in _judged(seen) if v.state is State.MET and c.reading.is_goal]


def _ticked_before(folder: RunFolder) -> frozenset[str]:
    """Keys of the boxes that this run has ticked: one that is open again was opened by a person."""
    try:
        return frozenset(read_json(folder.ticked_file))
    except FileNotFoundError:
        return frozenset()


def _ticked_by_runs(seen: Observation, ticket: str) -> frozenset[str]:
    """Keys of the boxes that any run of this ticket has ticked."""
    found: set[str] = set()
    for file in seen.folder.path.parent.glob(f"*/{seen.folder.ticked_file.name}"):
        try:
            if read_json(file.with_name("run.json"))["ticket"]["id"] == ticket:
                found.update(read_json(file))
        except (FileNotFoundError, InvalidFileError, KeyError, TypeError):
            continue
    return frozenset(found)


def _remember_ticks(folder: RunFolder, before: frozenset[str], met: Iterable[str]) -> None:
    if not set(met) <= before:
        write_atomic(folder.ticked_file, to_json(sorted(before | set(met))))


def _tick(
    document: Document, seen: Observation, met: Iterable[str], before: frozenset[str]
) -> Document:
    """Tick boxes that stand as they were when the run started; an edited line is another claim.

    A box that was ticked before and is open again stays open: that is a person's word.
    """
    ticket = document.ticket
    edited = {c.criterion.key for c in tickets.changes_since(ticket, seen.record.criteria)}
    left = before | edited | {box.key for box in ticket.checkboxes if box.checked}
    left |= _rejected(document, seen.folder.id)
    known = {box.key for box in ticket.checkboxes}
    return document.set_boxes({key: True for key in met if key in known and key not in left})


def _rejected(document: Document, run: str) -> set[str]:
    """Keys of the lines of which a person said, looking at this run, that they are not met."""
    words = {
        review.key: review
        for review in tickets.reviews_of(document)
        if review.decision is not Decision.NOTE
    }
    no = {key for key, r in words.items() if r.decision is Decision.REJECT and r.seen.run == run}
    return {box.key for box in document.ticket.checkboxes if tickets.plain_key(box.key) in no}


def _with_end(document: Document, seen: Observation, before: frozenset[str]) -> Document:
    document = _tick(document, seen, _met(seen), before)
    run = seen.folder.id
    evidence = evidence_lines(document.ticket, seen, _ticked_by_runs(seen, document.ticket.id))
    document = document.set_block("Evidence", f"evidence-{run}", evidence)
    trouble = [*_troubles(seen), *_found(seen)]
    if trouble:
        document = document.set_block("Obstacles", f"obstacle-{run}", "\n".join(trouble))
    document = document.set_block("Outcome", f"outcome-{run}", _outcome(seen))
    return _with_status(document, seen)


def _troubles(seen: Observation) -> Iterator[str]:
    """What went wrong, in every attempt: what was resumed since has been an obstacle too."""
    run, attempts = seen.folder.id, seen.folder.attempts()
    for attempt in attempts[:-1]:
        past = attempt_state(attempt, executor_for(seen.record.executor))
        state = run_state(seen.record, past, max_step=seen.facts.max_step)
        requeued = past.failure is not None and past.failure.cause is Cause.REQUEUE
        if state.outcome in _TROUBLES and not requeued:
            log = f"exp run logs {run} --attempt {attempt.number}"
            words = f"{run}, attempt {attempt.number}, {state.outcome}: {state.why} (`{log}`)"
            yield f"{words}{_cause(past)}  "
    if seen.state.outcome in _TROUBLES:
        words = f"{run} {seen.state.outcome}: {seen.state.why} (`exp run logs {run}`)"
        yield f"{words}{_cause(seen.state.attempt)}"


def _found(seen: Observation) -> Iterator[str]:
    """What is wrong with the run as it ended, each with what to do about it."""
    loud = [each for each in open_findings(seen.folder) if each.severity in LOUD]
    if loud:
        yield f"\nFindings of {seen.folder.id} (`exp doctor {seen.folder.id}`):\n"
    for each in loud:
        title, action = report.literal(each.title), report.literal(each.action)
        yield f"- {each.severity.upper()} `{each.id}`: {title} → {action}"


def _cause(attempt: AttemptState) -> str:
    """Why an attempt failed, with the evidence, and whether it was tried again."""
    failure = attempt.failure
    if failure is None:
        return ""
    decision = "Tried again" if failure.retry else "Not tried again"
    return f". Cause: {failure.cause}. {report.code(failure.evidence)}. {decision}: {failure.why}"


def _outcome(seen: Observation) -> str:
    ended = seen.state.attempt.exit
    spared = saved_words(seen.record, seen.state.attempt.stop)
    saved = f" {spared[0].upper()}{spared[1:]}." if spared and _stopped(seen) else ""
    when = format_utc(ended.ended) if ended else "at an unknown time"
    took = f" after {format_duration(ended.ended - ended.started)}" if ended else ""
    number = seen.state.attempt.number
    tried = f" in attempt {number}" if number > 1 else ""
    end = f"{seen.folder.id} {seen.state.outcome} on {when}{took}{tried}: {seen.state.why}."
    return f"{end} {tally(seen)}.{saved}"


def _stopped(seen: Observation) -> bool:
    return seen.state.outcome is Outcome.STOPPED


def _with_status(document: Document, seen: Observation) -> Document:
    """Move an ONGOING ticket on; a status that a person has set meanwhile stays."""
    if document.ticket.status != TicketStatus.ONGOING:
        return document
    if not _ended_well(seen):
        return document.set_field("Phase", TicketPhase.DEBUGGING)
    verdicts = {criterion.key: verdict for criterion, verdict in _judged(seen)}
    gates = gates_of(document, verdicts, seen.folder.id).values()
    if Gate.UNMET in gates or Gate.REJECTED in gates:
        return document.set_field("Phase", TicketPhase.DEBUGGING)
    if Gate.OPEN in gates or Gate.PASSED not in gates:
        return document.set_field("Phase", TicketPhase.VERIFYING)
    return document.set_field("Status", TicketStatus.DONE).set_field("Phase", "—")


def gates_of(document: Document, verdicts: Mapping[str, Verdict], run: str) -> dict[str, Gate]:
    """Where each required criterion of a ticket stands, by its key, as the ticket is now.

    The ticket as it stands decides: what was added or edited since the start has no evidence yet.
    """
    checked = {box.key for box in document.ticket.checkboxes if box.checked}
    reviews = tickets.reviews_of(document)
    gates = {}
    for claim in (each for each in criteria_of(document) if each.required):
        verdict = verdicts.get(claim.key)
        said = tickets.said_of_line(reviews, claim.key, claim.text, run, verdict)
        gates[claim.key] = gate(
            verdict.state if verdict else None,
            decision_of(said),
            checked=claim.key in checked,
            tickable=claim.tickable,
        )
    return gates


def _ended_well(seen: Observation) -> bool:
    """Completed, or ended by the tool because everything was decided."""
    outcome = seen.state.outcome
    early = _stopped(seen) and is_decided(seen.state.attempt.stop)
    return outcome is Outcome.COMPLETED or early
