"""`exp ticket review`: ask a person about each criterion, or take what a script says."""

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import typer

from orchestrator.actions.checking import CheckedCriterion, TicketCheck
from orchestrator.actions.evidence import surroundings
from orchestrator.actions.reviewing import (
    ENDS,
    End,
    Word,
    facts_for_review,
    in_short,
    keep,
    lines_of,
    open_gates,
    review,
    reviewer,
)
from orchestrator.cli.console import err, hint, note, show_error, warn
from orchestrator.cli.views.review import review_head, review_screen, review_summary
from orchestrator.domain.review import Decision, Gate
from orchestrator.domain.ticket import TicketStatus
from orchestrator.errors import ExpError, RefusedError, UsageError
from orchestrator.workspace import Workspace

_NUMBER = re.compile(r"[cC]?(\d{1,6})", re.ASCII)
_KEYS = {
    "a": Decision.ACCEPT,
    "r": Decision.REJECT,
    "w": Decision.WAIVE,
    "n": Decision.NOTE,
}
_DECIDED = {TicketStatus.DONE, TicketStatus.FAILED}
_QUESTION = "[a]ccept [r]eject [w]aive [n]ote [s]kip [q]uit (a reason may follow): "
_GIT_NAME = 'git config user.name "Your Name" && git config user.email you@example.org'


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What the options of a script say; numbers as they were typed."""

    accept: tuple[str, ...] = ()
    reject: tuple[str, ...] = ()
    waive: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    reason: str = ""
    decide: str | None = None


@dataclass(slots=True)
class _Session:
    """One review by one person: what was written so far."""

    workspace: Workspace
    check: TicketCheck
    by: str
    paths: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def write(self, words: Sequence[Word], end: End | None = None) -> None:
        self.paths += review(self.workspace, self.check, words, by=self.by, end=end)
        self.told += [in_short(word) for word in words]
        self.told += [str(end.status)] if end else []

    def look(self) -> None:
        self.check = facts_for_review(self.workspace, self.check.ticket)

    def close(self) -> None:
        """Bring report and commit up to date with what was said."""
        if not self.told:
            note("nothing said, nothing changed")
            return
        kept = keep(self.workspace, self.check, self.paths, self.told, self.by)
        done = f", committed {kept.commit[:12]}" if kept.commit else ""
        note(f"{self.check.ticket}: {', '.join(self.told)}{done}")
        for problem in kept.problems:
            warn(problem)


def review_by_options(workspace: Workspace, ticket: str, said: Said) -> None:
    """Apply what a script says, all of it or nothing.

    Raises:
        UsageError: nothing was said, or it contradicts itself.
        RefusedError: git knows no name that it could be said by.
        ExpError: as `actions.reviewing.review`.
    """
    words = list(_words(said))
    numbers = [word.number for word in words if word.decision is not Decision.NOTE]
    twice = next((number for number in numbers if numbers.count(number) > 1), None)
    if twice is not None:
        raise UsageError(f"C{twice} is decided twice", hint="say one thing of each criterion")
    if said.decide is not None and said.decide not in ENDS:
        raise UsageError(f"--decide {said.decide}: no such end", hint="--decide done|failed|ready")
    if not words and said.decide is None:
        raise UsageError(
            "nothing was said", hint=f"exp ticket review {ticket} --non-interactive --accept C1"
        )
    check = facts_for_review(workspace, ticket)
    by = reviewer(workspace)
    if by is None:
        raise RefusedError("git does not know who you are: a review needs a name", hint=_GIT_NAME)
    end = End(status=ENDS[said.decide], reason=said.reason) if said.decide else None
    session = _Session(workspace=workspace, check=check, by=by)
    session.write(words, end)
    session.close()
    _say_what_is_left(session)


def review_by_questions(workspace: Workspace, ticket: str) -> None:
    """Go through the criteria; each answer is written at once, so that Ctrl-C loses none.

    Raises:
        UsageError: nobody can be asked here.
        typer.Exit: with 130 after Ctrl-C.
    """
    if not sys.stdin.isatty():
        raise UsageError(
            "nobody can be asked here",
            hint=f"exp ticket review {ticket} --non-interactive --accept C1 --reason …",
        )
    check = facts_for_review(workspace, ticket)
    err().print(review_head(check))
    by = reviewer(workspace) or _ask_name()
    session = _Session(workspace=workspace, check=check, by=by)
    try:
        if _ask_of_all(session):
            _ask_end(session)
    except KeyboardInterrupt:
        note("")
        session.close()
        raise typer.Exit(130) from None
    session.close()
    _say_what_is_left(session)


def _words(said: Said) -> Iterator[Word]:
    decisions = (
        (Decision.ACCEPT, said.accept),
        (Decision.REJECT, said.reject),
        (Decision.WAIVE, said.waive),
    )
    for decision, typed in decisions:
        for text in ",".join(typed).split(",") if typed else ():
            yield Word(number=_number(text), decision=decision, reason=said.reason)
    for text in said.notes:
        number, equals, words = text.partition("=")
        if not equals:
            raise UsageError(f"--note {text!r} has no text", hint='--note "C1=looks odd"')
        yield Word(number=_number(number), decision=Decision.NOTE, reason=words)


def _number(text: str) -> int:
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is no number of a criterion", hint="write it like C2")
    return int(match[1])


def _ask_of_all(session: _Session) -> bool:
    """Ask about each criterion; False if the person quits, or there is no more input."""
    number = 1
    while number <= len(lines_of(session.check)):
        rows = lines_of(session.check)
        row = rows[number - 1]
        around = surroundings(session.workspace, session.check.run or "", row)
        err().print(review_screen(row, len(rows), around, width=err().width))
        word = _ask(row)
        if word is None:
            return False
        number += 1
        if not isinstance(word, Word):
            continue
        try:
            session.write([word])
        except ExpError as error:
            show_error(error)
            session.look()  # perhaps the line was edited: it is shown again as it stands
            number -= 1
    return True


def _ask(row: CheckedCriterion) -> Word | str | None:
    """A person's word, `s` to skip, None to quit."""
    while True:
        line = _read(_QUESTION)
        key, rest = line.strip()[:1].casefold(), line.strip()[1:].strip()
        if not line or key == "q":
            return None
        if key == "s":
            return key
        if key in _KEYS:
            decision = _KEYS[key]
            if not rest and decision is not Decision.ACCEPT:
                rest = _read("why: ").strip()
            if rest or decision is Decision.ACCEPT:
                return Word(number=row.number or 0, decision=decision, reason=rest)
            note("without a reason nothing is written")


