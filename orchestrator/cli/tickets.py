"""`exp ticket …`."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from orchestrator.cli import completing
from orchestrator.domain.run import RunStatus
from orchestrator.domain.ticket import TicketStatus

if TYPE_CHECKING:
    from orchestrator.actions.launch import Launched
    from orchestrator.workspace import Workspace

app = typer.Typer(help="Tickets: what is claimed, and what the evidence says", no_args_is_help=True)

TICKET = typer.Argument(
    help="Ticket id: T-0017, or 17", show_default=False, autocompletion=completing.tickets
)
SETTINGS = typer.Option([], "--set", help="Override a parameter: --set lr=3e-4")
AS_JSON = typer.Option(False, "--json", help="Print JSON on stdout")


@app.command("new")
def new(
    title: str = typer.Argument(help="What is claimed, in one line", show_default=False),
    after: list[str] = typer.Option(
        [], "--after", help="Ticket that must be DONE first", autocompletion=completing.tickets
    ),
    experiment: Path | None = typer.Option(None, "--experiment", help="Spec that proves it"),
) -> None:
    """Write a new ticket and print its path"""
    from orchestrator.actions.writing import new_ticket
    from orchestrator.cli.console import hint
    from orchestrator.workspace import find_workspace

    path = new_ticket(find_workspace(), title, after=tuple(after), experiment=experiment)
    typer.echo(path)
    hint(f"$EDITOR {path}")


@app.command("list")
def list_(
    status: list[TicketStatus] = typer.Option(
        [], "--status", "-s", case_sensitive=False, help="Only tickets of this status"
    ),
    text: str | None = typer.Option(None, "--grep", help="Only tickets with this in their title"),
    needs_review: bool = typer.Option(
        False, "--needs-review", help="Only tickets that wait for a person's word, and why"
    ),
    as_json: bool = AS_JSON,
) -> None:
    """List tickets with their criteria met"""
    from orchestrator.actions.reading import list_tickets
    from orchestrator.cli import views
    from orchestrator.cli.console import out, show_json
    from orchestrator.workspace import find_workspace

    workspace = find_workspace()
    rows = list_tickets(workspace, statuses=tuple(status), text=text)
    if needs_review:
        from orchestrator.actions.waiting import needing_review

        rows = needing_review(workspace, rows)
    if as_json:
        show_json(rows)
    else:
        out().print(views.ticket_table(rows))


@app.command("show")
def show(ticket: str = TICKET, as_json: bool = AS_JSON) -> None:
    """Show a ticket, its criteria, their verdicts and the evidence"""
    from orchestrator.actions.ticket_detail import show_ticket
    from orchestrator.cli import views
    from orchestrator.cli.console import out, show_json
    from orchestrator.workspace import find_workspace

    detail = show_ticket(find_workspace(), ticket)
    if as_json:
        show_json(detail)
    else:
        out().print(views.ticket_detail(detail))


@app.command("lint")
def lint(
    tickets: list[str] | None = typer.Argument(
        None, help="Ticket ids (default: all)", autocompletion=completing.tickets
    ),
    readings: bool = typer.Option(False, "--readings", help="Show how each criterion is read"),
    fix: bool = typer.Option(
        False, "--fix", help="Offer to write exact predicates behind lines, one by one"
    ),
    yes: bool = typer.Option(False, "--yes", "-y", help="With --fix: write all without asking"),
    as_json: bool = AS_JSON,
) -> None:
    """Check tickets; exit 1 if one has an error"""
    from orchestrator.actions.linting import lint_tickets
    from orchestrator.cli import views
    from orchestrator.cli.console import note, out, show_json
    from orchestrator.cli.fixing import offer_fixes
    from orchestrator.cli.views.reading import lint_readings
    from orchestrator.errors import UsageError
    from orchestrator.workspace import find_workspace

    workspace, chosen = find_workspace(), tuple(tickets or ())
    if yes and not fix:
        raise UsageError("--yes belongs to --fix", hint="exp ticket lint --fix --yes")
    if fix:
        offer_fixes(workspace, chosen, yes=yes)
    result = lint_tickets(workspace, chosen, readings=readings)
    if as_json:
        found, read = result.findings, result.readings
        show_json({"findings": found, "readings": read} if readings else found)
    else:
        if readings:
            out().print(lint_readings(result.readings))
        if result.findings:
            out().print(views.findings(result.findings))
        counts = ("ticket", result.tickets), ("error", result.errors), ("warning", result.warnings)
        note(", ".join(f"{count} {noun}{'s' * (count != 1)}" for noun, count in counts))
    if result.errors:
        raise typer.Exit(1)


@app.command("check")
def check(
    ticket: str = TICKET,
    run: str | None = typer.Option(
        None,
        "--run",
        help="Judge by this run (default: the newest)",
        autocompletion=completing.runs,
    ),
    explain: bool = typer.Option(
        False, "--explain", help="Show readings, series, deciding points and projections"
    ),
    commands: bool = typer.Option(
        False, "--run-commands", help="First run the commands that criteria name (see exp trust)"
    ),
    as_json: bool = AS_JSON,
) -> None:
    """Judge a ticket by a run; exit 0 if all required criteria are met, 1 failed, 9 undecided"""
    from orchestrator.actions.checking import check_ticket
    from orchestrator.cli.console import note, out, show_json
    from orchestrator.cli.views.check import ticket_check
    from orchestrator.workspace import find_workspace

    workspace = find_workspace()
    if commands:
        from orchestrator.actions.checking import check_commands

        for done in check_commands(workspace, ticket, run=run):
            note(f"{done.command}: exit code {done.code}")
    explain_all = explain or as_json
    checked = check_ticket(workspace, ticket, run=run, explain=explain_all, afresh=commands)
    if as_json:
        show_json(checked)
    else:
        out().print(ticket_check(checked, explain=explain))
    raise typer.Exit(checked.result)


@app.command("review")
def review(
    ticket: str = TICKET,
    quiet: bool = typer.Option(False, "--non-interactive", help="Ask nothing; say it by options"),
    accept: list[str] = typer.Option([], "--accept", help="Criterion that holds: C2, or C2,C3"),
    reject: list[str] = typer.Option([], "--reject", help="Criterion that does not hold"),
    waive: list[str] = typer.Option([], "--waive", help="Criterion that shall not gate"),
    notes: list[str] = typer.Option([], "--note", help="Remark on a criterion: C1=text"),
    reason: str = typer.Option("", "--reason", help="Why; required by --reject and --waive"),
    decide: str | None = typer.Option(None, "--decide", help="The ticket is done, failed or ready"),
) -> None:
    """Go through a ticket's criteria with their evidence: accept, reject, waive or note"""
    from orchestrator.cli.review import Said, review_by_options, review_by_questions
    from orchestrator.errors import UsageError
    from orchestrator.workspace import find_workspace

    said = Said(
        accept=tuple(accept),
        reject=tuple(reject),
        waive=tuple(waive),
        notes=tuple(notes),
        reason=reason,
        decide=decide,
    )
    if quiet:
        review_by_options(find_workspace(), ticket, said)
    elif said != Said():
        raise UsageError(
            "what is said by options belongs to --non-interactive",
            hint=f"exp ticket review {ticket} --non-interactive …",
        )
    else:
        review_by_questions(find_workspace(), ticket)


