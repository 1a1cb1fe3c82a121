"""`exp ticket review` in the place of the live screen."""

import signal
import sys

import typer

from orchestrator.cli.console import err, show_error
from orchestrator.cli.review import review_by_questions
from orchestrator.errors import ExpError
from orchestrator.workspace import Workspace


def review_here(workspace: Workspace, ticket: str) -> None:
    """Ask about a ticket in the terminal; what was said can be read until a key line is entered.

    Ctrl-C ends the review and not the screen, whose own handler would only end that.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        review_by_questions(workspace, ticket)
    except ExpError as error:
        show_error(error)
    except (typer.Exit, KeyboardInterrupt):
        pass
    try:
        err().print("enter: back to the screen ", end="", style="dim")
        sys.stdin.readline()
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGINT, before)
