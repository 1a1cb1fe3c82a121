"""`exp status`."""

import typer


def status(
    watch: bool = typer.Option(False, "--watch", "-w", help="Keep the screen up to date"),
    as_json: bool = typer.Option(False, "--json", help="Print JSON on stdout"),
) -> None:
    """Show runs with their criteria, tickets, and what needs a person"""
    from orchestrator.actions.overview import overview
    from orchestrator.cli import views
    from orchestrator.cli.console import out, show_json
    from orchestrator.workspace import find_workspace

    workspace = find_workspace()
    if as_json:
        show_json(overview(workspace))
    elif watch:
        from orchestrator.cli.live import watch_status

        watch_status(workspace)
    else:
        out().print(views.dashboard(overview(workspace)))
