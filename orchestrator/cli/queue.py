"""`exp queue`."""

import typer


def queue(as_json: bool = typer.Option(False, "--json", help="Print JSON on stdout")) -> None:
    """Show which runs wait, for what and since when, and who has GPUs and CPU slots"""
    from orchestrator.actions.queue import look_at_queue
    from orchestrator.cli import views
    from orchestrator.cli.console import out, show_json
    from orchestrator.workspace import find_workspace

    seen = look_at_queue(find_workspace())
    if as_json:
        show_json(seen)
    else:
        out().print(views.queue(seen))
