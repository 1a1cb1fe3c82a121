"""Write docs/cli.md from the commands themselves; `--check` only compares."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from orchestrator.cli.app import app

TARGET = Path(__file__).resolve().parents[1] / "docs" / "cli.md"
HEAD = """# Command line

Made by `scripts/reference.py` from the commands themselves. Data goes to stdout, everything else to
stderr. Ids may be typed short: `17` for `T-0017`. [Exit codes](exit-codes.md).

Environment: `EXP_WORKSPACE` names the workspace instead of the folder above you, `NO_COLOR` turns
colours off.
"""


# Typer carries its own copy of click, which has no public name: its objects are used as they come.


def commands(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Every command that does something, in the order of the help page."""
    children = getattr(command, "commands", None)
    if children is None:
        yield " ".join(words), command
        return
    for name, child in children.items():
        yield from commands(child, (*words, name))


def describe(words: str, command: Any) -> str:
    """One section: usage, what it does, a table of parameters."""
    context = command.context_class(command, info_name=words)
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [f"## `{words}`", "", f"{command.help}.", "", f"    {words} {usage}", ""]
    rows = [row for parameter in command.params if (row := describe_parameter(parameter))]
    if rows:
        lines += ["| parameter | meaning |", "|---|---|", *rows, ""]
    return "\n".join(lines)


def describe_parameter(parameter: Any) -> str | None:
    """A row for an option or an argument; help itself needs none."""
    if parameter.name == "help":
        return None
    if parameter.param_type_name == "option":
        names = ", ".join([*parameter.opts, *parameter.secondary_opts])
    else:
        names = parameter.metavar or parameter.name.upper()
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
