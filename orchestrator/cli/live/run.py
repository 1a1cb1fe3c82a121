"""A run from near: chart, metrics, criteria, findings, attempts, log."""

from collections.abc import Callable
from io import StringIO
from typing import TYPE_CHECKING, ClassVar

from rich.console import Console, Group, RenderableType
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll
from textual.events import Mount, Resize, Unmount
from textual.screen import Screen
from textual.widgets import DataTable, Footer, Header, Static

from orchestrator.actions.closeup import CloseupFacts
from orchestrator.actions.pulse import Pulse
from orchestrator.cli.console import clean
from orchestrator.cli.views import criteria_table
from orchestrator.cli.views.attempts import attempt_lines
from orchestrator.cli.views.chart import chart
from orchestrator.cli.views.findings import finding_lines
from orchestrator.cli.views.pulse import pace, state_mark, time_left
from orchestrator.cli.views.words import number, plain, progress, spent, word

if TYPE_CHECKING:
    from orchestrator.cli.live.app import StatusApp

_PANELS = ("criteria", "findings", "log", "attempts")


class ChartPanel(VerticalScroll):
    """Has its chart drawn whenever its own size is another, so also when it first has one."""

    def __init__(self, draw: Callable[[], None]) -> None:
        super().__init__(id="chart", classes="panel", can_focus=False)
        self._redraw = draw

    @on(Resize)
    def _resized(self) -> None:
        self._redraw()


