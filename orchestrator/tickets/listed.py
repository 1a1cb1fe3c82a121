"""Lists in our blocks of a ticket: written for people, read back, and what stands there kept."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

from orchestrator.tickets.document import Document

T = TypeVar("T")

TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
_ENDS = re.compile(r"\r\n|\r")
_COMMENT = re.compile(r"<!--|&(?:amp;)*lt;!--")


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemList(Generic[T]):
    """A list under Evidence: the name of its block, its first line, and how an item is read.

    `item` matches all lines of one item; `make` gives what it says, or raises ValueError where
    that cannot be, as of a day that no calendar has.
    """

    block: str
    lead: str
    item: re.Pattern[str]
    make: Callable[[Document, re.Match[str]], T]

    def read(self, document: Document) -> tuple[tuple[T, ...], tuple[str, ...]]:
        """The items, oldest first, and the lines that are none, because somebody edited them."""
        text = document.block(self.block)
        if text is None:
            return (), ()
        text = _ENDS.sub("\n", text) + "\n"
        found, rest, done = [], [], 0
        for match in self.item.finditer(text):
            try:
                found.append(self.make(document, match))
            except ValueError:
                continue
            rest.append(text[done : match.start()])
            done = match.end()
        return tuple(found), tuple(self._words([*rest, text[done:]]))

    def add(self, document: Document, items: Sequence[str]) -> Document:
        """Append written items; what stands there stays as it is.

        Raises:
            InvalidFileError: the markers in the ticket do not balance.
        """
        if not items:
            return document
        before = document.block(self.block)
        lead = f"{self.lead}\n\n" if before is None else f"{before}\n"
        return document.set_block("Evidence", self.block, lead + "".join(items))

    def _words(self, parts: Iterable[str]) -> Iterator[str]:
        for part in parts:
            yield from (line for line in part.split("\n") if line.strip() and line != self.lead)


def time_of(written: str) -> float:
    """Seconds since 1970 of a time as `TIME` matches it, in UTC.

    Raises:
        ValueError: no calendar has that day.
    """
    return datetime.strptime(written, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp()


def plain(text: str) -> str:
    """Text as a ticket can hold it: bytes that are no UTF-8 cannot be written there."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def printable(line: str) -> str:
    """A line without control characters."""
    return "".join(c if c.isprintable() else " " for c in line)


def one_line(text: str) -> str:
    """Text on one line, without control characters."""
    return " ".join(printable(text).split())


def shown(text: str) -> str:
    """Text in which no comment begins, so that none of it is hidden; `meant` takes it back."""
    return _COMMENT.sub(lambda found: _escaped(found[0]), text)


def meant(text: str) -> str:
    """The text that `shown` was given."""
    return _COMMENT.sub(lambda found: _unescaped(found[0]), text)


def _escaped(found: str) -> str:
    return "&lt;!--" if found == "<!--" else f"&amp;{found[1:]}"


def _unescaped(found: str) -> str:
    return "<!--" if found in {"&lt;!--", "<!--"} else f"&{found[5:]}"
