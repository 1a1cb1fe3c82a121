"""`exp status --watch`: the same view again and again, until Ctrl-C."""

import time
from contextlib import suppress

from rich.live import Live

from orchestrator.actions.overview import overview
from orchestrator.cli.bell import Bell
from orchestrator.cli.console import out
from orchestrator.cli.views import dashboard
from orchestrator.workspace import RunFolder, Workspace

_INTERVAL = 1.0  # seconds


def watch_status(workspace: Workspace) -> None:
    """Show the dashboard on the whole screen and refresh it every second; ring at each notice."""
    bell = Bell()
    with (
        suppress(KeyboardInterrupt),
        Live(console=out(), screen=out().is_terminal, auto_refresh=False) as live,
    ):
        while True:
            facts = overview(workspace)
            live.update(dashboard(facts), refresh=True)
            bell.look(RunFolder(workspace.runs / each.run.id) for each in facts.runs)
            time.sleep(_INTERVAL)
