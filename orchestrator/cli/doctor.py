"""`exp doctor`."""

import typer

from orchestrator.cli import completing


def doctor(
    name: str | None = typer.Argument(
        None,
        help="Ticket or run: T-0017, R-000042, or 42",
        autocompletion=completing.tickets_and_runs,
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON on stdout"),
) -> None:
    """Say what is wrong with a run, on what evidence, and what to do about it"""
    from orchestrator.actions.doctor import examine
    from orchestrator.cli.console import note, out, show_json
    from orchestrator.cli.progress import log_progress
    from orchestrator.cli.views.doctor import examination
    from orchestrator.workspace import find_workspace

    examined = examine(find_workspace(), name, log_progress())
    if as_json:
        show_json(examined)
    else:
        for each in examined:
            out().print(examination(each))
        if not examined:
            note("no live run, and no ONGOING ticket with a run: exp doctor R-000042 names one")
    if any(finding.severity == "error" for each in examined for finding in each.findings):
        raise typer.Exit(1)