@app.command("next")
def next_(as_json: bool = AS_JSON) -> None:
    """List tickets that are ready: READY, and all before them DONE"""
    from orchestrator.actions.reading import ready_tickets
    from orchestrator.cli import views
    from orchestrator.cli.console import out, show_json
    from orchestrator.workspace import find_workspace

    ready = ready_tickets(find_workspace())
    if as_json:
        show_json(ready)
    else:
        out().print(views.ready_table(ready))


@app.command("graph")
def graph(
    mermaid: bool = typer.Option(False, "--mermaid", help="Print a Mermaid flowchart"),
) -> None:
    """Show which ticket comes after which"""
    from orchestrator.actions.reading import ticket_graph
    from orchestrator.cli.console import clean
    from orchestrator.workspace import find_workspace

    typer.echo(clean(ticket_graph(find_workspace(), mermaid=mermaid)))


@app.command("rehearse")
def rehearse(
    ticket: str = TICKET,
    settings: list[str] = SETTINGS,
    force: bool = typer.Option(
        False, "--force", help="Rehearse again though it passed and nothing has changed"
    ),
    commit: bool = typer.Option(
        False, "--commit", help="Write the result beside the ticket's report and commit it"
    ),
    as_json: bool = AS_JSON,
) -> None:
    """Run the ticket's programs for some minutes to see what would go wrong; exit 10 if it would"""
    from orchestrator.cli.console import hint, note
    from orchestrator.cli.rehearsing import refuse_failed, rehearsed, show
    from orchestrator.workspace import find_workspace

    workspace = find_workspace()
    result = rehearsed(workspace, ticket, tuple(settings), force=force)
    show(result, as_json=as_json)
    if commit:
        from orchestrator.actions.rehearsal.page import commit_page

        made = commit_page(workspace, result)
        note(f"committed {made[:12]}" if made else "the page is committed as it is")
    refuse_failed(result)
    hint(f"exp ticket start {result.ticket}")


