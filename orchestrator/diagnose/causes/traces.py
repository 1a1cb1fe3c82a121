"""Python tracebacks in the output of one process or of many, and what stays the same of them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
# Who a line comes from: torch ≥ 2.2 and torchrun --tee, Ray, srun --label.
_PREFIX = re.compile(
    r"^(?:\[(?P<rank>(?:rank|default)\d+)\]:|\((?P<ray>[^()]* pid=\d+[^()]*)\)|(?P<srun>\d+):) ?"
)
_HEADER = re.compile(r"^(?P<indent>\s*)(?:Original )?Traceback \(most recent call last\):")
_FRAME = re.compile(r'^\s*File "(?P<file>.*)", line \d+, in (?P<function>.*)$')
_RAISED = re.compile(r"^(?P<kind>[A-Za-z_][\w.]*)(?::\s?(?P<message>.*))?$")
_LIBRARY = re.compile(r"site-packages/|dist-packages/|/lib/python\d|^<")
_VARIABLE = (
    (re.compile(r"0x[0-9a-fA-F]+"), "#"),
    (re.compile(r"(?:[\w.~-]*/)+([\w.~-]*)"), r"…/\1"),  # a path: its last part alone
    (re.compile(r"\d+(?:[.,:]\d+)*"), "#"),
)
_CHAINED = (
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
)
_LONGEST = 8  # lines behind the first of a message
_SHOWN = 160  # characters of a message that tell it from another


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of output without colours: whose it is (None if it does not say) and what it says."""

    number: int
    rank: str | None
    text: str


@dataclass(slots=True, kw_only=True)
class Trace:
    """A traceback: the exception, its message, and the frames from the outermost inwards.

    `message` is its first line; `more` are those behind it, which may be other output already.
    `frames` are (file, function); `line` is the number of the line that names the exception.
    `reason` is the exception that this one was raised from, or while it was handled.
    """

    kind: str
    message: str = ""
    more: str = ""
    line: int = 0
    rank: str | None = None
    frames: list[tuple[str, str]] = field(default_factory=list)
    reason: "Trace | None" = None

    @property
    def raised(self) -> str:
        """`ValueError: what was wrong`."""
        return f"{self.kind}: {self.message}".strip().removesuffix(":")

    @property
    def place(self) -> str | None:
        """`file.py:function` of the innermost frame of the program's own, else of any."""
        own = [frame for frame in self.frames if not _LIBRARY.search(frame[0])]
        if not self.frames:
            return None
        file, function = (own or self.frames)[-1]
        return f"{PurePosixPath(file).name}:{function}"

    @property
    def fingerprint(self) -> str:
        """Equal for what is the same but for numbers, addresses and paths."""
        return f"{self.kind.rpartition('.')[2]} at {self.place}: {same(self.message)}"


def same(message: str) -> str:
    """A message without what differs from one time to the next."""
    for pattern, stand_in in _VARIABLE:
        message = pattern.sub(stand_in, message)
    return message[:_SHOWN]


def lines_of(output: str) -> list[Line]:
    """Lines of a log; a progress bar that returns to the start of its line makes many."""
    found = []
    for number, raw in enumerate(output.replace("\r", "\n").split("\n"), 1):
        text = _ANSI.sub("", raw)
        prefix = _PREFIX.match(text)
        rank = next(filter(None, prefix.groups()), None) if prefix else None
        found.append(Line(number=number, rank=rank, text=text[prefix.end() :] if prefix else text))
    return found


def traces_of(lines: list[Line]) -> list[Trace]:
    """Every traceback, in the order in which they end; lines of ranks may be interleaved."""
    ranks = dict.fromkeys(line.rank for line in lines)
    found = [
        trace for rank in ranks for trace in _traces([line for line in lines if line.rank == rank])
    ]
    return sorted(found, key=lambda trace: trace.line)


def _traces(lines: list[Line]) -> Iterator[Trace]:
    at, before, chained = 0, None, False
    while at < len(lines):
        header = _HEADER.match(lines[at].text)
        chained |= lines[at].text.strip() in _CHAINED
        at += 1
        if header is None:
            continue
        indent, frames = header["indent"], []
        while at < len(lines) and lines[at].text.startswith(f"{indent}  "):
            if frame := _FRAME.match(lines[at].text):
                frames.append((frame["file"], frame["function"].strip()))
            at += 1
        raised = _RAISED.match(lines[at].text.strip()) if at < len(lines) else None
        if raised is None:
            continue
        first, at = lines[at], at + 1
        said: list[str] = []
        while at < len(lines) and len(said) < _LONGEST and _goes_on(lines[at].text):
            said.append(lines[at].text)
            at += 1
        before = Trace(
            kind=raised["kind"],
            message=(raised["message"] or "").strip(),
            more=" ".join(said),
            line=first.number,
            rank=first.rank,
            frames=frames,
            reason=before if chained else None,
        )
        chained = False
        yield before


def _goes_on(text: str) -> bool:
    return bool(text.strip()) and _HEADER.match(text) is None
