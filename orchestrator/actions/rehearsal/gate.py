"""Whether a start rehearses first, and what is given up where it does not."""

from dataclasses import dataclass

from orchestrator.actions.rehearsal.folders import Rehearsals
from orchestrator.actions.rehearsal.standing import Piece, Standing, newest_of, standing_of
from orchestrator.clock import format_duration
from orchestrator.domain.rehearsal import Rehearsal
from orchestrator.domain.run import Outcome
from orchestrator.errors import ConflictError
from orchestrator.fsio import is_locked
from orchestrator.rehearsal.checks import NAMES
from orchestrator.rehearsal.estimate import estimate_of
from orchestrator.store import Reader
from orchestrator.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What a start does about a rehearsal, and why, in words.

    `due` is what to rehearse against, None where nothing needs to be rehearsed; `why` is None
    where there is nothing to say: no rule asks for a rehearsal, and none was made. `alarming` says
    that a person should hear it.
    """

    due: Standing | None = None
    why: str | None = None
    alarming: bool = False


def gate_of(workspace: Workspace, piece: Piece) -> Gate:
    """Decide by [rehearse] and by the newest result.

    Raises:
        ConflictError: the ticket is being rehearsed at this moment.
    """
    if is_locked(Rehearsals(workspace=workspace, ticket=piece.ticket).lock_file):
        raise ConflictError(
            f"{piece.ticket} is being rehearsed: a run beside it would spoil what is measured",
            hint="wait for its end, or start it with --skip-rehearsal",
        )
    wanted, result = _wanted(workspace, piece), newest_of(workspace, piece)
    if wanted is None and result is None:
        return Gate()
    standing = standing_of(workspace, piece)
    said = _said(standing)
    if wanted is None or (standing.holds and result is not None and not result.failed):
        alarming = standing.holds and result is not None and bool(result.failed)
        return Gate(why=said, alarming=alarming)
    return Gate(due=standing, why=f"{wanted}; {said}")


def given_up(workspace: Workspace, piece: Piece) -> str:
    """What nobody will know of a run that is started without a rehearsal, or what one has shown."""
    steps = ", ".join(f"{number} {name}" for number, name in NAMES.items())
    words = f"without a rehearsal, nobody has looked at these: {steps}"
    if newest_of(workspace, piece) is None:
        return words
    standing = standing_of(workspace, piece)
    said, result = _said(standing), standing.result
    passed = standing.holds and result is not None and not result.failed
    return f"not rehearsed again; {said}" if passed else f"{words}; {said}"


def _wanted(workspace: Workspace, piece: Piece) -> str | None:
    """Why the run must be rehearsed first; None if it need not."""
    rehearse = piece.record.rehearse
    if rehearse.when == "never":
        return None
    if rehearse.when == "always":
        return 'rehearse.when is "always"'
    found = estimate_of(piece.record, rehearse, _last_seconds(workspace, piece))
    if found is None or found[0] < rehearse.above:
        return None
    return f"{found[1]}, not less than rehearse.above = {format_duration(rehearse.above)}"


def _last_seconds(workspace: Workspace, piece: Piece) -> float | None:
    """How long the ticket's newest completed run of the same plan took."""
    record = piece.record
    with Reader(workspace.database) as reader:
        for row in reader.runs(ticket=piece.ticket):
            same = row.experiment == record.experiment and row.planned_steps == record.planned_steps
            if same and row.outcome is Outcome.COMPLETED and row.started and row.ended:
                return max(0.0, row.ended - row.started)
    return None


def _said(standing: Standing) -> str:
    """What the newest result tells of the run."""
    result = standing.result
    if result is None:
        return "it was never rehearsed"
    ago = f"rehearsed {format_duration(standing.age)} ago"
    if standing.changed:
        return f"{ago}, but {' and '.join(standing.changed)} changed since"
    return f"{ago}: {_came_of(result)}"


def _came_of(result: Rehearsal) -> str:
    if not result.failed:
        return "passed"
    return f"failed at step {result.failed[0].number} ({result.failed[0].name})"
