"""Text of others, made safe for GitHub's Markdown: what it says is what is shown."""

import posixpath
import re
from urllib.parse import quote

_SPECIAL = re.compile(r"([\\`*_\[\]~])")
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_CODE = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)", re.DOTALL)
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def one_line(text: object) -> str:
    """Without line ends, control characters and terminal colours."""
    return " ".join(_CONTROL.sub("", str(text).replace("\r", "\n")).split())


def literal(text: object) -> str:
    """Text that is no Markdown: shown character by character, also in a table cell."""
    escaped = _SPECIAL.sub(r"\\\1", one_line(text))
    escaped = _unsplit(escaped.replace("&", "&amp;"))
    return _TAG.sub("&lt;", re.sub(r"^([#>+\-]|\d+[.)])(?=\s)", r"\\\1", escaped))


def _unsplit(text: str) -> str:
    """Escape the pipes that would split a table's cell; GitHub splits before it looks for code."""
    return re.sub(r"(\\*)\|", lambda m: m[0] if len(m[1]) % 2 else f"{m[1]}\\|", text)


def inline(text: object) -> str:
    """A person's line of Markdown: its code and emphasis stay, tags and pipes become text."""
    line = one_line(text)
    parts, at = [], 0
    for code in _CODE.finditer(line):
        parts += [_TAG.sub("&lt;", line[at : code.start()]), code[0]]
        at = code.end()
    parts.append(_TAG.sub("&lt;", line[at:]))
    return _unsplit("".join(parts))


def code(text: object) -> str:
    """A code span that may hold backticks and pipes; nothing for nothing."""
    line = one_line(text)
    if not line:
        return ""
    longest = max((len(run) for run in re.findall(r"`+", line)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return _unsplit(f"{fence}{pad}{line}{pad}{fence}")


def fenced(lines: str) -> str:
    """A block of text as it is, in a fence longer than any within."""
    clean = _CONTROL.sub("", lines.replace("\r\n", "\n").replace("\r", "\n"))
    longest = max((len(run) for run in re.findall(r"^\s*(`{3,})", clean, re.MULTILINE)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}text\n{clean}\n{fence}"


def link(page: str, target: str) -> str:
    """The address of a file of the workspace, relative to the page."""
    return quote(posixpath.relpath(target, posixpath.dirname(page) or "."), safe="/.-_~")
