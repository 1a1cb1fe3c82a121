"""Remarks in a ticket: what people said in their own words, quoted under Evidence and read back."""

import re
from pathlib import Path

from orchestrator.clock import format_utc
from orchestrator.domain.remark import Remark, RemarkKind
from orchestrator.tickets.document import Document, parse
from orchestrator.tickets.listed import (
    TIME,
    ItemList,
    meant,
    one_line,
    plain,
    printable,
    shown,
    time_of,
)

_MARKER = b"exp:begin remarks"
# Quoted, so that no heading, box or fence in what somebody said is one of the ticket.
_ITEM = re.compile(
    rf"""(?m)^- \*\*(?P<kind>{"|".join(RemarkKind)})\*\* by (?P<by>.*), (?P<time>{TIME}) UTC"""
    r"""(?:, on (?P<run>R-\d{6,}))?:
(?P<text>(?:  >.*\n)+)"""
)


def remarks_of(document: Document) -> tuple[Remark, ...]:
    """Every remark in a ticket, oldest first."""
    found, _ = _LIST.read(document)
    return found


def remarks_at(path: Path) -> tuple[Remark, ...]:
    """The remarks in a ticket's file, none if it is gone; most have none, and are not parsed."""
    try:
        raw = path.read_bytes()
    except OSError:
        return ()
    return remarks_of(parse(raw, path.name)) if _MARKER in raw else ()


def unread_remarks(document: Document) -> tuple[str, ...]:
    """Lines in the block of remarks that are none, because somebody edited them; they are kept."""
    _, rest = _LIST.read(document)
    return rest


def add_remark(document: Document, remark: Remark) -> Document:
    """Append a remark to the ticket's list; what stands there stays as it is.

    Raises:
        InvalidFileError: the markers in the ticket do not balance.
    """
    return _LIST.add(document, [_item(remark)])


def remark_text(text: str) -> str:
    """What a person typed as a ticket can hold it.

    Lines stay lines, without control characters, blanks at their ends, and blank lines around.
    """
    lines = [
        printable(line.expandtabs(4)).rstrip() for line in re.split(r"\r\n|\r|\n", plain(text))
    ]
    return "\n".join(lines).strip("\n")


def _item(remark: Remark) -> str:
    on = f", on {remark.run}" if remark.run else ""
    by = shown(one_line(plain(remark.by)))
    lines = [f"- **{remark.kind}** by {by}, {format_utc(remark.time)}{on}:"]
    lines += [f"  > {line}".rstrip() for line in shown(remark_text(remark.text)).split("\n")]
    return "".join(f"{line}\n" for line in lines)


def _remark(_document: Document, match: re.Match[str]) -> Remark:
    lines = match["text"].removesuffix("\n").split("\n")
    quoted = "\n".join(line.removeprefix("  >").removeprefix(" ") for line in lines)
    return Remark(
        kind=RemarkKind(match["kind"]),
        by=meant(match["by"]),
        time=time_of(match["time"]),
        text=meant(quoted),
        run=match["run"],
    )


_LIST = ItemList(
    block="remarks", lead="Remarks of people, the newest last:", item=_ITEM, make=_remark
)
