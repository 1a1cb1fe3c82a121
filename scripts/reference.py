"""Write docs/cli.md from the commands themselves; `--check` only compares."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click
import typer.main

from orchestrator.cli.app import app

TARGET = Path(__file__).resolve().parents[1] / "docs" / "cli.md"
HEAD = """# Command line

Made by `scripts/reference.py` from the commands themselves. Data goes to stdout, everything else to
stderr. Ids may be typed short: `17` for `T-0017`. [Exit codes](exit-codes.md).

Environment: `EXP_WORKSPACE` names the workspace instead of the folder above you, `NO_COLOR` turns
colours off.
"""


def commands(command: click.Command, words: tuple[str, ...]) -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, in the order of the help page."""
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from commands(child, (*words, name))
    else:
        yield " ".join(words), command


def describe(words: str, command: click.Command) -> str:
    """One section: usage, what it does, a table of parameters."""
    context = click.Context(command, info_name=words)
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [f"## `{words}`", "", f"{command.help}.", "", f"    {words} {usage}", ""]
    rows = [row for parameter in command.params if (row := describe_parameter(parameter))]
    if rows:
        lines += ["| parameter | meaning |", "|---|---|", *rows, ""]
    return "\n".join(lines)


def describe_parameter(parameter: click.Parameter) -> str | None:
    """A row for an option or an argument; help itself needs none."""
    if parameter.name == "help":
        return None
    if isinstance(parameter, click.Option):
        names = ", ".join([*parameter.opts, *parameter.secondary_opts])
    else:
        names = parameter.make_metavar(click.Context(click.Command("x")))
    return f"| `{names}` | {getattr(parameter, 'help', None) or ''} |"


def reference() -> str:
    """The whole page."""
    root = typer.main.get_command(app)
    sections = [describe(words, command) for words, command in commands(root, ("exp",))]
    return "\n".join([HEAD, *sections]).rstrip() + "\n"


def main() -> int:
    """Write the page, or with `--check` say whether it is what it should be."""
    text = reference()
    if "--check" in sys.argv:
        if TARGET.exists() and TARGET.read_text() == text:
            return 0
        print("docs/cli.md does not match the commands: run python scripts/reference.py")
        return 1
    TARGET.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
