"""Looking, on a thread of its own: files and the index are asked there and nowhere else."""

import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from threading import Event, Thread
from typing import Any, Protocol, TypeAlias

from textual.message import Message

from orchestrator.actions.closeup import Closeup, CloseupFacts
from orchestrator.actions.overview import Board, Overview
from orchestrator.actions.surroundings import Surroundings
from orchestrator.cli.bell import Bell
from orchestrator.errors import ExpError
from orchestrator.workspace import RunFolder, Workspace

_INTERVAL = 1.0  # seconds between two looks
_LONGEST = 5.0  # seconds, however much a look has cost: the first reads everything
_SHARE = 0.007  # of a core, that looking may take; what is drawn comes on top

Tell: TypeAlias = Callable[[Message], Any]


class Seen(Message):
    """What a look has brought."""

    def __init__(self, facts: Overview) -> None:
        super().__init__()
        self.facts = facts


class SeenClosely(Message):
    """What a look at the opened run has brought."""

    def __init__(self, facts: CloseupFacts) -> None:
        super().__init__()
        self.facts = facts


class Trouble(Message):
    """Why a look has brought nothing."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what


class Noticed(Message):
    """What somebody was just told of."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self.title = title


class Eyes(Protocol):
    """Where an application gets its facts from; they come as messages."""

    def open(self, tell: Tell) -> None:
        """Begin to look."""

    def close(self) -> None:
        """Look no more; does not wait."""

    def look_now(self) -> None:
        """Do not wait for the next look: something was opened or asked for."""

    def near(self, run: str | None) -> None:
        """From now on look at this run from near, too; None for none."""

    def choose(self, metric: str) -> None:
        """Read the curve of this metric of the run that is near."""


class Watching:
    """Looks at a workspace about once a second, and less often where a look costs much."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._surroundings = Surroundings(workspace)
        self._near: str | None = None
        self._metric: str | None = None
        self._closeup: Closeup | None = None  # of the thread that looks
        self._left, self._wanted = Event(), Event()

    def open(self, tell: Tell) -> None:
        """Begin to look."""
        self._surroundings.begin()
        Thread(target=self._look_on, args=(tell,), name="facts", daemon=True).start()

    def close(self) -> None:
        """Look no more; does not wait."""
        self._surroundings.end()
        self._left.set()
        self._wanted.set()

    def look_now(self) -> None:
        """Do not wait for the next look."""
        self._wanted.set()

    def near(self, run: str | None) -> None:
        """Look at this run from near, or at none."""
        self._near, self._metric = run, None
        self._wanted.set()

    def choose(self, metric: str) -> None:
        """Read the curve of another metric."""
        if self._near is not None and self._metric != metric:
            self._metric = metric
            self._wanted.set()

    def _look_on(self, tell: Tell) -> None:
        bell = Bell(lambda title: tell(Noticed(title)))
        with Board(self._workspace) as board, ExitStack() as opened:
            while not self._left.is_set():
                begun = time.thread_time()
                try:
                    self._look(board, bell, tell)
                    self._look_closely(opened, tell)
                except ExpError as error:
                    tell(Trouble(str(error)))
                pause = (time.thread_time() - begun) / _SHARE
                self._wanted.wait(min(_LONGEST, max(_INTERVAL, pause)))
                self._wanted.clear()

    def _look(self, board: Board, bell: Bell, tell: Tell) -> None:
        around = self._surroundings
        seen = board.look()
        around.leases = board.leases()
        tell(Seen(replace(seen, gpus=around.gpus, commits=around.commits)))
        bell.look(RunFolder(self._workspace.runs / each.run.id) for each in seen.runs)

    def _look_closely(self, opened: ExitStack, tell: Tell) -> None:
        """Look at the run that is near; `opened` holds what was opened for it until another is."""
        run, metric, closeup = self._near, self._metric, self._closeup
        if closeup is not None and closeup.run != run:
            opened.close()
            closeup = self._closeup = None
        if run is None:
            return
        if closeup is None:
            closeup = self._closeup = opened.enter_context(Closeup(self._workspace, run))
        closeup.metric = metric or closeup.metric
        with suppress(FileNotFoundError):
            tell(SeenClosely(closeup.look()))
