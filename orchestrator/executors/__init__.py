"""Where attempts execute. The folder on disk is the state; an executor only acts on it."""

from collections.abc import Sequence
from typing import Protocol

from orchestrator.domain.run import Identity
from orchestrator.executors.local import LocalExecutor
from orchestrator.procs import Reaped
from orchestrator.workspace import AttemptFolder, RunFolder


class Executor(Protocol):
    """What a place that runs attempts must be able to do."""

    def submit(
        self, run: RunFolder, attempt: AttemptFolder, env: dict[str, str], locks: Sequence[int]
    ) -> None:
        """Start the attempt's shim; return once it has recorded its identity.

        The shim holds the descriptors `locks` as long as it lives.
        """

    def is_alive(self, attempt: AttemptFolder, process: Identity) -> bool:
        """Whether the attempt's shim still runs."""

    def stop(self, attempt: AttemptFolder) -> bool:
        """Ask the shim to end its tree within the run's grace; False if there is none to ask."""

    def reap(self, run: RunFolder, attempt: AttemptFolder) -> Reaped:
        """End what a lost shim left behind; say how many processes that were."""


def executor_for(name: str) -> Executor:
    """The executor that a run record names."""
    return {"local": LocalExecutor}[name]()