def _ask_end(session: _Session) -> None:
    """The ticket's decision, once all criteria were gone through."""
    session.look()
    err().print(review_summary(lines_of(session.check)))
    if session.check.live:
        note(f"{session.check.run} goes on: the ticket can be decided when it has ended")
        return
    obstacles = open_gates(session.workspace, session.check)
    if obstacles:
        note(f"not to be DONE: {', '.join(obstacles)}")
    choices = "[f]ailed [r]eady [l]eave it" if obstacles else "[d]one [f]ailed [r]eady [l]eave it"
    names = {name[0]: name for name in ENDS}
    while (line := _read(f"{session.check.ticket} is {choices}: ")).strip():
        key, reason = line.strip()[:1].casefold(), line.strip()[1:].strip()
        if key == "l":
            return
        if key in names:
            try:
                session.write([], End(status=ENDS[names[key]], reason=reason))
            except ExpError as error:
                show_error(error)
            else:
                return


def _ask_name() -> str:
    while True:
        line = _read("git does not know your name; review as (Name <mail>): ")
        if line.strip():
            return line.strip()
        if not line:
            raise RefusedError("a review needs a name", hint=_GIT_NAME)


def _read(question: str) -> str:
    """A line that a person types; empty at the end of input."""
    err().print(question, end="", markup=False, style="bold")
    return sys.stdin.readline()


def _say_what_is_left(session: _Session) -> None:
    ticket = session.check.ticket
    if any(str(status) in session.told for status in ENDS.values()):
        hint("exp ticket next")
        return
    obstacles = [] if session.check.live else open_gates(session.workspace, session.check)
    decided = session.check.status in _DECIDED
    at_odds = bool(obstacles) and session.check.status == TicketStatus.DONE
    if obstacles and (at_odds or not decided):
        what = "it is DONE, but for" if at_odds else "what keeps it from DONE:"
        note(f"{what} {', '.join(obstacles)}")
    if not session.check.live and (at_odds or not decided):
        hint(next_command(ticket, obstacles))


def next_command(ticket: str, obstacles: Sequence[str]) -> str:
    """To judge what is open, else the end that the criteria leave."""
    if obstacles and all(each.endswith(f"({Gate.OPEN})") for each in obstacles):
        return f"exp ticket review {ticket}"
    end = "failed" if obstacles else "done"
    return f"exp ticket review {ticket} --non-interactive --decide {end}"
