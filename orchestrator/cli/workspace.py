"""`exp init`, `exp watch`, `exp db`: the workspace itself."""

from pathlib import Path

import typer

database = typer.Typer(
    help="The index of runs, which can always be made again", no_args_is_help=True
)


def init(
    folder: Path = typer.Argument(Path(), help="Folder to make a workspace of"),
) -> None:
    """Make a workspace with an example that runs; nothing that exists is touched"""
    from orchestrator.actions.scaffold import init_workspace
    from orchestrator.cli.console import hint, note

    scaffold = init_workspace(folder)
    note(f"workspace {scaffold.root}")
    for path in scaffold.made:
        note(f"  made  {path}")
    for path in scaffold.kept:
        note(f"  kept  {path} (was there)")
    hint("exp ticket start T-0001 --follow" if scaffold.made else "exp ticket list")


def watch(
    until_idle: bool = typer.Option(
        False, "--until-idle", help="End when nothing is left to do, as a job of cron does"
    ),
    unit: bool = typer.Option(
        False, "--unit", help="Print a systemd user unit that keeps a watcher at work"
    ),
) -> None:
    """Watch all runs in the foreground; other commands start a watcher when one is needed"""
    from orchestrator.cli.console import hint, note
    from orchestrator.errors import ConflictError
    from orchestrator.watch.daemon import run_watcher
    from orchestrator.watch.unit import unit_text
    from orchestrator.workspace import find_workspace

    workspace = find_workspace()
    if unit:
        typer.echo(unit_text(workspace), nl=False)
        hint("exp watch --unit > ~/.config/systemd/user/exp-watch.service")
        hint("systemctl --user daemon-reload && systemctl --user enable --now exp-watch")
        hint("loginctl enable-linger   (it then goes on after you log out)")
        return
    note(f"watching {workspace.root}; Ctrl-C ends the watching, not the runs")
    try:
        run_watcher(workspace, forever=not until_idle)
    except ConflictError:
        if not until_idle:
            raise
        note("another watcher is at work")


@database.command("rebuild")
def rebuild() -> None:
    """Make the index again from tickets/ and run folders"""
    from orchestrator.actions.rebuild import rebuild_index
    from orchestrator.cli.console import note
    from orchestrator.workspace import find_workspace

    done = rebuild_index(find_workspace())
    note(f"rebuilt {done.path} from {done.tickets} tickets and {done.runs} runs")
