"""`exp gpu`."""

import typer


def gpu(
    as_json: bool = typer.Option(False, "--json", help="Print JSON on stdout"),
) -> None:
    """Show the GPUs of this machine: memory, load, health, and whose processes hold them"""
    from orchestrator.actions.hardware import gpu_overview
    from orchestrator.cli.console import out, show_json, warn

    seen = gpu_overview()
    if as_json:
        show_json(seen)
        return
    from orchestrator.cli.views.gpu import gpu_table, no_gpus

    if seen.gpus:
        out().print(gpu_table(seen))
        if seen.problem:
            warn(seen.problem)
    else:
        out().print(no_gpus(seen))
