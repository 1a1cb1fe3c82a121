"""Showing a run's log until its end, and what came of it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import typer

from orchestrator.actions.follow import follow_log, wait_until_published
from orchestrator.actions.reading import run_detail
from orchestrator.cli import views
from orchestrator.cli.bell import Bell, ring
from orchestrator.cli.console import clean, err, hint, note, warn
from orchestrator.domain.run import Outcome
from orchestrator.errors import RunFailedError
from orchestrator.workspace import RunFolder, Workspace


@contextmanager
def leaving_it_alone(run: RunFolder) -> Iterator[None]:
    """Turn Ctrl-C into leaving: the run goes on, and the person hears how to come back.

    Raises:
        typer.Exit: with 130 after Ctrl-C.
    """
    try:
        yield
    except KeyboardInterrupt:
        with suppress(BrokenPipeError):
            note(f"\n{run.id} goes on without you")
            hint(f"exp run logs -f {run.id} to come back, exp run stop {run.id} to end it")
        raise typer.Exit(130) from None


def follow_run(workspace: Workspace, run: RunFolder, *, first: int = 1) -> None:
    """Print the log from the `first` attempt on as it grows, then the verdicts.

    Rings when there is something to tell.

    Raises:
        RunFailedError: the run ended, but did not complete.
        typer.Exit: with 130 after Ctrl-C.
    """
    bell = Bell(ring)
    bell.look([run])
    with leaving_it_alone(run):
        for text in follow_log(workspace, run, first=first):
            sys.stdout.write(_drawn(text, redraws=sys.stdout.isatty()))
            sys.stdout.flush()
            bell.look([run])
        if not wait_until_published(workspace, run):
            warn(f"the end of {run.id} is not written down yet; see {workspace.watcher_log}")
        bell.look([run])
    show_end(workspace, run)


def _drawn(text: str, *, redraws: bool) -> str:
    """A bar redraws its line on a terminal, and writes line below line elsewhere."""
    again = "\r\x1b[K" if redraws else "\n"
    return again.join(clean(part) for part in text.replace("\r\n", "\n").split("\r"))


def show_end(workspace: Workspace, run: RunFolder) -> None:
    """Print how a run ended, its verdicts, and where they were written.

    Raises:
        RunFailedError: it did not complete.
    """
    detail = run_detail(workspace, run.id)
    err().print(views.run_end(detail))
    for problem in detail.problems:
        warn(problem)
    if detail.outcome != Outcome.COMPLETED:
        raise RunFailedError(
            f"{run.id} {detail.outcome}: {detail.why}", hint=f"exp run logs {run.id}"
        )
