"""`exp report`."""

import typer

app = typer.Typer()


@app.command("report")
def report(
    ticket: str | None = typer.Argument(None, help="Ticket id: T-0017, or 17", show_default=False),
    everything: bool = typer.Option(
        False, "--all", help="Every ticket that has a run, and reports/README.md, their index"
    ),
    kind: str = typer.Option("status", "--kind", help="status, checkpoint, log or analysis"),
    since: str | None = typer.Option(
        None,
        "--since",
        help="What counts as before: a run, a date, an age (2d, 12h) or a commit "
        "(default: the ticket's run before)",
        show_default=False,
    ),
    commit: bool = typer.Option(False, "--commit", help="Commit the report"),
    html: bool = typer.Option(False, "--html", help="Write it as one page of HTML, too"),
    list_variables: bool = typer.Option(
        False, "--list-variables", help="List what a template can show, and exit"
    ),
) -> None:
    """Write a report of a ticket and print it"""
    from orchestrator.actions.reporting import Wish, report_all, report_ticket
    from orchestrator.cli.console import note, show_error
    from orchestrator.errors import UsageError
    from orchestrator.report import Kind
    from orchestrator.workspace import find_workspace

    if list_variables:
        _list_variables()
        return
    if kind not in list(Kind):
        raise UsageError(f"--kind {kind}: no such kind", hint=f"--kind {'|'.join(Kind)}")
    if everything == (ticket is not None):
        raise UsageError("name one ticket, or all", hint="exp report T-0017, or exp report --all")
    wish = Wish(kind=Kind(kind), since=since, html=html, commit=commit)
    workspace = find_workspace()
    written = report_ticket(workspace, ticket, wish) if ticket else report_all(workspace, wish)
    _print(written.text)
    committed = f", commit {written.commit[:10]}" if written.commit else ""
    pages = [path for path in written.files if not path.endswith(".svg")]
    more = f" and {len(pages) - 1} more" if len(pages) > 1 else ""
    note(f"written to {written.path}{more}{committed}")
    for problem in written.problems:
        show_error(problem)
    if written.problems:
        raise typer.Exit(written.problems[0].exit_code)


def _print(text: str) -> None:
    import sys

    from orchestrator.cli.console import clean, out

    if out().is_terminal:
        from rich.markdown import Markdown

        out().print(Markdown(clean(text)))
    else:
        sys.stdout.write(text)


def _list_variables() -> None:
    from rich.table import Table

    from orchestrator.cli.console import out
    from orchestrator.report.variables import VARIABLES

    table = Table("Name", "Holds (M: Markdown already)", "Within", box=None, pad_edge=False)
    for variable in VARIABLES:
        table.add_row(variable.name, variable.holds, variable.within)
    out().print(table)
