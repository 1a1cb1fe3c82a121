"""Which run a report is about, and which came before it."""

import math
from dataclasses import dataclass

from orchestrator.domain.run import RunRecord, RunState
from orchestrator.store import Reader
from orchestrator.watch.lifecycle import read_run
from orchestrator.watch.live import newest_attempt, state_of
from orchestrator.workspace import RunFolder, Workspace


@dataclass(frozen=True, slots=True)
class Ran:
    """A run of the ticket; `ended` is when its newest attempt ended, infinity while it lives."""

    folder: RunFolder
    record: RunRecord
    ended: float

    @property
    def id(self) -> str:
        """`R-000042`."""
        return self.folder.id


def runs_of(workspace: Workspace, reader: Reader, ticket_id: str) -> list[Ran]:
    """The runs of a ticket by their end, the one that lives last."""
    foreign = {row.id for row in reader.runs() if row.ticket != ticket_id}
    found = []
    for folder in workspace.run_folders():
        record = read_run(folder) if folder.id not in foreign else None
        if record is None or record.ticket is None or record.ticket.id != ticket_id:
            continue
        end = newest_attempt(folder, record).attempt.exit
        found.append(Ran(folder, record, math.inf if end is None else end.ended))
    return sorted(found, key=lambda ran: ran.ended)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The run that a report is about: the one that lives, else the one that ended last.

    An older run may be resumed. `moment` is that of the report, in seconds: the end of an ended
    run, so that the report says the same whenever it is rendered. `others` are the ticket's other
    runs by their end.
    """

    workspace: Workspace
    reader: Reader
    folder: RunFolder
    record: RunRecord
    state: RunState
    moment: float
    others: tuple[Ran, ...] = ()

    @property
    def ended(self) -> float | None:
        """When it ended, in seconds; None while it lives or if nobody knows."""
        return self.state.attempt.exit.ended if self.state.attempt.exit else None

    @property
    def settings(self) -> dict[str, object]:
        """Parameters as the newest attempt has them."""
        request = self.state.attempt.request
        return self.record.params | (request.settings if request is not None else {})


def subject_of(
    workspace: Workspace, reader: Reader, ticket_id: str, *, now: float
) -> Subject | None:
    """The newest run of a ticket; None if it never ran."""
    runs = runs_of(workspace, reader, ticket_id)
    if not runs:
        return None
    *others, newest = runs
    row = reader.run(newest.id)
    state = state_of(newest.folder, newest.record, max_step=row.step if row else None)
    end = state.attempt.exit
    return Subject(
        workspace=workspace,
        reader=reader,
        folder=newest.folder,
        record=newest.record,
        state=state,
        moment=now if end is None else end.ended,
        others=tuple(others),
    )
