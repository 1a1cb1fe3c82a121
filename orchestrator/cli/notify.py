"""`exp notify`."""

import typer

app = typer.Typer(help="Being told what happens to runs", no_args_is_help=True)


@app.command("test")
def try_out(
    as_json: bool = typer.Option(False, "--json", help="Print JSON on stdout"),
) -> None:
    """Send a test notice through every configured channel and say what each did with it"""
    from orchestrator.actions.notifying import try_channels
    from orchestrator.cli.console import clean, show_json, warn
    from orchestrator.errors import EnvironmentFailure
    from orchestrator.workspace import find_workspace

    tried = try_channels(find_workspace())
    if as_json:
        show_json(tried)
    for delivery in tried.deliveries if not as_json else ():
        said = "sent" if delivery.sent else f"not sent: {delivery.said}"
        typer.echo(f"{delivery.channel:20} {clean(said)}")
    for problem in tried.problems:
        warn(problem)
    failed = sum(not delivery.sent for delivery in tried.deliveries)
    if failed or not tried.deliveries:
        raise EnvironmentFailure(
            f"{failed} of {len(tried.deliveries)} channels failed"
            if failed
            else "no channel acts: nobody would be told",
            hint="exp notify test when it is put right",
        )
