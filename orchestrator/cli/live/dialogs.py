"""What stands before the screen: a question, and what the keys do."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static

_HELP = """\
up, down, j, k   move in a table          tab      to the next panel
enter            open the run or ticket   escape   back
/                show only rows that hold some words
l                the log of a run
s                stop a run, after a question
r                review a ticket: this screen waits meanwhile
t                the ticket of a run
[ and ]          another metric, where a run is open
q                leave; runs go on without this screen

▶ running   ◷ queued   ✔ completed   ■ stopped   ◐ incomplete   ✘ failed, lost
criteria: ✔ met   ✘ failed   … pending   ? no data   ☞ waits for a person   ~ waived
findings: ✘ error   ▲ warning"""


class HelpScreen(ModalScreen[None]):
    """What the keys and the marks mean."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape,q,question_mark,enter", "dismiss", "close"),
    ]

    def compose(self) -> ComposeResult:
        """One box."""
        with Vertical(classes="dialog") as box:
            box.border_title = "help"
            yield Static(_HELP, markup=False)


class ConfirmScreen(ModalScreen[bool]):
    """A question whose answer is no, unless a person says yes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("y", "answer(True)", "yes"),
        ("n,escape,q", "answer(False)", "no"),
    ]

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """The question, and two buttons."""
        with Vertical(classes="dialog"):
            yield Static(self._question, markup=False)
            with Horizontal(classes="buttons"):
                yield Button("no (n)", id="no")
                yield Button("yes (y)", id="yes", variant="error")

    def on_mount(self) -> None:
        """Enter alone does no harm."""
        self.query_one("#no").focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """A click answers, too."""
        self.dismiss(event.button.id == "yes")

    def action_answer(self, said: bool) -> None:
        """Answer by a key."""
        self.dismiss(said)
