"""Whether an old rehearsal still tells of the run that would start now."""

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
class Standing:
    """The run that would start now, and the newest rehearsal of its ticket.

    `changed` says in words what is different since `result`; it holds while that is empty.
    `mirror` is that section of the spec, `gpus` what the driver said of them.
    """

    record: RunRecord
    key: RehearsalKey
    mirror: Mapping[str, Any]
    gpus: GpuReading
    result: Rehearsal | None
    changed: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether the result tells of this run, good or bad."""
        return self.result is not None and not self.changed

    @property
    def passed(self) -> bool:
        """Whether it holds and nothing stood against a start."""
        return self.holds and self.result is not None and not self.result.failed

    @property
    def age(self) -> float | None:
        """Seconds since the rehearsal, None without one."""
        return None if self.result is None else max(0.0, time.time() - self.result.time)


def standing_of(workspace: Workspace, ticket: str, settings: tuple[str, ...]) -> Standing:
    """Read ticket and spec, and compare with what the newest rehearsal held for.

    Raises:
        ExpError: as at a start: no such ticket, a spec that is wrong, a program that is missing.
    """
    document = readable(tickets.find(workspace.tickets, ticket))
    spec = experiment_path(document.ticket)
    experiment = checked_experiment(workspace, spec, settings)
    record = plan_run(workspace, document, experiment, commit=False)
    gpus = Gpus(deadline=_DEADLINE).read()
    key = identity_of(workspace, record, gpus)
    result = _newest(Rehearsals(workspace=workspace, ticket=document.ticket.id))
    changed = () if result is None else differences(result.key, key)
    return Standing(
        record=record,
        key=key,
        mirror=experiment.mirror,
        gpus=gpus,
        result=result,
        changed=changed,
    )


def _newest(rehearsals: Rehearsals) -> Rehearsal | None:
    try:
        return rehearsals.newest()
    except InvalidFileError:
        return None  # of another version: it is made again
