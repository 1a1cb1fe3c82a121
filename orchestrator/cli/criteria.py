"""`exp criteria …`."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import typer

if TYPE_CHECKING:
    from orchestrator.actions.criteria import BadLine, ReadLine

app = typer.Typer(help="Criteria: how the machine reads what people write", no_args_is_help=True)

_MARKDOWN = {".md", ".markdown"}
_JSON_LINES = {".json", ".jsonl", ".ndjson"}


@app.callback()
def _criteria() -> None:
    """Criteria: how the machine reads what people write."""


@app.command("read")
def read(
    file: str = typer.Argument(
        "-", metavar="[FILE|-]", help='Markdown, or JSON lines like {"line": "loss < 2"}'
    ),
    table: bool = typer.Option(False, "--table", help="Print a table for people, not JSON"),
) -> None:
    """Read criteria and print a JSON line for each; exit 4 if a line of the input is no JSON"""
    from orchestrator.cli.console import out

    with _opened(file) as stream:
        numbered, found = _readings(Path(file).suffix.casefold(), stream)
        broken: list[int] = []
        good = _without_bad(found, broken)
        if table:
            from orchestrator.cli.views.reading import reading_table

            out().print(reading_table(list(good)))
        else:
            _print(good, numbered=numbered)
    if broken:
        raise typer.Exit(4)


def _opened(file: str) -> AbstractContextManager[BinaryIO]:
    from orchestrator.errors import EnvironmentFailure, NotFoundError

    if file == "-":
        return nullcontext(sys.stdin.buffer)
    try:
        return Path(file).open("rb")
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no file {file}", hint="exp criteria read -") from error
    except OSError as error:
        raise EnvironmentFailure(
            f"cannot read {file}: {error.strerror}", hint=f"ls -ld {file}"
        ) from error


def _readings(
    suffix: str, stream: BinaryIO
) -> tuple[bool, Iterable["ReadLine"] | Iterable["ReadLine | BadLine"]]:
    """Whether the input is Markdown, and its readings; its name tells, else its first character."""
    from orchestrator.actions.criteria import read_json_lines, read_markdown

    if suffix in _MARKDOWN:
        return True, read_markdown(stream.read())
    if suffix in _JSON_LINES:
        return False, read_json_lines(stream)
    head = [stream.readline()]
    while head[-1] and not head[-1].strip():
        head.append(stream.readline())
    if head[-1].removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in {b"{", b""}:
        return False, read_json_lines(chain(head, stream))
    return True, read_markdown(b"".join(head) + stream.read())


def _without_bad(found: "Iterable[ReadLine | BadLine]", broken: list[int]) -> Iterator["ReadLine"]:
    """The lines that could be read; of the others the person hears at once."""
    from orchestrator.actions.criteria import BadLine
    from orchestrator.cli.console import show_error
    from orchestrator.errors import InvalidFileError

    for row in found:
        if isinstance(row, BadLine):
            broken.append(row.number)
            show_error(InvalidFileError(f"line {row.number}: {row.why}"))
        else:
            yield row


def _print(rows: Iterable["ReadLine"], *, numbered: bool) -> None:
    """One line of ASCII each, written as soon as it is known: the reader may wait for it."""
    from orchestrator.actions.criteria import reading_json
    from orchestrator.cli.console import show_json_line

    for row in rows:
        place = {"line_number": row.number, "line": row.line} if numbered else {}
        show_json_line(place | reading_json(row.reading))
