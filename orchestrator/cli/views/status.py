"""`exp status` on the terminal."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.actions.deciding import is_open
from orchestrator.actions.overview import Overview, RunOverview
from orchestrator.cli.views import pulse
from orchestrator.cli.views.criteria import criteria_table
from orchestrator.cli.views.findings import severity_mark
from orchestrator.cli.views.gpu import gpu_table, no_gpus
from orchestrator.cli.views.states import by_state, states
from orchestrator.cli.views.surroundings import commit_lines, queue_lines
from orchestrator.cli.views.tickets import ticket_table
from orchestrator.cli.views.words import plain, progress, spent, word
from orchestrator.domain.finding import Severity

_BAR = 24  # characters
_UNMET = 3  # criteria of an ended run that are named
_TICKETS = 40  # that are shown; more are many pages
_NAMES = {Severity.ERROR: "error", Severity.WARN: "warning", Severity.INFO: "note"}


def dashboard(seen: Overview) -> RenderableType:
    """Runs with their criteria, then tickets, the machine, and what needs a person."""
    parts: list[RenderableType] = [Text.assemble(("runs", "bold"), ("  " + seen.root, "dim"))]
    if not seen.runs:
        parts.append(_indented(Text("no runs yet: exp ticket start", style="dim")))
    for run in seen.runs:
        parts += _run(run, alone=len(seen.runs) == 1)
    parts += _tickets(seen)
    if seen.queue:
        parts += [Text("queue", style="bold"), _indented(queue_lines(seen.queue))]
    if seen.gpus is not None and seen.gpus.gpus:
        parts += [Text("GPUs", style="bold"), gpu_table(seen.gpus)]
    elif seen.gpus is not None:
        parts.append(no_gpus(seen.gpus))
    if seen.commits:
        parts += [Text("last commits", style="bold"), _indented(commit_lines(seen.commits))]
    if seen.needs:
        parts.append(Text("needs a person", style="bold yellow"))
        parts += [_indented(plain(need)) for need in seen.needs]
    return Group(*parts)


def _run(seen: RunOverview, *, alone: bool) -> Iterator[RenderableType]:
    """How a run goes, what is wrong with it, and its criteria."""
    yield _run_head(seen)
    if seen.findings:
        yield _indented(_findings(seen))
    if alone:
        yield _indented(criteria_table(seen.criteria), 4)
    elif seen.criteria:
        yield _indented(Text("\n").join(_criteria_lines(seen)))


def _tickets(seen: Overview) -> Iterator[RenderableType]:
    """How many of each status there are, and those that are worked on first."""
    yield Text.assemble(("tickets", "bold"), ("  " + states(seen.tickets), "dim"))
    yield ticket_table(by_state(seen.tickets)[:_TICKETS])
    if (more := len(seen.tickets) - _TICKETS) > 0:
        yield _indented(Text(f"and {more:,} more: exp ticket list", style="dim"))


def _findings(seen: RunOverview) -> Text:
    """How many findings of each severity there are, and the worst of them."""
    worst = seen.findings[0]
    counts = ", ".join(_counts(seen))
    line = Text.assemble(severity_mark(worst.severity), "  ", plain(worst.title))
    return line.append(f"  ({counts}: exp doctor {seen.run.id})", style="dim")


def _counts(seen: RunOverview) -> Iterator[str]:
    """`1 error`, `2 warnings`."""
    for severity, name in _NAMES.items():
        count = sum(finding.severity is severity for finding in seen.findings)
        if count:
            yield f"{count} {name}{'s' * (count != 1)}"


def _criteria_lines(seen: RunOverview) -> Iterator[Text]:
    """A mark for each criterion; of an ended run the required ones that are not met as well.

    The whole table of each run would push what needs a person off the screen.
    """
    yield Text.assemble(("criteria ", "dim"), pulse.ticks(seen.criteria))
    if seen.run.status != "ended":
        return  # what decides next is told
    unmet = [row for row in seen.criteria if row.required and is_open(row)]
    for row in unmet[:_UNMET]:
        line = pulse.next_line(row)
        line.no_wrap, line.overflow = True, "ellipsis"
        yield line
    if len(unmet) > _UNMET:
        yield Text(f"and {len(unmet) - _UNMET} more: exp run show {seen.run.id}", style="dim")


def _indented(part: RenderableType, columns: int = 2) -> Padding:
    """Not filled up to the full width: a pipe is to hold no blanks that say nothing."""
    return Padding(part, (0, columns), expand=False)


def _run_head(seen: RunOverview) -> RenderableType:
    run = seen.run
    title = f"{run.ticket}: {seen.title}" if run.ticket else seen.title
    again = f" attempt {run.attempt}" if run.attempt > 1 else ""
    name = Text.assemble((run.id, "bold"), again, " ", word(run.outcome or run.status), "  ")
    name.append_text(plain(title))
    name.no_wrap, name.overflow = True, "ellipsis"
    if run.started is None:
        return _indented(Group(name, Text(plain(run.why).plain, style="dim")))
    time = spent(run.started, run.ended)
    done = Text(f"{progress(run.step, run.planned_steps)}  {time}", style="dim")
    lines: list[RenderableType] = [name, done]
    if run.planned_steps:
        line = Table.grid(padding=(0, 1))
        line.add_column(width=_BAR)
        line.add_column()
        bar = ProgressBar(total=run.planned_steps, completed=run.step or 0, width=_BAR)
        line.add_row(bar, done)
        lines[1] = line
    return _indented(Group(*lines, *_pulse_lines(seen)))


def _pulse_lines(seen: RunOverview) -> Iterator[Text]:
    """Speed and time left while it runs; loss and last evaluation; what decides next."""
    live = seen.run.status != "ended"
    going = (pulse.pace(seen.pulse), pulse.time_left(seen.pulse)) if live else ()
    said = Text("  ").join([*map(Text, filter(None, going)), *filter(None, [pulse.silence(seen)])])
    if said.plain:
        yield said
    loss = seen.pulse.loss
    if loss is not None:
        line = Text.assemble((plain(loss.metric).plain, "dim"), " ")
        yield (
            line.append_text(pulse.loss_line(seen.pulse, _BAR))
            .append("  ")
            .append_text(pulse.measured(seen.pulse.evaluation))
        )
    elif seen.pulse.evaluation is not None:
        yield pulse.measured(seen.pulse.evaluation)
    if live and seen.next is not None:
        yield Text.assemble(("next to decide ", "dim"), pulse.next_line(seen.next))
