"""A ticket: its criteria with what is known of each, and how to review them."""

from typing import TYPE_CHECKING, ClassVar

from rich.console import Group
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Footer, Header, Static

from orchestrator.actions.ticket_detail import show_ticket
from orchestrator.cli.live.run import RunScreen
from orchestrator.cli.views import ticket_detail
from orchestrator.errors import ExpError

if TYPE_CHECKING:
    from orchestrator.cli.live.app import StatusApp


class TicketScreen(Screen[None]):
    """One ticket as `exp ticket show` shows it."""

    app: "StatusApp"
    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape", "app.pop_screen", "back"),
        ("enter", "run", "its run"),
        ("r", "review", "review"),
    ]

    def __init__(self, ticket: str) -> None:
        super().__init__()
        self._ticket = ticket
        self._run: str | None = None

    def compose(self) -> ComposeResult:
        """The page, to scroll in."""
        yield Header(icon="")
        with VerticalScroll(classes="panel") as page:
            page.border_title = self._ticket
            yield Static(id="page", markup=False)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Read the ticket."""
        self._read()

    def action_review(self) -> None:
        """Review it, and show what was said."""
        self.app.review(self._ticket)
        self._read()

    def _read(self) -> None:
        try:
            detail = show_ticket(self.app.workspace, self._ticket)
        except ExpError as error:
            self.query_one("#page", Static).update(Text(str(error), style="red"))
            return
        self._run = detail.run
        self.query_one("#page", Static).update(Group(ticket_detail(detail)))

    def action_run(self) -> None:
        """Open the run that tells of it."""
        if self._run is not None:
            self.app.switch_screen(RunScreen(self._run))
