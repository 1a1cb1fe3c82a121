"""`exp ticket rehearse`, and what a start says of a rehearsal; progress goes to stderr."""

from typing import TYPE_CHECKING

from orchestrator.actions.rehearsal.gate import gate_of, given_up
from orchestrator.actions.rehearsal.standing import Piece, Standing, piece_of, standing_of
from orchestrator.cli.console import err, note, out, show_json, warn
from orchestrator.cli.views.rehearsal import rehearsal, step_line
from orchestrator.clock import format_duration
from orchestrator.errors import RehearsalFailedError

if TYPE_CHECKING:
    from orchestrator.domain.rehearsal import Rehearsal, RehearsalStep
    from orchestrator.workspace import Workspace


class Progress:
    """Tells of each stage that begins and of each step that has its result."""

    def begin(self, what: str) -> None:
        """A line for what begins now."""
        note(f"  … {what}")

    def end(self, step: "RehearsalStep") -> None:
        """A line for the result."""
        err().print(step_line(step))


def rehearsed(
    workspace: "Workspace", ticket: str, settings: tuple[str, ...], *, force: bool
) -> "Rehearsal":
    """The result that holds, shown with its age, or a new one.

    A failed one is done again: what was mended may be a disk or a port, which no key tells of.
    """
    piece = piece_of(workspace, ticket, settings)
    standing = standing_of(workspace, piece)
    passed = standing.result is not None and not standing.result.failed
    if standing.result is not None and passed and standing.holds and not force:
        age = format_duration(standing.age)
        note(f"rehearsed {age} ago, and nothing has changed since; --force does it again")
        return standing.result
    if standing.changed:
        note(f"changed since the last rehearsal: {', '.join(standing.changed)}")
    return _rehearse(workspace, piece, standing)


def _rehearse(workspace: "Workspace", piece: Piece, standing: Standing) -> "Rehearsal":
    # The writing side of an index costs half a second: only a rehearsal itself pays for it.
    from orchestrator.actions.rehearsal.conduct import rehearse_ticket

    return rehearse_ticket(workspace, piece, standing, Progress())


def show(result: "Rehearsal", *, as_json: bool) -> None:
    """The result on stdout."""
    if as_json:
        show_json(result)
    else:
        out().print(rehearsal(result))


def before_start(
    workspace: "Workspace", ticket: str, settings: tuple[str, ...], *, skip: bool
) -> None:
    """Rehearse where the spec wants it, and say how old a result is; stdout stays the run's.

    Raises:
        RehearsalFailedError: a step failed; nothing is to be started.
    """
    piece = piece_of(workspace, ticket, settings)
    if skip:
        warn(given_up(workspace, piece))
        return
    gate = gate_of(workspace, piece)
    if gate.due is None:
        if gate.why is not None:
            (warn if gate.alarming else note)(gate.why)
        return
    note(f"rehearsing first: {gate.why}")
    result = _rehearse(workspace, piece, gate.due)
    if result.failed:
        err().print(rehearsal(result))
    refuse_failed(result)


def refuse_failed(result: "Rehearsal") -> None:
    """Let a failure be the end.

    Raises:
        RehearsalFailedError: a step failed; names it and the next command.
    """
    if not result.failed:
        return
    first = result.failed[0]
    log = f"less {first.log}, then " if first.log else ""
    raise RehearsalFailedError(
        f"{result.ticket}: the rehearsal failed at step {first.number} ({first.name}): {first.why}",
        hint=f"{log}exp ticket rehearse {result.ticket}",
    )