@app.command("start")
def start(
    ticket: str = TICKET,
    follow: bool = typer.Option(False, "--follow", "-f", help="Show the log until the run ends"),
    settings: list[str] = SETTINGS,
    force: bool = typer.Option(False, "--force", help="Start a DONE ticket, or out of order"),
    priority: int = typer.Option(0, "--priority", help="Larger goes first in the queue"),
    after: list[str] = typer.Option(
        [],
        "--after",
        help="Start when this run has completed: R-12, or T-3 for its live run",
        autocompletion=completing.tickets_and_runs,
    ),
    git: bool = typer.Option(
        True, "--git/--no-git", help="Snapshot the code and commit the report"
    ),
    skip: bool = typer.Option(
        False, "--skip-rehearsal", help="Start without the rehearsal that [rehearse] asks for"
    ),
    as_json: bool = typer.Option(False, "--json", help="Print the run's record on stdout"),
) -> None:
    """Launch the ticket's training and evaluation"""
    from orchestrator.actions.launch import LaunchOptions, check_start, start_ticket
    from orchestrator.cli.console import show_json
    from orchestrator.cli.following import follow_run, leaving_it_alone
    from orchestrator.cli.rehearsing import before_start
    from orchestrator.workspace import find_workspace

    workspace = find_workspace()
    options = LaunchOptions(
        settings=tuple(settings), force=force, git=git, priority=priority, after=tuple(after)
    )
    check_start(workspace, ticket, options)
    before_start(workspace, ticket, options.settings, skip=skip)
    launched = start_ticket(workspace, ticket, options)
    with leaving_it_alone(launched.run):
        if as_json:
            show_json(launched.record)
        _announce(workspace, launched)
        if follow:
            follow_run(workspace, launched.run)


@app.command("stop")
def stop(
    ticket: str = TICKET,
    why: str = typer.Option("stopped by hand", "--why", help="Reason, kept with the run"),
) -> None:
    """End the ticket's live run: SIGTERM, its grace, then the whole tree"""
    from orchestrator.actions.stop import stop_ticket
    from orchestrator.cli.console import note
    from orchestrator.cli.stopping import tell_stopped
    from orchestrator.workspace import find_workspace

    stopped = stop_ticket(find_workspace(), ticket, why=why)
    if not stopped:
        note(f"{ticket} has no live run")
    tell_stopped(stopped)


def _announce(workspace: "Workspace", launched: "Launched") -> None:
    from orchestrator.cli.console import err, hint, note, warn
    from orchestrator.cli.views.reading import start_readings

    for warning in launched.warnings:
        warn(warning)
    record, run = launched.record, launched.run
    name = f"{record.ticket.id}: {record.ticket.title}" if record.ticket else run.id
    if launched.state.status is RunStatus.QUEUED:
        note(f"queued {run.id} for {name}")
        note(f"  {launched.state.why}")
    else:
        note(f"started {run.id} for {name}")
    note(f"  run folder {run.path.relative_to(workspace.root)}")
    if record.criteria:
        err().print(start_readings(record, launched.known))
    look = "exp queue" if launched.state.status is RunStatus.QUEUED else "exp status --watch"
    hint(f"exp run logs -f {run.id}   {look}   exp run stop {run.id}")
