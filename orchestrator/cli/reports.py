"""`exp report`."""

import typer


def report(
    ticket: str = typer.Argument(help="Ticket id: T-0017, or 17", show_default=False),
    commit: bool = typer.Option(False, "--commit", help="Commit the report"),
) -> None:
    """Write the ticket's status report and print it"""
    import sys

    from orchestrator.actions.reporting import report_ticket
    from orchestrator.cli.console import note, out
    from orchestrator.workspace import find_workspace

    written = report_ticket(find_workspace(), ticket, commit=commit)
    if out().is_terminal:
        from rich.markdown import Markdown

        from orchestrator.cli.console import clean

        out().print(Markdown(clean(written.text)))
    else:
        sys.stdout.write(written.text)
    note(
        f"written to {written.path}" + (f", commit {written.commit[:10]}" if written.commit else "")
    )
