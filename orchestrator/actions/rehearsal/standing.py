"""What would be rehearsed, and whether an old rehearsal still tells of it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator import tickets
from orchestrator.actions.planning import experiment_path, plan_run, readable
from orchestrator.actions.rehearsal.folders import Rehearsals
from orchestrator.actions.rehearsal.identity import identity_of
from orchestrator.actions.specs import checked_experiment
from orchestrator.domain.hardware import GpuReading
from orchestrator.domain.rehearsal import Rehearsal, RehearsalKey
from orchestrator.domain.run import RunRecord
from orchestrator.errors import InvalidFileError
from orchestrator.gpus import Gpus
from orchestrator.rehearsal.keys import differences
from orchestrator.workspace import Workspace

_DEADLINE = 10.0  # seconds that the driver may take


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """The run that would start now; `mirror` is that section of its spec."""

    ticket: str
    record: RunRecord
    mirror: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a rehearsal would hold for now, and the newest one of the ticket.

    `changed` says in words what is different since `result`; it holds while that is empty.
    `gpus` is what the driver said of them.
    """

    key: RehearsalKey
    gpus: GpuReading
    result: Rehearsal | None
    changed: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether the result tells of this run, good or bad."""
        return self.result is not None and not self.changed

    @property
    def age(self) -> float:
        """Seconds since the rehearsal, 0 without one."""
        return 0.0 if self.result is None else max(0.0, time.time() - self.result.time)


def piece_of(workspace: Workspace, ticket: str, settings: tuple[str, ...]) -> Piece:
    """Read ticket and spec.

    Raises:
        ExpError: as at a start: no such ticket, a spec that is wrong, a program that is missing.
    """
    document = readable(tickets.find(workspace.tickets, ticket))
    spec = experiment_path(document.ticket)
    experiment = checked_experiment(workspace, spec, settings)
    record = plan_run(workspace, document, experiment, commit=False)
    return Piece(ticket=document.ticket.id, record=record, mirror=experiment.mirror)


def newest_of(workspace: Workspace, piece: Piece) -> Rehearsal | None:
    """The newest result of a ticket; one of another version is none."""
    try:
        return Rehearsals(workspace=workspace, ticket=piece.ticket).newest()
    except InvalidFileError:
        return None


def standing_of(workspace: Workspace, piece: Piece) -> Standing:
    """Compare what would start now with what the newest rehearsal held for.

    Reads all code, and asks for what is installed: some tenths of a second.
    """
    gpus = Gpus(deadline=_DEADLINE).read()
    key = identity_of(workspace, piece.record, gpus)
    result = newest_of(workspace, piece)
    changed = () if result is None else differences(result.key, key)
    return Standing(key=key, gpus=gpus, result=result, changed=changed)
