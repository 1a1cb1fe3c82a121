"""The application: facts come from a thread of their own, screens show them."""

import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from threading import Event, Thread
from typing import ClassVar

from textual.app import App
from textual.binding import Binding, BindingType
from textual.message import Message

from orchestrator.actions.closeup import Closeup, CloseupFacts
from orchestrator.actions.overview import Board, Overview
from orchestrator.actions.stop import stop_run
from orchestrator.actions.surroundings import Surroundings
from orchestrator.cli.bell import Bell
from orchestrator.cli.live.board import BoardScreen
from orchestrator.cli.live.dialogs import ConfirmScreen, HelpScreen
from orchestrator.cli.live.run import RunScreen
from orchestrator.cli.live.ticket import TicketScreen
from orchestrator.errors import ExpError
from orchestrator.workspace import RunFolder, Workspace

_INTERVAL = 1.0  # seconds between two looks
_WHY = "a person stopped it on the live screen"
_SHARE = 0.01  # of a core, that looking may take; what is drawn comes on top


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


class StatusApp(App[None]):
    """`exp status --watch`."""

    TITLE = "exp"
    CSS_PATH = "status.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "help", "help", key_display="?"),
        Binding("q", "quit", "quit"),
    ]

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self.HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]
        self.VERTICAL_BREAKPOINTS = [(0, "-short"), (32, "-tall")]
        self.workspace = workspace
        self.facts: Overview | None = None
        self.closeup: Closeup | None = None
        self._surroundings = Surroundings(workspace)
        self._left, self._wanted = Event(), Event()

    def on_mount(self) -> None:
        """Show the board, and begin to look."""
        self.sub_title = str(self.workspace.root)
        self.push_screen(BoardScreen())
        self._surroundings.begin()
        Thread(target=self._look_on, name="facts", daemon=True).start()

    def on_unmount(self) -> None:
        """Look no more."""
        self._surroundings.end()
        self._left.set()
        self._wanted.set()

    def look_now(self) -> None:
        """Do not wait for the next look: something was opened or asked for."""
        self._wanted.set()

    def open_ticket(self, ticket: str) -> None:
        """Show a ticket with its criteria."""
        self.push_screen(TicketScreen(ticket))

    def action_help(self) -> None:
        """Say what the keys and the marks mean."""
        self.push_screen(HelpScreen())

    def ask_to_stop(self, run: str) -> None:
        """Stop a run, if the person really means it."""

        def answered(yes: bool | None) -> None:
            if yes:
                self.notify(f"{run} is asked to stop")
                self.run_worker(partial(self._stop, run), thread=True, exit_on_error=False)

        self.push_screen(ConfirmScreen(f"Stop {run}? It may save a checkpoint first."), answered)

    def _stop(self, run: str) -> None:
        try:
            stopped = stop_run(self.workspace, self.workspace.run(run), why=_WHY)
        except ExpError as error:
            self.post_message(Trouble(str(error)))
            return
        left = f": {stopped.left}" if stopped.left else ""
        self.call_from_thread(self.notify, f"{run} {stopped.state.status}{left}")
        self.look_now()

    def on_seen(self, message: Seen) -> None:
        """Keep the facts, and show them on the board if that is in front."""
        self.facts = message.facts
        if isinstance(self.screen, BoardScreen):
            self.screen.show(message.facts)

    def on_seen_closely(self, message: SeenClosely) -> None:
        """Show the opened run."""
        if isinstance(self.screen, RunScreen):
            self.screen.show(message.facts)

    def on_trouble(self, message: Trouble) -> None:
        """Say why the screen stands still."""
        self.notify(message.what, title="nothing new", severity="error", timeout=10)

    def _look_on(self) -> None:
        """Look until the person leaves; runs on the thread that alone asks files and index."""
        bell = Bell()
        with Board(self.workspace) as board:
            while not self._left.is_set():
                begun = time.thread_time()
                try:
                    self._look(board, bell)
                except ExpError as error:
                    self.post_message(Trouble(str(error)))
                self._wanted.wait(max(_INTERVAL, (time.thread_time() - begun) / _SHARE))
                self._wanted.clear()

    def _look(self, board: Board, bell: Bell) -> None:
        around = self._surroundings
        seen = board.look()
        around.leases = board.leases()
        self.post_message(Seen(replace(seen, gpus=around.gpus, commits=around.commits)))
        bell.look(RunFolder(self.workspace.runs / each.run.id) for each in seen.runs)
        closeup = self.closeup
        if closeup is not None:
            with suppress(FileNotFoundError):
                self.post_message(SeenClosely(closeup.look()))
