"""Runs and tickets as tables of two and of one line a row."""

from abc import abstractmethod
from collections.abc import Sequence
from itertools import islice
from typing import ClassVar, Generic, TypeVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.widgets import DataTable

from orchestrator.actions.overview import RunOverview
from orchestrator.actions.rows import TicketRow
from orchestrator.cli.views import pulse
from orchestrator.cli.views.states import by_state, states
from orchestrator.cli.views.words import number, plain, word

_MOST = 300  # tickets that are shown at once; others are found through the filter
_ROOMY = 110  # characters from which on a run has room for its title and its last evaluation
_MARKS = 8  # criteria that have a mark each
_PADDING = 2  # characters on both sides of a cell

Row = TypeVar("Row")


class _Rows(DataTable[Text], Generic[Row]):
    """Rows by key; those that are equal to what is shown are left alone."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select_cursor", "open"),
        Binding("j", "cursor_down", show=False),
        Binding("k", "cursor_up", show=False),
    ]
    HEIGHT = 1

    def __init__(self, name: str) -> None:
        super().__init__(id=name, classes="panel", cursor_type="row", show_header=False)
        self.border_title = name
        self._shown: dict[str, tuple[Text, ...]] = {}
        self._rows: Sequence[Row] = ()

    @property
    def key_of_cursor(self) -> str | None:
        """The id of the row under the cursor; None in an empty table."""
        keys = list(self._shown)
        return keys[self.cursor_row] if 0 <= self.cursor_row < len(keys) else None

    def on_resize(self, event: Resize) -> None:
        """Columns follow the width."""
        if event.size.width:
            self._draw(anew=True)

    @abstractmethod
    def _widths(self) -> list[int]:
        """Of the columns, in characters."""

    @abstractmethod
    def _key(self, row: Row) -> str:
        """The id by which a row is known."""

    @abstractmethod
    def _cells(self, row: Row, widths: list[int]) -> tuple[Text, ...]:
        """What stands in each column."""

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Rows that come into sight are brought up to date."""
        super().watch_scroll_y(old_value, new_value)
        if round(old_value) != round(new_value):
            self._draw()

    def _draw(self, *, anew: bool = False) -> None:
        """Change the cells in sight that differ; build all anew if rows or columns differ."""
        widths, rows = self._widths(), {self._key(row): row for row in self._rows}
        if anew or list(rows) != list(self._shown):
            self._build(rows, widths)
            return
        first = int(self.scroll_y) // self.HEIGHT
        last = first + self.size.height // self.HEIGHT + 1
        for key, row in islice(rows.items(), first, last):
            cells = self._cells(row, widths)
            for place, cell in enumerate(cells):
                if not same(cell, self._shown[key][place]):
                    self.update_cell(key, str(place), cell)
            self._shown[key] = cells

    def _build(self, rows: dict[str, Row], widths: list[int]) -> None:
        cursor = self.key_of_cursor
        self.clear(columns=True)
        for place, width in enumerate(widths):
            self.add_column("", width=width, key=str(place))
        self._shown = {key: self._cells(row, widths) for key, row in rows.items()}
        for key, cells in self._shown.items():
            self.add_row(*cells, key=key, height=self.HEIGHT)
        if cursor in rows:
            self.move_cursor(row=list(rows).index(cursor), animate=False)


def same(one: Text, other: Text) -> bool:
    """Whether two texts look the same."""
    return one == other and one.style == other.style


