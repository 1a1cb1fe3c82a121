"""The tree of commands: nouns, then verbs."""

import typer

from orchestrator import __version__
from orchestrator.cli import (
    criteria,
    doctor,
    gpu,
    metrics,
    notes,
    notify,
    queue,
    reports,
    runs,
    status,
    tickets,
    trust,
    workspace,
)

# Typer's own flags have no default, and to make nothing of None it loads pydantic: 80 ms. So they
# are given one where a command has nothing but flags. (The keys are parameters, then commands.)
_NO_HELP = {"help": False}
_FLAGS = {
    **_NO_HELP,
    "install_completion": False,
    "show_completion": False,
    "gpu": _NO_HELP,
    "queue": _NO_HELP,
    "status": _NO_HELP,
}

app = typer.Typer(
    name="exp",
    help="Ticket-driven experiments: a ticket is a claim, a run is a measurement, "
    "a tick is a verdict with evidence",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "default_map": _FLAGS},
)
app.add_typer(tickets.app, name="ticket")
app.add_typer(runs.app, name="run")
app.add_typer(criteria.app, name="criteria")
app.add_typer(metrics.app)
app.add_typer(notify.app, name="notify")
app.add_typer(workspace.database, name="db")
app.add_typer(reports.app)
app.command("doctor")(doctor.doctor)
app.command("init")(workspace.init)
app.command("status")(status.status)
app.command("gpu")(gpu.gpu)
app.command("note")(notes.note)
app.command("queue")(queue.queue)
app.command("trust")(trust.trust)
app.command("watch")(workspace.watch)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"exp {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    _version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Print the version and exit"
    ),
) -> None:
    """Ticket-driven experiments."""
