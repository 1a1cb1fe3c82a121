"""`exp run compare` on the terminal: a column a run, the best value of a row marked."""

from collections.abc import Callable, Iterator, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchestrator.actions.code_changes import CodeChange
from orchestrator.actions.comparing import ComparedRun, Comparison, CriterionMatch, MatchedMetric
from orchestrator.cli.views.words import number, plain, progress, verdict_mark, word
from orchestrator.clock import format_duration
from orchestrator.report.cost import Cost
from orchestrator.tickets import without_predicate

_FILES = 40  # of a difference
_BEST = "◀"
_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def comparison(found: Comparison) -> RenderableType:
    """Runs, metrics at the last common step, settings, criteria, code."""
    names = [run.id for run in found.runs]
    parts: list[RenderableType] = [_runs(found.runs), _metrics(found, names)]
    parts += [Text(_alone(run, found.alone[run]), "dim") for run in names if found.alone[run]]
    parts += [Text(), _settings(found, names)]
    if found.criteria:
        parts += [Text(), _criteria(found.criteria, names)]
    for change in found.code:
        parts += [Text(), *_code(change)]
    return Group(*parts)


def _table(first: str, names: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(first, overflow="fold")
    for name in names:
        table.add_column(name, overflow="fold")
    return table


def _runs(runs: Sequence[ComparedRun]) -> Table:
    table = _table("run", [run.id for run in runs])
    rows: dict[str, Callable[[ComparedRun], Text]] = {
        "ticket": lambda run: Text(run.ticket or "—"),
        "outcome": lambda run: word(run.state),
        "why": lambda run: plain(run.why),
        "progress": lambda run: Text(progress(run.step, run.planned_steps)),
        "speed": lambda run: Text(f"{run.speed:,.3g} steps/s" if run.speed else "—"),
        "took": lambda run: Text(format_duration(run.cost.hours * 3600) if run.cost else "—"),
        "cost": lambda run: Text(_cost(run.cost)),
        "attempts": lambda run: Text(str(run.attempts)),
        "code": _commit,
    }
    for name, cell in rows.items():
        table.add_row(Text(name, "dim"), *map(cell, runs))
    return table


def _cost(cost: Cost | None) -> str:
    """`1.5 GPU-hours, 4.20 EUR`, or what is known of it."""
    if cost is None:
        return "—"
    hours = None if cost.gpu_hours is None else f"{cost.gpu_hours:,.3g} GPU-hours"
    money = None if cost.amount is None else f"{cost.amount:,.2f} {cost.currency}".strip()
    return ", ".join(filter(None, (hours, money))) or "—"


def _commit(run: ComparedRun) -> Text:
    if run.commit is None:
        return Text("—")
    return Text.assemble((run.commit[:10], "cyan"), " + local changes" if run.patch else "")


def _metrics(found: Comparison, names: Sequence[str]) -> RenderableType:
    if not found.metrics:
        return Text("\nno metric is common to two of these runs", "yellow")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("metric", overflow="fold")
    table.add_column("step", justify="right", no_wrap=True)
    for name in names:
        table.add_column(name, justify="right")
    for row in found.metrics:
        unit = f" [{row.unit}]" if row.unit else ""
        step = Text("none in common", "yellow") if row.step is None else Text(f"{row.step:,}")
        table.add_row(plain(f"{row.name}{unit}"), step, *_values(row))
    return table


def _values(row: MatchedMetric) -> Iterator[Text]:
    for place, (value, step) in enumerate(zip(row.values, row.steps, strict=True)):
        text = Text(number(value))
        delta = row.deltas[place]
        if place and delta is not None:
            text.append(f" ({_signed(delta)})", "dim")
        if row.step is None and step is not None:
            text.append(f" at {step:,}", "dim")
        if row.best is not None:
            text.append(f" {_BEST if place == row.best else ' '}", "bold green")
        yield text


def _signed(delta: float) -> str:
    return "=" if delta == 0 else f"{'+' if delta > 0 else ''}{number(delta)}"


def _alone(run: str, names: Sequence[str]) -> str:
    shown = ", ".join(plain(name).plain for name in names[:8])
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"only {run} has {shown}{more}"


def _settings(found: Comparison, names: Sequence[str]) -> RenderableType:
    same = f"{found.same_settings} settings are the same"
    if not found.settings:
        return Text(f"no setting differs; {same}", "dim")
    table = _table("setting", names)
    for row in found.settings:
        table.add_row(plain(row.name), *(plain("—" if v is None else v) for v in row.values))
    return Group(table, Text(same, "dim"))


def _criteria(rows: Sequence[CriterionMatch], names: Sequence[str]) -> Table:
    table = _table("criterion", names)
    for row in rows:
        cells = []
        for verdict in row.verdicts:
            cell = Text("—", "dim") if verdict is None else verdict_mark(verdict, row.polarity)
            if verdict is not None and verdict.value is not None:
                cell.append(f"  {number(verdict.value)}", "dim")
            cells.append(cell)
        table.add_row(plain(without_predicate(row.text)), *cells)
    return table


def _code(change: CodeChange) -> Iterator[RenderableType]:
    head = Text(f"code of {change.before} → {change.after}: ", "bold")
    if change.files is None:
        yield head.append(f"unknown: {plain(change.why or '').plain}", "yellow")
        return
    if not change.files:
        yield head.append("the same", "dim")
        return
    count = len(change.files)
    yield head.append(f"{count:,} file{'s' * (count != 1)}", "not bold")
    lines = Text()
    for each in change.files[:_FILES]:
        lines.append(f"  {each.how} {plain(each.path).plain}")
        lines.append("" if each.added is None else f"  +{each.added:,}", "green")
        lines.append("" if each.deleted is None else f" −{each.deleted:,}", "red")
        lines.append("\n")
    if count > _FILES:
        lines.append(f"  and {count - _FILES:,} more: --json has them", "dim")
    lines.rstrip()
    yield lines
    if change.patch is not None:
        yield _patch(change.patch)


def _patch(patch: str) -> Text:
    """A patch, its lines in the colours that git gives them."""
    text = Text("\n")
    for line in plain(patch).plain.splitlines(keepends=True):
        text.append(line, _STYLES.get(line[:1], ""))
    return text
