"""What lies around the runs: the GPUs of this machine, and the last commits."""

from collections.abc import Mapping, Sequence
from queue import SimpleQueue
from threading import Event, Thread
from typing import TYPE_CHECKING, TypeAlias

from orchestrator.actions.hardware import GpuOverview, holders_of
from orchestrator.git import Commit, recent_commits
from orchestrator.gpus import Gpus
from orchestrator.workspace import Workspace

if TYPE_CHECKING:
    from orchestrator.domain.hardware import GpuReading

Leases: TypeAlias = Mapping[str, Sequence[str]]

_COMMITS = 5
_QUICK = 0.25  # seconds that a driver has to answer somebody who waits for a whole page
_INTERVAL = 5.0  # seconds between two looks for a live screen


class QuickReading:
    """The GPUs, asked while something else is done; whoever waits longer says `exp gpu`."""

    def __init__(self) -> None:
        self._answers: SimpleQueue[GpuReading] = SimpleQueue()
        Thread(target=self._ask, daemon=True).start()

    def _ask(self) -> None:
        self._answers.put(Gpus(deadline=_QUICK).read())

    def answer(self, leases: Leases) -> GpuOverview:
        """What was read, with who holds it."""
        return holders_of(self._answers.get(), leases)


def last_commits(workspace: Workspace) -> tuple[Commit, ...]:
    """The last commits around the workspace; none without git."""
    return recent_commits(workspace.root, _COMMITS)


class Surroundings:
    """GPUs and commits for a live screen, looked at every few seconds on a thread of its own.

    Whatever hangs there, a driver or a share, the screen goes on with what was known before.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._left = Event()
        self.leases: Leases = {}
        self.gpus: GpuOverview | None = None
        self.commits: tuple[Commit, ...] = ()

    def begin(self) -> None:
        """Look from now on, until `end`."""
        Thread(target=self._look, name="surroundings", daemon=True).start()

    def end(self) -> None:
        """Look no more; does not wait."""
        self._left.set()

    def _look(self) -> None:
        gpus = Gpus()
        while not self._left.is_set():
            self.gpus = holders_of(gpus.read(), self.leases)
            self.commits = last_commits(self._workspace)
            self._left.wait(_INTERVAL)
