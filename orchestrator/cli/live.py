"""`exp status --watch`: the same view again and again, until Ctrl-C."""

import time
from contextlib import suppress

from rich.live import Live

from orchestrator.actions.overview import overview
from orchestrator.cli.console import out
from orchestrator.cli.views import dashboard
from orchestrator.workspace import Workspace

_INTERVAL = 1.0  # seconds


def watch_status(workspace: Workspace) -> None:
    """Show the dashboard on the whole screen and refresh it every second."""
    with (
        suppress(KeyboardInterrupt),
        Live(console=out(), screen=out().is_terminal, auto_refresh=False) as live,
    ):
        while True:
            live.update(dashboard(overview(workspace)), refresh=True)
            time.sleep(_INTERVAL)
