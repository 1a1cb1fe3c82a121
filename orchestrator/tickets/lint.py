"""What is wrong with tickets: each rule yields findings with their place and what to do."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.domain.criterion import Criterion, Decidable, Reading
from orchestrator.domain.ticket import Checkbox, Ticket, TicketPhase, TicketStatus
from orchestrator.tickets import words
from orchestrator.tickets.changes import changes_since
from orchestrator.tickets.contradiction import contradiction
from orchestrator.tickets.document import Document, file_id
from orchestrator.tickets.graph import by_id, cycles, inverse, waits_for
from orchestrator.tickets.remarks import unread_remarks
from orchestrator.tickets.reviews import is_waived, reviews_of, unread_lines

# Every rule with its severity; docs/ticket-format.md explains them in this order.
RULES = {
    "not-utf8": "error",
    "unclosed": "warning",
    "broken-block": "error",
    "title-mismatch": "error",
    "duplicate-id": "error",
    "unknown-status": "error",
    "unknown-phase": "warning",
    "phase-without-work": "warning",
    "unreadable-after": "warning",
    "self-dependency": "error",
    "missing-dependency": "error",
    "cycle": "error",
    "early": "warning",
    "needlessly-blocked": "warning",
    "stale-before": "warning",
    "experiment-outside": "error",
    "experiment-missing": "error",
    "experiment-invalid": "error",
    "done-with-open-box": "error",
    "contradicted-tick": "error",
    "unreadable-criterion": "warning",
    "edited-after-start": "warning",
    "unreadable-review": "warning",
    "unreadable-remark": "warning",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LintFinding:
    """One thing that is wrong. `severity` is error or warning; `line` counts from 1."""

    rule: str
    severity: str
    path: str
    line: int | None
    message: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """What lint cannot see in the tickets themselves.

    `root` is the workspace; without it experiment paths are not looked up. `read` gives a
    readings of a ticket's criteria, `spec_problems` what is wrong with a ticket's spec.
    `frozen` holds, by ticket id, the criteria as they stood at the start of the live or last run.
    """

    root: Path | None = None
    read: Callable[[Document], Sequence[tuple[Checkbox, Reading]]] | None = None
    spec_problems: Callable[[Ticket], Sequence[str]] | None = None
    frozen: Mapping[str, Sequence[Criterion]] = field(default_factory=dict)


def lint(documents: Sequence[Document], knowledge: Knowledge) -> list[LintFinding]:
    """Every finding of every rule, ordered by path and line.

    All tickets of the workspace must be given, even to look at one: dependencies need the others.
    """
    pairs = [(document, document.ticket) for document in documents]
    tickets = [ticket for _, ticket in pairs]
    known, followers = by_id(tickets), inverse(tickets)
    findings = [*_duplicates(pairs), *_circles(pairs)]
    for document, ticket in pairs:
        findings += _text_rules(document)
        findings += _title_rules(document)
        findings += _status_rules(document, ticket)
        findings += _dependency_rules(document, ticket, known)
        findings += _before_rules(document, ticket, followers.get(ticket.id, ()))
        findings += _experiment_rules(document, ticket, knowledge)
        findings += _box_rules(document, ticket, knowledge.read)
        findings += _list_rules(document, ticket)
        findings += _frozen_rules(document, ticket, knowledge.frozen.get(ticket.id, ()))
    return sorted(findings, key=lambda found: (found.path, found.line or 0, found.rule))


def _text_rules(document: Document) -> Iterator[LintFinding]:
    layout = document.layout
    if document.broken_line is not None:
        yield _found(
            document, "not-utf8", document.broken_line, "the file is not UTF-8", "save it as UTF-8"
        )
    if layout.unclosed is not None:
        yield _found(
            document,
            "unclosed",
            layout.unclosed,
            "a code fence or comment begins here and never ends: all below it is invisible",
            "close it",
        )
    if layout.block_problem is not None:
        yield _found(
            document, "broken-block", None, layout.block_problem, "mend the <!-- exp:… --> lines"
        )


def _title_rules(document: Document) -> Iterator[LintFinding]:
    own, stated = file_id(document.path), document.title_id
    title = document.layout.title
    if stated is not None and own is not None and stated != own:
        line = title.line if title is not None else _line(document, "id")
        yield _found(
            document,
            "title-mismatch",
            line,
            f"the title says {stated}, the file's name says {own}",
            f"write # {own}: …",
        )


def _status_rules(document: Document, ticket: Ticket) -> Iterator[LintFinding]:
    status, phase = words.known_status(ticket.status), words.known_phase(ticket.phase)
    if status is None:
        yield _found(
            document,
            "unknown-status",
            _line(document, "Status"),
            f"status {ticket.status!r} is not known" if ticket.status else "there is no status",
            f"write one of {', '.join(TicketStatus)}",
        )
    if ticket.phase and phase is None:
        yield _found(
            document,
            "unknown-phase",
            _line(document, "Phase"),
            f"phase {ticket.phase!r} is not known",
            f"write one of {', '.join(TicketPhase)}, or a dash",
        )
    if ticket.phase and status not in {None, TicketStatus.ONGOING}:
        yield _found(
            document,
            "phase-without-work",
            _line(document, "Phase"),
            f"phase {ticket.phase} although the ticket is {ticket.status}",
            f"write a dash: **Phase**: {words.DASH}",
        )


def _dependency_rules(
    document: Document, ticket: Ticket, known: Mapping[str, Ticket]
) -> Iterator[LintFinding]:
    line, written = _line(document, "After"), document.value("After")
    if written and not ticket.after:
        yield _found(
            document, "unreadable-after", line, f"After {written!r} names no ticket", "write T-0003"
        )
    for one in ticket.after:
        if one == ticket.id:
            yield _found(
                document, "self-dependency", line, f"{one} comes after itself", "remove it"
            )
        elif one not in known:
            yield _found(
                document, "missing-dependency", line, f"there is no ticket {one}", "exp ticket list"
            )
    waiting = [one for one in waits_for(ticket, known) if one in known and one != ticket.id]
    if waiting and ticket.status in {TicketStatus.READY, TicketStatus.ONGOING}:
        states = ", ".join(f"{one} is {known[one].status or 'without status'}" for one in waiting)
        yield _found(
            document,
            "early",
            _line(document, "Status"),
            f"{ticket.status}, but {states}",
            "write BLOCKED until they are DONE",
        )
    if ticket.after and ticket.status == TicketStatus.BLOCKED and not waits_for(ticket, known):
        yield _found(
            document,
            "needlessly-blocked",
            _line(document, "Status"),
            f"BLOCKED, but all it comes after is DONE: {', '.join(ticket.after)}",
            "write READY",
        )


def _before_rules(
    document: Document, ticket: Ticket, followers: Sequence[str]
) -> Iterator[LintFinding]:
    """`Before` is computed; where somebody wrote it, it must agree."""
    if document.field("Before") is None or set(ticket.before) == set(followers):
        return
    right = ", ".join(followers) or words.DASH
    yield _found(
        document,
        "stale-before",
        _line(document, "Before"),
        f"Before says {', '.join(ticket.before) or 'nothing'}, the others' After say {right}",
        f"write **Before**: {right}, or remove the line",
    )


def _experiment_rules(
    document: Document, ticket: Ticket, knowledge: Knowledge
) -> Iterator[LintFinding]:
    if knowledge.root is None or ticket.experiment is None:
        return
    line, base = _line(document, "Experiment"), knowledge.root.resolve()
    try:
        target = (base / ticket.experiment).resolve()
        inside, there = target.is_relative_to(base), target.is_file()
    except (OSError, ValueError, RuntimeError):  # a name too long, a null byte, a loop of links
        inside, there = True, False
    if not inside or Path(ticket.experiment).is_absolute():
        yield _found(
            document,
            "experiment-outside",
            line,
            f"{ticket.experiment} leads out of the workspace",
            "write experiments/NAME.toml",
        )
    elif not there:
        yield _found(
            document,
            "experiment-missing",
            line,
            f"there is no file {ticket.experiment}",
            "mend the path, or write the spec",
        )
    else:
        for problem in knowledge.spec_problems(ticket) if knowledge.spec_problems else ():
            yield _found(document, "experiment-invalid", line, problem, f"edit {ticket.experiment}")


def _box_rules(
    document: Document,
    ticket: Ticket,
    read: Callable[[Document], Sequence[tuple[Checkbox, Reading]]] | None,
) -> Iterator[LintFinding]:
    readings = {box.key: reading for box, reading in read(document)} if read else {}
    reviews = reviews_of(document)
    for box in ticket.checkboxes:
        if box.checked:
            if why := contradiction(box.text):
                yield _found(
                    document,
                    "contradicted-tick",
                    box.line,
                    f"ticked, but {why}: {_short(box.text)}",
                    "untick it, or mend the claim",
                )
            continue
        reading = readings.get(box.key)
        must = _must_be_ticked(reading) and not is_waived(reviews, box)
        if ticket.status == TicketStatus.DONE and must:
            yield _found(
                document,
                "done-with-open-box",
                box.line,
                f"DONE with an open box: {_short(box.text)}",
                f"tick it if it is true, or set **Status** of {ticket.id} back to ONGOING",
            )
        if reading and reading.decidable in {Decidable.ASK, Decidable.DECLARE}:
            yield _found(
                document,
                "unreadable-criterion",
                box.line,
                f"the machine cannot judge {_short(box.text)}: {reading.why or reading.decidable}",
                "say it as a predicate behind the line: <!-- exp: eval/loss < 2 -->",
            )


def _list_rules(document: Document, ticket: Ticket) -> Iterator[LintFinding]:
    for line in unread_lines(document):
        yield _found(
            document,
            "unreadable-review",
            None,
            f"no review that exp can read: {_short(line)}",
            f"exp ticket review {ticket.id} adds to that list; notes of your own belong outside",
        )
    for line in unread_remarks(document):
        yield _found(
            document,
            "unreadable-remark",
            None,
            f"no remark that exp can read: {_short(line)}",
            f'exp note {ticket.id} "…" adds to that list; notes of your own belong outside',
        )


def _must_be_ticked(reading: Reading | None) -> bool:
    """All but alarms, rules, and what is only nice to have."""
    return reading is None or (reading.is_goal and reading.tier == "must")


def _frozen_rules(
    document: Document, ticket: Ticket, frozen: Sequence[Criterion]
) -> Iterator[LintFinding]:
    """Criteria whose text, notes aside, is no longer what the run was started with."""
    for change in changes_since(ticket, frozen) if frozen else ():
        became = f"now {_short(change.became or '')}" if change.now else "now gone"
        numbers = f" ({change.numbers})" if change.numbers else ""
        yield _found(
            document,
            "edited-after-start",
            change.now.line if change.now else None,
            f"a criterion was changed after the start: it was {_short(change.was)}, "
            f"{became}{numbers}",
            "the run is judged by the old text; start again to be judged by the new one",
        )


def _duplicates(pairs: Iterable[tuple[Document, Ticket]]) -> Iterator[LintFinding]:
    owners: dict[str, list[Document]] = {}
    for document, ticket in pairs:
        owners.setdefault(ticket.id, []).append(document)
    for one, documents in owners.items():
        for document in documents if len(documents) > 1 else ():
            others = ", ".join(other.path for other in documents if other is not document)
            yield _found(
                document,
                "duplicate-id",
                None,
                f"{one} is also the id of {others}",
                "git mv all but one to an id of its own",
            )


def _circles(pairs: Sequence[tuple[Document, Ticket]]) -> Iterator[LintFinding]:
    documents = {ticket.id: document for document, ticket in reversed(pairs)}
    for path in cycles(ticket for _, ticket in pairs):
        if len(path) > 2:  # a ticket after itself has a rule of its own
            document = documents[path[0]]
            yield _found(
                document,
                "cycle",
                _line(document, "After"),
                f"tickets wait for each other: {' after '.join(path)}",
                f"remove one of these from its **After**: {', '.join(path[:-1])}",
            )


def _found(document: Document, rule: str, line: int | None, message: str, hint: str) -> LintFinding:
    return LintFinding(
        rule=rule,
        severity=RULES[rule],
        path=document.path,
        line=line,
        message=message,
        hint=hint,
    )


def _line(document: Document, name: str) -> int | None:
    field = document.field(name)
    return field.line if field is not None else None


def _short(text: str) -> str:
    return f"'{text}'" if len(text) <= 90 else f"'{text[:87]}…'"
