"""`exp metrics`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from orchestrator.cli import completing

if TYPE_CHECKING:
    from orchestrator.workspace import RunFolder, Workspace

_WIDEST, _HEIGHT = 120, 18  # characters and lines of a chart, with its heading

app = typer.Typer()


@app.command("metrics")
def metrics(
    name: str = typer.Argument(
        metavar="TICKET|RUN",
        help="Ticket or run: T-0017, R-000042, or 42",
        show_default=False,
        autocompletion=completing.tickets_and_runs,
    ),
    series: list[str] | None = typer.Argument(
        None,
        metavar="[METRIC]...",
        help="Metrics: a name, words for it, or a glob such as 'eval/*' (default: list them)",
        autocompletion=completing.metrics,
    ),
    plot: bool = typer.Option(False, "--plot", help="Draw curves in the terminal"),
    csv: bool = typer.Option(False, "--csv", help="Print every point as CSV on stdout"),
    parquet: Path | None = typer.Option(
        None, "--parquet", help="Write every point into this Parquet file (needs pyarrow)"
    ),
    last: int = typer.Option(20, "--tail", "-n", min=1, help="So many of the newest points"),
    as_json: bool = typer.Option(False, "--json", help="Print JSON on stdout"),
) -> None:
    """List the metrics of a run, or print, plot or export their points"""
    from orchestrator.actions.metrics import last_points, list_metrics
    from orchestrator.actions.naming import run_named
    from orchestrator.cli.console import out, show_json
    from orchestrator.cli.views.metrics import metric_list, metric_points
    from orchestrator.errors import UsageError
    from orchestrator.workspace import find_workspace

    if sum((plot, csv, parquet is not None, as_json)) > 1:
        raise UsageError(
            "--plot, --csv, --parquet and --json are ways to show the same: choose one",
            hint=f"exp metrics {name} --csv",
        )
    workspace = find_workspace()
    folder, wanted = run_named(workspace, name), tuple(series or ())
    if csv:
        _print_csv(workspace, folder, wanted)
    elif parquet is not None:
        _write_parquet(workspace, folder, wanted, parquet)
    elif plot:
        _plot(workspace, folder, wanted)
    elif not wanted:
        found = list_metrics(workspace, folder)
        show_json(found) if as_json else out().print(metric_list(found))
    else:
        points = last_points(workspace, folder, wanted, last=last)
        show_json(points) if as_json else out().print(metric_points(points))


def _print_csv(workspace: "Workspace", folder: "RunFolder", wanted: Sequence[str]) -> None:
    from csv import writer

    from orchestrator.actions.metrics import COLUMNS, exported

    rows = exported(workspace, folder, wanted)
    table = writer(sys.stdout, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows(rows)


def _write_parquet(
    workspace: "Workspace", folder: "RunFolder", wanted: Sequence[str], path: Path
) -> None:
    from orchestrator.actions.metrics import exported
    from orchestrator.cli.console import note
    from orchestrator.errors import EnvironmentFailure

    try:
        from orchestrator.actions.parquet import write_parquet
    except ImportError as error:
        raise EnvironmentFailure(
            f"--parquet needs pyarrow: {error}", hint="pip install 'exp-tickets[parquet]'"
        ) from error
    count = write_parquet(exported(workspace, folder, wanted), path)
    note(f"{count:,} points of {folder.id} written to {path}")


def _plot(workspace: "Workspace", folder: "RunFolder", wanted: Sequence[str]) -> None:
    from orchestrator.actions.metrics import curves
    from orchestrator.cli.console import out
    from orchestrator.cli.views.chart import chart

    width = min(out().width, _WIDEST)
    for number, curve in enumerate(curves(workspace, folder, wanted)):
        if number:
            out().print()
        out().print(chart(curve, width=width, height=_HEIGHT))
