"""`exp trust`."""

from pathlib import Path

import typer


def trust(
    path: Path | None = typer.Argument(None, help="A workspace (default: the one around you)"),
    revoke: bool = typer.Option(False, "--revoke", help="Forget it"),
    show: bool = typer.Option(False, "--list", help="List what is trusted, and what has changed"),
    as_json: bool = typer.Option(False, "--json", help="With --list: print JSON on stdout"),
) -> None:
    """Agree that exp may run the commands of a workspace's criteria and notices, as they are now"""
    from orchestrator.actions.trusting import trust_list, trust_workspace
    from orchestrator.cli.console import clean, note, show_json
    from orchestrator.trust import revoke as forget
    from orchestrator.workspace import find_workspace

    if show:
        rows = trust_list()
        if as_json:
            show_json(rows)
        for row in rows if not as_json else ():
            typer.echo(f"{row.state:8} {clean(row.path)}")
        return
    if revoke:
        root = path.absolute() if path is not None else find_workspace().root
        note(f"{root} is trusted no more" if forget(root) else f"{root} was not trusted")
        return
    agreed = trust_workspace(find_workspace(path) if path else find_workspace())
    counts = ("spec", agreed.specs), ("line", agreed.lines)
    said = " and ".join(f"{count} {noun}{'s' * (count != 1)}" for noun, count in counts)
    notify = ", and [notify] of exp.toml" if agreed.notify else ""
    note(f"trusted {agreed.path}: {said} that may name commands{notify}; a change ends it")
