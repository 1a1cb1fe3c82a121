"""YAML front matter as ticket files have it: `key: value` and lists, read where they stand.

Not a YAML parser: an edit must know the characters of one value and leave all others alone, which
YAML libraries do not offer without rewriting the file. Anything beyond scalars and lists of
scalars is kept, has no value here, and cannot be edited.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.tickets.scan import content

_KEY = re.compile(r"(?P<key>[A-Za-z_][\w.-]*)[ \t]*:(?=[ \t]|$)[ \t]*(?P<text>.*)")
_ITEM = re.compile(r"[ \t]*-(?=[ \t]|$)[ \t]*(?P<text>.*)")
_COMMENT = re.compile(r"(?:^|[ \t])#.*")
_FLOW_ITEM = re.compile(r"""[ \t]*("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^,]*)[ \t]*(?:,|$)""")
_PLAIN = re.compile(r"[A-Za-z0-9_./][\w./@+ -]*", re.ASCII)
_NOT_TEXT = re.compile(r"(?i:true|false|yes|no|on|off|null)|[\d._+-]+(?:e\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One key: its plain value, and the characters it takes as written.

    `line`, `start_line` and `end_line` count from 0; `start` and `end` count from the beginning of
    their lines. `style` is scalar, flow (`[a, b]`), block (`- a` lines) or other: what an edit
    could not replace without losing more than the value.
    """

    key: str
    value: str
    line: int
    start: int
    end_line: int
    end: int
    style: str


def front_matter_end(lines: Sequence[str]) -> int | None:
    """The line number of the closing `---`, counted from 0, or None without front matter."""
    if not lines or content(lines[0]).removeprefix("\ufeff").rstrip() != "---":
        return None
    for number in range(1, len(lines)):
        if lines[number][:3] in ("---", "...") and content(lines[number]).rstrip() in (
            "---",
            "...",
        ):
            return number
    return None


def read_entries(lines: Sequence[str], end: int) -> list[Entry]:
    """The keys between the opening line 0 and the closing line `end`."""
    entries = []
    number = 1
    while number < end:
        match = _KEY.fullmatch(content(lines[number]))
        if match is None:
            number += 1
            continue
        below = number + 1
        while below < end and (lines[below][0] in " \t-#" or not lines[below].strip()):
            below += 1
        entries.append(_entry(lines, number, below, match))
        number = below
    return entries


def _entry(lines: Sequence[str], number: int, below: int, match: re.Match[str]) -> Entry:
    """Read the value that begins on line `number` and may go on up to line `below`."""
    text, start = match["text"].rstrip(" \t"), match.start("text")
    if text.startswith("#"):
        text = ""
    style, value, last, end = "other", "", number, start + len(text)
    rest = [line for line in lines[number + 1 : below] if not _is_remark(line)]
    if text.startswith("["):
        if not rest and (stop := _flow_end(text)) is not None:
            style, value, end = "flow", ", ".join(_flow_items(text[1 : stop - 1])), start + stop
    elif not text and rest and all(_ITEM.fullmatch(content(line)) for line in rest):
        value = ", ".join(_unquote(line.strip().removeprefix("-")) for line in rest)
        if not match["text"] and not any(
            map(_is_remark, lines[number + 1 : number + 1 + len(rest)])
        ):
            style, last = "block", number + len(rest)
            end = len(content(lines[last]))
    elif not rest and text[:1] not in ("|", ">", "{", "&", "*", "!"):
        text = _without_comment(text)
        style, value, end = "scalar", _unquote(text), start + len(text)
    return Entry(
        key=match["key"], value=value, line=number, start=start, end_line=last, end=end, style=style
    )


def write_value(value: str, written: str, style: str) -> str:
    """The YAML text of a new value, in the manner of the one it replaces.

    A list of ids or words (`T-1, T-2`) is written as a flow list where a list stood.
    """
    if style in ("flow", "block"):
        return "[" + ", ".join(_quote(item, "") for item in value.split(", ") if item) + "]"
    return _quote(value, written[:1])


def _quote(value: str, mark: str) -> str:
    if mark == "'":
        return "'" + value.replace("'", "''") + "'"
    if mark == '"' or not _PLAIN.fullmatch(value) or _NOT_TEXT.fullmatch(value):
        return json.dumps(value, ensure_ascii=False)
    return value


def _unquote(text: str) -> str:
    text = _without_comment(text.strip(" \t"))
    if len(text) >= 2 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    if len(text) >= 2 and text[0] == text[-1] == '"':
        try:
            return str(json.loads(text))
        except ValueError:
            return text[1:-1]
    return text


def _without_comment(text: str) -> str:
    """A scalar without the remark behind it; a `#` inside quotes is no remark."""
    if text[:1] in ("'", '"'):
        quoted = re.match(r"""'(?:[^']|'')*'|"(?:[^"\\]|\\.)*\"""", text)
        return quoted[0] if quoted else text
    return _COMMENT.sub("", text).rstrip(" \t")


def _flow_end(text: str) -> int | None:
    """Where the list closes, if it does so on its own line and holds no other list."""
    quoted = re.sub(r"""'(?:[^']|'')*'|"(?:[^"\\]|\\.)*\"""", lambda q: "x" * len(q[0]), text)
    stop = quoted.find("]") + 1
    inner_list = "[" in quoted[1:stop] or "{" in quoted[:stop]
    return None if stop == 0 or inner_list or _without_comment(quoted[stop:]) else stop


def _flow_items(text: str) -> list[str]:
    items = [_unquote(found[1]) for found in _FLOW_ITEM.finditer(text)]
    return [item for item in items if item]


def _is_remark(line: str) -> bool:
    text = line.strip()
    return not text or text.startswith("#")
