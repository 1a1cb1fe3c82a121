"""The first screen: runs, tickets, what needs a person, GPUs, queue, commits."""

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll
from textual.events import Mount, ScreenResume
from textual.screen import Screen
from textual.widgets import DataTable, Footer, Header, Input, Static

from orchestrator.actions.overview import Overview
from orchestrator.cli.live import panels
from orchestrator.cli.live.run import RunScreen
from orchestrator.cli.live.tables import RunTable, TicketTable, same

if TYPE_CHECKING:
    from orchestrator.cli.live.app import StatusApp


class BoardScreen(Screen[None]):
    """Everything at a glance."""

    app: "StatusApp"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "filter", key_display="/"),
        Binding("l", "logs", "logs"),
        Binding("s", "stop", "stop"),
        Binding("r", "review", "review"),
        Binding("t", "ticket", "ticket"),
        Binding("escape", "clear", "clear the filter", show=False),
    ]

    def compose(self) -> ComposeResult:
        """All panels; the style sheet places them."""
        yield Header(icon="")
        with Container(id="main"):
            with Container(id="left"):
                yield RunTable()
                yield TicketTable()
            with Container(id="right"):
                for name in panels.NAMES:
                    with VerticalScroll(id=name, classes="panel"):
                        yield Static(markup=False)
        yield Input(placeholder="part of an id, a title or a status", id="filter")
        yield Footer(show_command_palette=False)

    @on(Mount)
    def _begin(self) -> None:
        """Give every panel its name."""
        for name, title in panels.NAMES.items():
            self.query_one(f"#{name}").border_title = title
        self.query_one("#filter").display = False
        self.query_one(RunTable).focus()
        if self.app.facts is not None:
            self.show(self.app.facts)

    @on(ScreenResume)
    def _return(self) -> None:
        """Show what was seen while another screen was in front."""
        if self.app.facts is not None and self.is_mounted:
            self.show(self.app.facts)

    def show(self, seen: Overview) -> None:
        """Show new facts; what did not change is not drawn anew."""
        wanted = self.query_one(Input).value
        self.query_one(RunTable).show(seen.runs, wanted)
        self.query_one(TicketTable).show(seen.tickets, wanted)
        for name, text in panels.texts(seen).items():
            panel = self.query_one(f"#{name}")
            panel.set_class(not text.plain, "-empty")
            body = panel.query_one(Static)
            if not isinstance(body.content, Text) or not same(body.content, text):
                body.update(text)

    def _chosen(self) -> tuple[str | None, str | None]:
        """The run and the ticket under the cursor of the focused table."""
        table = self.focused
        if isinstance(table, TicketTable):
            return table.run_of_cursor, table.key_of_cursor
        runs = self.query_one(RunTable)
        return runs.key_of_cursor, runs.ticket_of_cursor

    @on(DataTable.RowSelected)
    def _open(self) -> None:
        """Enter or a click on the row under the cursor opens the run, or the ticket."""
        run, ticket = self._chosen()
        if isinstance(self.focused, TicketTable):
            if ticket is not None:
                self.app.open_ticket(ticket)
        elif run is not None:
            self.app.push_screen(RunScreen(run))

    def action_logs(self) -> None:
        """Open the log of the run under the cursor."""
        run, _ = self._chosen()
        if run is not None:
            self.app.push_screen(RunScreen(run, at="log"))

    def action_stop(self) -> None:
        """Ask whether the run under the cursor shall stop."""
        run, _ = self._chosen()
        if run is not None:
            self.app.ask_to_stop(run)

    def action_review(self) -> None:
        """Review the ticket under the cursor."""
        _, ticket = self._chosen()
        if ticket is not None:
            self.app.review(ticket)

    def action_ticket(self) -> None:
        """Open the ticket under the cursor, or that of the run."""
        _, ticket = self._chosen()
        if ticket is not None:
            self.app.open_ticket(ticket)

    def action_filter(self) -> None:
        """Ask for words that rows must hold."""
        field = self.query_one(Input)
        field.display = True
        field.focus()

    def action_clear(self) -> None:
        """Show all rows again."""
        field = self.query_one(Input)
        field.value = ""
        field.display = False
        self.query_one(RunTable).focus()

    @on(Input.Changed)
    def _narrow(self) -> None:
        """Filter while the person types."""
        if self.app.facts is not None:
            self.show(self.app.facts)

    @on(Input.Submitted)
    def _keep_filter(self) -> None:
        """Keep the filter and go to the first table that has rows."""
        runs, tickets = self.query_one(RunTable), self.query_one(TicketTable)
        (runs if runs.row_count else tickets).focus()
