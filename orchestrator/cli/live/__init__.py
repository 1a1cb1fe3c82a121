"""`exp status --watch`: the live screen. Textual is loaded here and nowhere else."""

import sys

from orchestrator.errors import RefusedError
from orchestrator.workspace import Workspace


def watch_status(workspace: Workspace) -> None:
    """Fill the screen with what runs until the person leaves.

    Raises:
        RefusedError: there is no terminal to fill.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise RefusedError("--watch fills a terminal, and there is none here", hint="exp status")
    from orchestrator.cli.live.app import StatusApp
    from orchestrator.cli.live.eyes import Watching

    StatusApp(workspace, Watching(workspace)).run()
