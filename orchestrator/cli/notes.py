"""`exp note`."""

import typer

from orchestrator.cli import completing
from orchestrator.domain.remark import RemarkKind

_TEMPLATE = """

# A {kind} on {ticket}
#
# Write above. Lines that begin with # are left out; an empty note is not written.
"""


def note(
    ticket: str = typer.Argument(
        help="Ticket id: T-0017, or 17", show_default=False, autocompletion=completing.tickets
    ),
    text: str | None = typer.Argument(
        None, help="What you have to say; - reads it from stdin (default: your editor)"
    ),
    kind: RemarkKind = typer.Option(
        RemarkKind.NOTE, "--kind", case_sensitive=False, help="What it is"
    ),
    run: str | None = typer.Option(
        None, "--run", help="The run that it is about", autocompletion=completing.runs
    ),
) -> None:
    """Write what you have to say into the ticket, with your name; reports quote it"""
    from orchestrator.actions.noting import add_note
    from orchestrator.cli.console import hint
    from orchestrator.cli.console import note as tell
    from orchestrator.workspace import find_workspace

    workspace = find_workspace()
    said = _typed(text, ticket, kind)
    path, remark = add_note(workspace, ticket, said, kind=kind, run=run)
    on = f" on {remark.run}" if remark.run else ""
    tell(f"{path}: {remark.kind}{on} by {remark.by}")
    hint(f"exp report {ticket}")


def _typed(text: str | None, ticket: str, kind: RemarkKind) -> str:
    import sys

    from orchestrator.errors import UsageError

    if text == "-":
        return sys.stdin.read()
    if text is not None:
        return text
    if not sys.stdin.isatty():
        raise UsageError(
            "nothing to note, and no terminal for an editor",
            hint=f'exp note {ticket} "…", or - to read stdin',
        )
    return _edited(ticket, kind)


def _edited(ticket: str, kind: RemarkKind) -> str:
    """What a person writes in $VISUAL or $EDITOR; empty if it was not saved."""
    import click

    from orchestrator.actions.noting import ticket_for_note
    from orchestrator.errors import EnvironmentFailure
    from orchestrator.workspace import find_workspace

    about = ticket_for_note(find_workspace(), ticket)
    try:
        saved = click.edit(_TEMPLATE.format(kind=kind, ticket=about), extension=".md")
    except click.ClickException as error:
        raise EnvironmentFailure(
            f"no note written: {error.format_message()}", hint="set VISUAL or EDITOR"
        ) from error
    lines = (saved or "").splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("#"))