class RunScreen(Screen[None]):
    """One run, kept up to date."""

    app: "StatusApp"
    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape", "app.pop_screen", "back"),
        Binding("right_square_bracket", "metric(1)", "next metric", key_display="]"),
        Binding("left_square_bracket", "metric(-1)", "metric before", key_display="["),
        ("l", "log", "log"),
        ("s", "stop", "stop"),
        ("r", "review", "review"),
        ("t", "ticket", "ticket"),
    ]

    def __init__(self, run: str, at: str | None = None) -> None:
        super().__init__()
        self._run = run
        self._at = at
        self._facts: CloseupFacts | None = None
        self._known: dict[str, str] = {}

    def compose(self) -> ComposeResult:
        """All panels; the style sheet places them."""
        yield Header(icon="")
        yield Static(id="head", markup=False)
        with Container(id="near"):
            with ChartPanel(self._draw_chart):
                yield Static(markup=False)
            yield DataTable[Text](id="metrics", classes="panel", cursor_type="row")
            for name in _PANELS:
                with VerticalScroll(id=name, classes="panel"):
                    yield Static(markup=False)
        yield Footer(show_command_palette=False)

    @on(Mount)
    def _begin(self) -> None:
        """Begin to look at the run."""
        for name in ("chart", "metrics", *_PANELS):
            self.query_one(f"#{name}").border_title = name
        self.query_one("#log", VerticalScroll).anchor()
        if self._at == "log":
            self.query_one("#log").focus()
        else:  # a small screen shows the chart first
            self.query_one("#metrics").focus(scroll_visible=False)
        self.app.eyes.near(self._run)

    @on(Unmount)
    def _end(self) -> None:
        """Look at it no more."""
        self.app.eyes.near(None)

    def show(self, facts: CloseupFacts) -> None:
        """Show new facts."""
        if facts.detail.id != self._run:
            return
        if self._facts is None and self._at is None:  # rows that appear pull the focus into sight
            self.call_after_refresh(self.query_one("#near").scroll_home, animate=False)
        self._facts = facts
        self._fill("head", _head(facts, self._pulse()))
        self._draw_chart()
        self._fill_metrics(facts)
        detail = facts.detail
        self._fill("criteria", criteria_table(detail.criteria))
        none = Text("nothing was found to be wrong", style="dim")
        self._fill("findings", Group(*finding_lines(detail.findings)) if detail.findings else none)
        self._fill("attempts", attempt_lines(detail.story))
        self._fill("log", Text(clean(facts.log.replace("\r", "\n")).rstrip()))

    def _pulse(self) -> Pulse:
        """What the board knows of it, if it is among the runs there."""
        seen = self.app.facts.runs if self.app.facts is not None else ()
        return next((each.pulse for each in seen if each.run.id == self._run), Pulse())

    def _fill(self, name: str, what: RenderableType) -> None:
        panel = self.query_one(f"#{name}")
        body = panel if isinstance(panel, Static) else panel.query_one(Static)
        shown = _drawn(what)
        if self._known.get(name) != shown:
            self._known[name] = shown
            body.update(what)

    def _draw_chart(self) -> None:
        facts = self._facts
        panel = self.query_one("#chart")
        size = panel.content_size
        if facts is None or facts.curve is None:
            self._fill("chart", Text("no points yet", style="dim"))
            return
        self._fill("chart", chart(facts.curve, width=size.width, height=size.height))

    def _fill_metrics(self, facts: CloseupFacts) -> None:
        table = self.query_one("#metrics", DataTable)
        rows = [
            (
                plain(row.name),
                Text(number(row.latest.value), justify="right"),
                Text(f"{row.latest.step:,}", style="dim", justify="right"),
            )
            for row in facts.series
        ]
        if table.row_count != len(rows):
            table.clear(columns=True)
            for name in ("metric", "last", "step"):
                table.add_column(name, key=name)
            for row, cells in zip(facts.series, rows, strict=True):
                table.add_row(*cells, key=row.name)
            return
        for row, cells in zip(facts.series, rows, strict=True):
            for name, cell in zip(("metric", "last", "step"), cells, strict=True):
                if table.get_cell(row.name, name) != cell:
                    table.update_cell(row.name, name, cell, update_width=True)

    @on(DataTable.RowHighlighted)
    def _choose(self, event: DataTable.RowHighlighted) -> None:
        """The chart is that of the metric under the cursor."""
        if event.row_key.value is not None:
            self.app.eyes.choose(event.row_key.value)

    def action_metric(self, by: int) -> None:
        """Choose another metric from wherever the focus is."""
        table = self.query_one("#metrics", DataTable)
        table.move_cursor(row=(table.cursor_row + by) % max(1, table.row_count))

    def action_log(self) -> None:
        """Go to the log."""
        self.query_one("#log").focus()

    def action_stop(self) -> None:
        """Ask whether it shall stop."""
        self.app.ask_to_stop(self._run)

    def action_review(self) -> None:
        """Review its ticket."""
        ticket = self._facts.detail.ticket if self._facts else None
        if ticket is not None:
            self.app.review(ticket)

    def action_ticket(self) -> None:
        """Open its ticket."""
        ticket = self._facts.detail.ticket if self._facts else None
        if ticket is not None:
            self.app.open_ticket(ticket)


def _head(facts: CloseupFacts, pulse: Pulse) -> Text:
    """Two lines: what it is and how far; why it is so."""
    detail = facts.detail
    state = detail.outcome or detail.status
    what = f"{detail.ticket}: {detail.title}" if detail.ticket else detail.experiment or ""
    first = Text.assemble(state_mark(state), " ", (detail.id, "bold"), " ", word(state), "  ")
    first.append_text(plain(what))
    done = progress(detail.step, detail.planned_steps)
    going = (pace(pulse), time_left(pulse)) if detail.outcome is None else ()
    why = plain(detail.why).plain if detail.why != state else ""  # "running": said above
    second = Text("  ").join(Text(part) for part in (done, *going, why) if part)
    second.append(f"  {spent(detail.started, detail.ended)}", style="dim")
    for line in (first, second):
        line.no_wrap, line.overflow = True, "ellipsis"
    return Text("\n").join([first, second])


def _drawn(what: RenderableType) -> str:
    """What tells whether a panel looks the same as before."""
    if isinstance(what, Text):
        return what.plain
    page = Console(file=StringIO(), width=160, force_terminal=False)
    with page.capture() as found:
        page.print(what)
    return found.get()
