"""`exp run …`."""

import sys

import typer

from orchestrator.cli import completing

app = typer.Typer(help="Runs: one execution of a ticket's experiment", no_args_is_help=True)

RUN = typer.Argument(
    help="Run id: R-000042, or 42", show_default=False, autocompletion=completing.runs
)
AS_JSON = typer.Option(False, "--json", help="Print JSON on stdout")


@app.command("list")
def list_(
    ticket: str | None = typer.Option(
        None,
        "--ticket",
        "-t",
        help="Only runs of this ticket",
        autocompletion=completing.tickets,
    ),
    limit: int = typer.Option(20, "--limit", "-n", min=1, help="At most so many, newest first"),
    as_json: bool = AS_JSON,
) -> None:
    """List runs, newest first"""
    from orchestrator.actions.run_list import list_runs
    from orchestrator.cli import views
    from orchestrator.cli.console import out, show_json
    from orchestrator.ids import ticket_id, ticket_number
    from orchestrator.workspace import find_workspace

    chosen = ticket_id(ticket_number(ticket)) if ticket else None
    rows = list_runs(find_workspace(), ticket=chosen, limit=limit)
    if as_json:
        show_json(rows)
    else:
        out().print(views.run_table(rows))


@app.command("show")
def show(run: str = RUN, as_json: bool = AS_JSON) -> None:
    """Show a run: state, parameters, metrics, verdicts, where its files are"""
    from orchestrator.actions.reading import run_detail
    from orchestrator.cli import views
    from orchestrator.cli.console import out, show_json
    from orchestrator.workspace import find_workspace

    detail = run_detail(find_workspace(), run)
    if as_json:
        show_json(detail)
    else:
        out().print(views.run_detail(detail))


@app.command("compare")
def compare(
    runs: list[str] = typer.Argument(
        metavar="RUN RUN...",
        help="Runs, or tickets for their newest ones; differences are from the first",
        show_default=False,
        autocompletion=completing.tickets_and_runs,
    ),
    diff: bool = typer.Option(False, "--diff", help="Show the code's differences line by line"),
    as_json: bool = AS_JSON,
) -> None:
    """Compare runs: metrics at the last common step, settings, criteria, speed, cost, code"""
    from orchestrator.actions.comparing import compare_runs
    from orchestrator.cli.console import out, show_json
    from orchestrator.cli.views.compare import comparison
    from orchestrator.workspace import find_workspace

    found = compare_runs(find_workspace(), runs, lines=diff)
    if as_json:
        show_json(found)
    else:
        out().print(comparison(found))


@app.command("explain")
def explain(run: str = RUN, as_json: bool = AS_JSON) -> None:
    """Say why a run ended, what is wrong with it and what to do, then tell its attempts"""
    from orchestrator.actions.explaining import explain_run
    from orchestrator.cli.console import out, show_json
    from orchestrator.cli.progress import log_progress
    from orchestrator.cli.views.story import run_story
    from orchestrator.workspace import find_workspace

    workspace = find_workspace()
    told = explain_run(workspace, workspace.run(run), log_progress())
    if as_json:
        show_json(told)
    else:
        out().print(run_story(told))


@app.command("logs")
def logs(
    run: str = RUN,
    follow: bool = typer.Option(False, "--follow", "-f", help="Go on until the run ends"),
    last: int | None = typer.Option(None, "--tail", "-n", help="Only the last lines"),
    attempt: int | None = typer.Option(None, "--attempt", help="Which attempt (default: newest)"),
) -> None:
    """Print what the run's programs printed"""
    from orchestrator.cli.console import clean
    from orchestrator.workspace import find_workspace

    workspace = find_workspace()
    folder = workspace.run(run)
    if follow:
        from orchestrator.cli.following import follow_run

        follow_run(workspace, folder)
    else:
        from orchestrator.actions.follow import log_lines

        for text in log_lines(folder, attempt=attempt, last=last):
            # A pipe gets the text as it is; a terminal must not be driven by it.
            sys.stdout.write(clean(text) if sys.stdout.isatty() else text)


@app.command("stop")
def stop(
    run: str | None = typer.Argument(
        None, help="Run id: R-000042, or 42", autocompletion=completing.runs
    ),
    every: bool = typer.Option(False, "--all", help="Stop every live run of the workspace"),
    why: str = typer.Option("stopped by hand", "--why", help="Reason, kept with the run"),
    lost: bool = typer.Option(False, "--lost", help="Its machine is gone: record it as lost"),
) -> None:
    """End a run: SIGTERM, its grace, then the whole tree"""
    from orchestrator.actions.stop import declare_lost, stop_all, stop_run
    from orchestrator.cli.console import note
    from orchestrator.cli.stopping import tell_stopped
    from orchestrator.errors import UsageError
    from orchestrator.workspace import find_workspace

    if (run is None) != every or (lost and every):
        raise UsageError("name one run, or --all", hint="exp run list")
    workspace = find_workspace()
    if run is None:
        stopped = stop_all(workspace, why=why)
    elif lost:
        stopped = [declare_lost(workspace, workspace.run(run))]
    else:
        stopped = [stop_run(workspace, workspace.run(run), why=why)]
    if not stopped:
        note("no live runs")
    tell_stopped(stopped)


@app.command("resume")
def resume(
    run: str = RUN,
    settings: list[str] = typer.Option([], "--set", help="Override a parameter: --set lr=3e-4"),
    priority: int = typer.Option(0, "--priority", help="Larger goes first in the queue"),
    force: bool = typer.Option(False, "--force", help="Do a completed run again"),
    follow: bool = typer.Option(False, "--follow", "-f", help="Show the log until the run ends"),
) -> None:
    """Go on with a run that has ended: what it has done is not done again"""
    from orchestrator.actions.resume import ResumeOptions, resume_run
    from orchestrator.cli.console import hint, note, warn
    from orchestrator.cli.following import follow_run
    from orchestrator.domain.run import RunStatus
    from orchestrator.workspace import find_workspace

    workspace = find_workspace()
    options = ResumeOptions(settings=tuple(settings), priority=priority, force=force)
    resumed = resume_run(workspace, workspace.run(run), options)
    for warning in resumed.warnings:
        warn(warning)
    name, state = resumed.run.id, resumed.state
    what = f"attempt {state.attempt.number}: {', '.join(c.phase for c in resumed.commands)}"
    if state.status is RunStatus.QUEUED:
        note(f"queued {name}, {what}: {state.why}")
    else:
        note(f"resumed {name}, {what}")
    hint(f"exp run logs -f {name}   exp run stop {name}")
    if follow:
        follow_run(workspace, resumed.run, first=state.attempt.number)
