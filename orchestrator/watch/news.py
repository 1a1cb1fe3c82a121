"""What of a run a person should hear of, in words for a phone. Which of it is new, others know."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

from orchestrator import tickets
from orchestrator.clock import format_duration
from orchestrator.codec import read_record_if_present
from orchestrator.criteria import decided
from orchestrator.domain.attempt import NEEDS, Failure
from orchestrator.domain.criterion import State
from orchestrator.domain.notice import NoticeKind, NoticeLevel
from orchestrator.domain.point import Event
from orchestrator.domain.run import BY_US, Outcome, Published, RunStatus
from orchestrator.domain.ticket import TicketStatus
from orchestrator.errors import ExpError, InvalidFileError
from orchestrator.executors.environment import missing_variables
from orchestrator.watch.evidence import one_line, tally
from orchestrator.watch.logs import last_lines
from orchestrator.watch.observer import Observation
from orchestrator.watch.policy import spent_budget
from orchestrator.watch.saving import is_decided, saved_words, time_left
from orchestrator.workspace import RunFolder, Workspace

_NEARLY = 0.8  # of a budget
_WORTH_STOPPING = 600.0  # seconds that a decided run must have left, to be told of
_GIB = 1 << 30
_DISK_FREE = 5 * _GIB  # or a twentieth of the disk, if that is less
_TAIL = 60  # log lines that are searched for an error
_SHORT = 90  # characters of a cause in a title
_ERROR = re.compile(r"(?:[\w.]+\.)?(?P<name>\w*(?:Error|Exception|Interrupt)): ?(?P<what>.*)")
_LOUD = {"warn": NoticeLevel.WARN, "warning": NoticeLevel.WARN, "error": NoticeLevel.ERROR}
ENDED_BADLY = {Outcome.FAILED: "crashed", Outcome.LOST: "was lost", Outcome.INCOMPLETE: "ended"}


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """A piece of news; `what` is its name among the news of the run, `text` are lines."""

    what: str
    kind: NoticeKind
    level: NoticeLevel
    title: str
    text: tuple[str, ...]


def news_of_end(
    workspace: Workspace,
    seen: Observation,
    published: Published,
    phases: Sequence[Event],
    why: Sequence[str] = (),
) -> Iterator[News]:
    """How a run ended, and what its end leaves to a person. `phases` are its events of that name.

    `why` are lines of the finding that explains a bad end. What a person asked for is no news to
    them.
    """
    number = seen.state.attempt.number
    if seen.state.outcome in ENDED_BADLY:
        yield _bad_end(seen, published, phases, why)
    elif seen.state.outcome is Outcome.STOPPED and not is_decided(seen.state.attempt.stop):
        yield from _stopped(seen, published)
    elif seen.record.ticket is not None:
        yield _good_end(workspace, seen, published)
    ended = seen.state.attempt.exit
    if ended is not None and ended.survivors:
        yield News(
            what=f"survivors:{number}",
            kind=NoticeKind.PERSON,
            level=NoticeLevel.ERROR,
            title=f"{subject(seen)}: the host needs attention: "
            f"{ended.survivors} of its processes cannot be ended",
            text=(f"host {seen.record.host}", f"exp run show {seen.folder.id}"),
        )
    if published.problems:
        again = f"exp report {seen.record.ticket.id} --commit" if seen.record.ticket else ""
        yield News(
            what=f"problems:{number}",
            kind=NoticeKind.PERSON,
            level=NoticeLevel.WARN,
            title=f"{subject(seen)}: the end of {seen.folder.id} is not written down whole",
            text=(*published.problems, again),
        )


def news_of_life(seen: Observation) -> Iterator[News]:
    """What happened to a run that has not ended."""
    yield from _alerts(seen)
    yield from _alarms(seen)
    request = seen.state.attempt.request
    if seen.state.status is RunStatus.QUEUED and request is not None:
        missing = missing_variables(seen.record, request)
        yield from _unset(seen, missing) if missing else _unstarted(seen)
    if seen.state.status is not RunStatus.RUNNING:
        return
    number = seen.state.attempt.number
    nearly = spent_budget(seen.record, seen.used.at(_NEARLY))
    if nearly is not None:
        yield News(
            what=f"budget:{number}",
            kind=NoticeKind.BUDGET,
            level=NoticeLevel.WARN,
            title=f"{subject(seen)} has used {_NEARLY:.0%} of its {nearly}",
            text=(progress(seen), f"exp run show {seen.folder.id}"),
        )
    left = time_left(seen.record, seen.facts.max_step, seen.elapsed)
    if left is not None and left > _WORTH_STOPPING and _is_decided(seen):
        yield News(
            what=f"decided:{number}",
            kind=NoticeKind.DECIDED,
            level=NoticeLevel.INFO,
            title=f"{subject(seen)} is decided ({tally(seen)}), "
            f"with {format_duration(left)} still to run",
            text=(progress(seen), f"exp run stop {seen.folder.id}, or let it go on"),
        )


def news_of_disk(seen: Observation, *, free: int, total: int) -> Iterator[News]:
    """Little space, in bytes, is left where a run writes."""
    if free < min(_DISK_FREE, total / 20):
        left = f"{free / _GIB:.1f} GiB of {total / _GIB:.0f} GiB"
        yield News(
            what="disk",
            kind=NoticeKind.DISK,
            level=NoticeLevel.WARN,
            title=f"{subject(seen)}: the disk is nearly full: {left} left",
            text=(progress(seen), f"exp run show {seen.folder.id}"),
        )


def news_of_trouble(folder: RunFolder, error: Exception) -> News:
    """A run that cannot be looked at, again and again: nobody watches it."""
    return News(
        what="given-up",
        kind=NoticeKind.PERSON,
        level=NoticeLevel.ERROR,
        title=f"{folder.id} cannot be watched: {error}",
        text=("its programs go on, but nothing of it is judged or published", "exp status"),
    )


def subject(seen: Observation) -> str:
    """What a person calls it: the ticket, or a run without one."""
    return seen.record.ticket.id if seen.record.ticket else seen.folder.id


def progress(seen: Observation) -> str:
    """`step 1,200 of 5,000, 1 of 3 criteria met`, as far as it is known."""
    step, planned = seen.facts.max_step, seen.record.planned_steps
    of = f" of {planned:,}" if planned is not None else ""
    done = "no step yet" if step is None else f"step {step:,}{of}"
    return f"{done}, {tally(seen)}" if seen.record.criteria else done


def _unset(seen: Observation, missing: Sequence[str]) -> Iterator[News]:
    """A queued attempt that needs variables which nobody here has."""
    yield News(
        what=f"unset:{seen.state.attempt.number}",
        kind=NoticeKind.PERSON,
        level=NoticeLevel.WARN,
        title=f"{subject(seen)} waits for a person: {', '.join(missing)} is not set",
        text=(
            f"{seen.folder.id} is queued and cannot start",
            f"exp run resume {seen.folder.id}, in a shell that has it",
        ),
    )


def _unstarted(seen: Observation) -> Iterator[News]:
    """A queued attempt whose turn has come, and which cannot be started again and again."""
    if seen.state.why.startswith(NEEDS):
        yield News(
            what=f"start:{seen.state.attempt.number}",
            kind=NoticeKind.PERSON,
            level=NoticeLevel.WARN,
            title=f"{subject(seen)} waits for a person: it cannot be started",
            text=(f"{seen.folder.id} {seen.state.why}", f"exp run show {seen.folder.id}"),
        )


def _is_decided(seen: Observation) -> bool:
    required = any(criterion.required for criterion in seen.record.criteria)
    return required and decided(seen.record.criteria, seen.verdicts)


def _bad_end(
    seen: Observation, published: Published, phases: Sequence[Event], why: Sequence[str]
) -> News:
    outcome, number = seen.state.outcome, seen.state.attempt.number
    short = outcome is Outcome.INCOMPLETE
    evidence = "" if short else _evidence(seen)
    cause = seen.state.why
    if outcome is Outcome.FAILED and (found := _headline(evidence)):
        where = _where(seen, phases)
        cause = found if found.endswith(where) else f"{found}{where}"
    return News(
        what=f"{'incomplete' if short else 'crash'}:{number}",
        kind=NoticeKind.INCOMPLETE if short else NoticeKind.CRASH,
        level=NoticeLevel.WARN if short else NoticeLevel.ERROR,
        title=f"{subject(seen)} {ENDED_BADLY[outcome or Outcome.LOST]}{_after(seen)}: {cause}",
        text=(
            f"{seen.folder.id} {outcome}: {seen.state.why}",
            f"> {evidence}" if evidence else "",
            *why,
            *_verdict_on_retry(seen),
            progress(seen),
            published.report or "",
            f"exp run logs {seen.folder.id}",
        ),
    )


def _stopped(seen: Observation, published: Published) -> Iterator[News]:
    stop = seen.state.attempt.stop
    if stop is None or stop.by != BY_US:
        return
    yield News(
        what=f"spent:{seen.state.attempt.number}",
        kind=NoticeKind.BUDGET,
        level=NoticeLevel.WARN,
        title=f"{subject(seen)} stopped{_after(seen)}: {stop.why}",
        text=(progress(seen), published.report or "", f"exp run show {seen.folder.id}"),
    )


def _good_end(workspace: Workspace, seen: Observation, published: Published) -> News:
    """A run that completed, or ended because nothing could change any more."""
    number, done = seen.state.attempt.number, _is_done(workspace, seen)
    required = [
        verdict.state
        for criterion, verdict in zip(seen.record.criteria, seen.verdicts, strict=True)
        if criterion.required
    ]
    waits = State.MANUAL in required and set(required) <= {State.MET, State.MANUAL, State.WAIVED}
    how = f"{seen.state.outcome}{_after(seen)}: {tally(seen)}"
    kind, level, title = NoticeKind.DECIDED, NoticeLevel.WARN, f"{subject(seen)} {how}"
    if done:
        level, title = NoticeLevel.INFO, f"{subject(seen)} is DONE{_after(seen)}: {tally(seen)}"
    elif waits:
        kind = NoticeKind.PERSON
        title = f"{subject(seen)} {how}, {required.count(State.MANUAL)} for a person to judge"
    saved = saved_words(seen.record, seen.state.attempt.stop)
    return News(
        what=f"end:{number}",
        kind=kind,
        level=level,
        title=title,
        text=(
            f"{seen.folder.id} {seen.state.outcome}: {seen.state.why}",
            saved or "",
            published.report or "",
            f"exp ticket check {subject(seen)}",
        ),
    )


def _is_done(workspace: Workspace, seen: Observation) -> bool:
    try:
        status = tickets.find(workspace.tickets, subject(seen)).ticket.status
    except (ExpError, OSError):
        return False  # it is gone: the problems of the end say so
    return status == TicketStatus.DONE


def _after(seen: Observation) -> str:
    """How long its programs ran, all attempts together."""
    if seen.state.attempt.exit is None:
        return ""
    return f" after {format_duration(seen.used.wall)}"


def _failure(seen: Observation) -> Failure | None:
    file = seen.folder.attempt(seen.state.attempt.number).failure_file
    try:
        return read_record_if_present(Failure, file)
    except InvalidFileError:
        return None  # a torn record must not silence the crash


def _verdict_on_retry(seen: Observation) -> tuple[str, ...]:
    failure = _failure(seen)
    return () if failure is None else (failure.why,)


def _evidence(seen: Observation) -> str:
    """The line that tells most: the recorded one, the last error of the log, or its last line."""
    failure = _failure(seen)
    if failure is not None:
        return failure.evidence
    log = seen.folder.attempt(seen.state.attempt.number).log
    lines = [line.strip() for line in last_lines(log, _TAIL) if line.strip()]
    errors = [line for line in lines if _ERROR.match(line)]
    return (errors or lines or [""])[-1]


def _headline(evidence: str) -> str | None:
    """An error as a few words: `CUDA out of memory`, `ValueError: bad shape`."""
    found = _ERROR.match(evidence)
    if found is None:
        return None
    if "out of memory" in found["what"].casefold():
        return found["what"].split(".")[0][:_SHORT]
    words = f"{found['name']}: {found['what']}".removesuffix(": ")
    return words if len(words) <= _SHORT else f"{words[:_SHORT]}…"


def _where(seen: Observation, phases: Sequence[Event]) -> str:
    """The phase that failed: one the program marked, and that raised or was left open."""
    inner = phases[-1].data if phases else {}
    if inner.get("state") == "begin" or inner.get("error"):
        return f" in {inner.get('phase')}"
    ended = seen.state.attempt.exit
    return f" in {ended.phases[-1].phase}" if ended and ended.phases else ""


def _alerts(seen: Observation) -> Iterator[News]:
    for event in seen.alerts:
        level = _LOUD.get(str(event.data.get("level")))
        title = one_line(str(event.data.get("title")))
        if level is not None:
            yield News(
                what=f"alert:{_digest(title)}",
                kind=NoticeKind.ALERT,
                level=level,
                title=f"{subject(seen)}: {title}",
                text=(
                    str(event.data.get("text") or ""),
                    progress(seen),
                    f"exp run logs {seen.folder.id}",
                ),
            )


def _alarms(seen: Observation) -> Iterator[News]:
    """Lines of the ticket under headings like "Warning signs" that have become true."""
    for criterion, verdict in zip(seen.record.criteria, seen.verdicts, strict=True):
        if criterion.reading.is_alarm and verdict.state is State.MET:
            claim = one_line(tickets.without_predicate(criterion.text))
            yield News(
                what=f"alarm:{_digest(criterion.key)}",
                kind=NoticeKind.ALERT,
                level=NoticeLevel.WARN,
                title=f"{subject(seen)}: alarm: {claim}",
                text=(verdict.why, progress(seen), f"exp ticket check {subject(seen)}"),
            )


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:12]
