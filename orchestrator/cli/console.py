"""Where output goes: data to stdout, everything else to stderr; no control characters."""

import json
import sys
import unicodedata
from dataclasses import asdict, is_dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from orchestrator.errors import ExpError

if TYPE_CHECKING:
    from rich.console import Console


@cache
def out() -> "Console":
    """The console for data. Rich honours NO_COLOR and pipes by itself."""
    from rich.console import Console

    # A pipe has no width: do not fold what another program is to read.
    width = None if sys.stdout.isatty() else 160
    return Console(width=width, highlight=False, soft_wrap=False)


@cache
def err() -> "Console":
    """The console for everything that is not data."""
    from rich.console import Console

    width = None if sys.stderr.isatty() else 120
    return Console(stderr=True, width=width, highlight=False, soft_wrap=True)


def clean(text: str) -> str:
    """Make control characters visible, so that a log or a ticket cannot drive the terminal."""
    return "".join(
        character
        if character in "\n\t" or unicodedata.category(character) not in {"Cc", "Cf", "Cs"}
        else f"\\x{ord(character):02x}"
        for character in text
    )


def show_json(value: Any) -> None:
    """Print plain data or dataclasses as JSON on stdout."""
    text = json.dumps(_plain(value), indent=2, ensure_ascii=False) + "\n"
    # Bytes of a ticket that are no UTF-8 arrive as lone surrogates: as \udcXX they are valid JSON.
    sys.stdout.write(text.encode("utf-8", "backslashreplace").decode())


def show_json_line(value: Any) -> None:
    """Print plain data as one line of JSON in ASCII, at once: a program may wait for it."""
    sys.stdout.write(json.dumps(_plain(value)) + "\n")
    sys.stdout.flush()


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value - value != 0:
        return str(value)  # JSON has no NaN; a string is better than a broken document
    return value


def note(text: str) -> None:
    """Tell the person something, on stderr."""
    from rich.text import Text

    err().print(Text(clean(text)))


def warn(text: str) -> None:
    """Warn on stderr."""
    from rich.text import Text

    err().print(Text.assemble(("warning: ", "yellow"), clean(text)))


def hint(text: str) -> None:
    """Name the next command, on stderr."""
    from rich.text import Text

    err().print(Text.assemble(("→ ", "cyan"), (clean(text), "cyan")))


def show_error(error: ExpError) -> None:
    """What and where in red, the next command in cyan."""
    from rich.text import Text

    err().print(Text.assemble(("error: ", "bold red"), clean(str(error))))
    if error.hint:
        hint(error.hint)