class RunTable(_Rows[RunOverview]):
    """Live and recent runs, two lines each."""

    HEIGHT = 2

    def __init__(self) -> None:
        super().__init__("runs")

    @property
    def ticket_of_cursor(self) -> str | None:
        """The ticket of the run under the cursor."""
        run = self.key_of_cursor
        return next((seen.run.ticket for seen in self._rows if seen.run.id == run), None)

    def show(self, runs: Sequence[RunOverview], wanted: str) -> None:
        """Show those of these runs that hold the wanted words."""
        self._rows = [seen for seen in runs if _holds(wanted, _words_of_run(seen))]
        live = sum(seen.run.status != "ended" for seen in runs)
        self.border_subtitle = f"{live} live" if runs else "none yet: exp ticket start"
        self._draw()

    def _widths(self) -> list[int]:
        room = max(40, self.size.width - self.scrollbar_size_vertical)
        fixed = [12, 18, 15] if room < _ROOMY else [12, 24, 26]
        if room >= _ROOMY:
            fixed.append(min(36, (room - sum(fixed)) // 2 - 2 * _PADDING))
        return [*fixed, max(12, room - sum(fixed) - _PADDING * (len(fixed) + 1))]

    def _key(self, row: RunOverview) -> str:
        return row.run.id

    def _cells(self, row: RunOverview, widths: list[int]) -> tuple[Text, ...]:
        roomy = len(widths) > 4
        cells = [_name(row), _progress(row, widths[1]), _loss(row, widths[2], roomy=roomy)]
        if roomy:
            cells.append(_lines(plain(row.title), pulse.measured(row.pulse.evaluation)))
        cells.append(_outlook(row))
        return tuple(cells)


class TicketTable(_Rows[TicketRow]):
    """Tickets, those that are worked on first."""

    def __init__(self) -> None:
        super().__init__("tickets")

    @property
    def run_of_cursor(self) -> str | None:
        """The run that tells of the ticket under the cursor now."""
        ticket = self.key_of_cursor
        return next((row.run for row in self._rows if row.id == ticket), None)

    def show(self, tickets: Sequence[TicketRow], wanted: str) -> None:
        """Show those of these tickets that hold the wanted words."""
        found = [row for row in tickets if _holds(wanted, _words_of_ticket(row))]
        self._rows = by_state(found)[:_MOST]
        more = f" · {len(found) - _MOST:,} more through /" if len(found) > _MOST else ""
        self.border_subtitle = f"{states(tickets)}{more}"
        self._draw()

    def _widths(self) -> list[int]:
        room = max(40, self.size.width - self.scrollbar_size_vertical)
        fixed = [6, 7, 12, 10] if room < _ROOMY else [8, 8, 16, 12]
        return [*fixed, max(12, room - sum(fixed) - _PADDING * (len(fixed) + 1))]

    def _key(self, row: TicketRow) -> str:
        return row.id

    def _cells(self, row: TicketRow, widths: list[int]) -> tuple[Text, ...]:
        del widths
        run = Text("")
        if row.run is not None:
            run = Text.assemble(pulse.state_mark(row.run_status or ""), f" {row.run}")
        title = _cut(plain(row.title))
        return (Text(row.id, "bold"), word(row.status), _ticks(row), run, title)


def _ticks(row: TicketRow) -> Text:
    """`✔✔·· 2/4`; only the count where there are many."""
    if not row.criteria:
        return Text("—", style="dim")
    count = f"{row.met}/{row.criteria}"
    if row.criteria > _MARKS:
        return Text(count)
    return Text.assemble(
        ("✔" * row.met, "green"), ("·" * (row.criteria - row.met), "dim"), " ", count
    )


def _holds(wanted: str, text: str) -> bool:
    """Whether every word that is wanted is in the text, whatever its case."""
    folded = text.casefold()
    return all(part in folded for part in wanted.casefold().split())


def _words_of_run(seen: RunOverview) -> str:
    run = seen.run
    return f"{run.id} {run.ticket or ''} {seen.title} {run.outcome or run.status}"


def _words_of_ticket(row: TicketRow) -> str:
    return f"{row.id} {row.title} {row.status} {row.phase} {row.run or ''} {row.run_status or ''}"


def _lines(first: Text, second: Text) -> Text:
    return _cut(Text("\n").join([first, second]))


def _cut(text: Text) -> Text:
    """A cell's lines are cut at its end, not folded."""
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _name(seen: RunOverview) -> Text:
    run = seen.run
    again = f" #{run.attempt}" if run.attempt > 1 else ""
    return _lines(
        Text.assemble(pulse.state_mark(run.outcome or run.status), " ", (run.id, "bold")),
        Text(f"  {run.ticket or ''}{again}"),
    )


def _progress(seen: RunOverview, width: int) -> Text:
    run = seen.run
    if run.started is None:
        return Text(run.status, style="yellow")
    if not run.planned_steps:
        return _lines(Text("—" if run.step is None else f"step {run.step:,}"), Text(""))
    share = min(1.0, (run.step or 0) / run.planned_steps)
    room = width - 5
    full = round(share * room)
    done = Text.assemble(("━" * full, "green"), ("─" * (room - full), "dim"), f" {share:4.0%}")
    if run.status == "ended":
        return _lines(done, Text(str(run.outcome or "")))
    left = pulse.time_left(seen.pulse)
    speed = pulse.pace(seen.pulse)
    room = width - len(left) - 2
    return _lines(done, Text(f"{left}  {speed}" if len(speed) <= room else left or speed))


def _loss(seen: RunOverview, width: int, *, roomy: bool) -> Text:
    """The loss; below its name, or the last evaluation where that has no column of its own."""
    loss, found = seen.pulse.loss, seen.pulse.evaluation
    name = Text("") if loss is None else Text(plain(loss.metric).plain, style="dim")
    if found is not None and not roomy:
        name = Text.assemble(
            (plain(found.metric.rpartition("/")[2]).plain, "dim"), f" {number(found.value)}"
        )
    return _lines(pulse.loss_line(seen.pulse, width), name)


def _outlook(seen: RunOverview) -> Text:
    """Criteria, findings and silence; below, what decides next or what the run waits for."""
    head = Text("  ").join(
        part
        for part in (pulse.ticks(seen.criteria), pulse.finding_counts(seen), pulse.silence(seen))
        if part.plain
    )
    waits = seen.run.status == "queued"
    return _lines(head, plain(seen.run.why) if waits else pulse.next_line(seen.next))
