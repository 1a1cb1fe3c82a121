"""The application: screens that show what the eyes have seen."""

from collections.abc import Mapping
from functools import partial
from typing import ClassVar

from textual.actions import ActionParseResult
from textual.app import App, SuspendNotSupported
from textual.binding import Binding, BindingType
from textual.dom import DOMNode

from orchestrator.actions.overview import Overview
from orchestrator.actions.stop import stop_run
from orchestrator.cli.live.board import BoardScreen
from orchestrator.cli.live.dialogs import ConfirmScreen, HelpScreen
from orchestrator.cli.live.eyes import Eyes, Noticed, Seen, SeenClosely, Trouble
from orchestrator.cli.live.reviewing import review_here
from orchestrator.cli.live.run import RunScreen
from orchestrator.cli.live.ticket import TicketScreen
from orchestrator.errors import ExpError
from orchestrator.workspace import Workspace

_WHY = "a person stopped it on the live screen"


class StatusApp(App[None]):
    """`exp status --watch`."""

    TITLE = "exp"
    CSS_PATH = "status.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "help", "help", key_display="?"),
        Binding("q", "quit", "quit"),
    ]

    def __init__(self, workspace: Workspace, eyes: Eyes) -> None:
        super().__init__()
        self.HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]
        self.VERTICAL_BREAKPOINTS = [(0, "-short"), (32, "-tall")]
        self.workspace = workspace
        self.facts: Overview | None = None
        self.eyes = eyes
        self._leaving = False

    def on_mount(self) -> None:
        """Show the board, and begin to look."""
        self.sub_title = str(self.workspace.root)
        self.push_screen(BoardScreen())
        self.eyes.open(self.post_message)

    def on_unmount(self) -> None:
        """Look no more."""
        self.eyes.close()

    def open_ticket(self, ticket: str) -> None:
        """Show a ticket with its criteria."""
        self.push_screen(TicketScreen(ticket))

    def review(self, ticket: str) -> None:
        """Leave the screen to `exp ticket review`, and come back when it has ended."""
        try:
            with self.suspend():
                review_here(self.workspace, ticket)
        except SuspendNotSupported:
            self.notify(f"exp ticket review {ticket}", title="not in this terminal", markup=False)
        self.eyes.look_now()

    async def action_quit(self) -> None:
        """Leave."""
        self._leaving = True
        self.exit()

    async def run_action(
        self,
        action: "str | ActionParseResult",
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        """Do what a key asks for; those that were typed after `q` are none of this screen's.

        A screen that opens while the application ends stays empty, and would fail to find its
        parts.
        """
        if self._leaving:
            return False
        return await super().run_action(action, default_namespace, namespaces)

    def action_help(self) -> None:
        """Say what the keys and the marks mean."""
        self.push_screen(HelpScreen())

    def ask_to_stop(self, run: str) -> None:
        """Stop a run that has not ended, if the person really means it."""
        shown = self.facts.runs if self.facts is not None else ()
        if any(seen.run.id == run and seen.run.status == "ended" for seen in shown):
            self.notify(f"{run} has ended")
            return

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
        self.call_from_thread(self.notify, f"{run} {stopped.state.status}{left}", markup=False)
        self.eyes.look_now()

    def on_seen(self, message: Seen) -> None:
        """Keep the facts, and show them on the board if that is in front."""
        self.facts = message.facts
        if isinstance(self.screen, BoardScreen):
            self.screen.show(message.facts)

    def on_seen_closely(self, message: SeenClosely) -> None:
        """Show the opened run."""
        if isinstance(self.screen, RunScreen):
            self.screen.show(message.facts)

    def on_noticed(self, message: Noticed) -> None:
        """Ring, and say what was told."""
        self.bell()
        self.notify(message.title, markup=False)

    def on_trouble(self, message: Trouble) -> None:
        """Say why the screen stands still."""
        self.notify(message.what, title="nothing new", severity="error", timeout=10, markup=False)
