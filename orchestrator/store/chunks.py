r"""The next whole lines, pieces or records of a file that may still be written, a bite at a time.

Each function gives bytes that a decoder can read, and the offset behind them: the same offset in
the end, whatever the bites. None for the bytes says that one line or record was too large to keep
in memory; the same offset as before says that nothing whole is there.
"""

import os
from typing import Any

from orchestrator.store.formats import LOG, TENSORBOARD, Format
from orchestrator.store.formats.log import LONGEST
from orchestrator.store.formats.tfevents import FOOTER, HEADER, record_length

Chunk = tuple[bytes | None, int]


def next_chunk(
    form: Format | None, descriptor: int, offset: int, bite: int, memory: dict[str, Any]
) -> Chunk:
    """What comes next in a file of this format (None: an event file of ours)."""
    if form is TENSORBOARD:
        return (b"", offset) if memory.get("stopped") else _records(descriptor, offset, bite)
    if form is LOG:
        return _pieces(descriptor, offset, bite, inside=bool(memory.get("long")))
    return _lines(descriptor, offset, bite)


def _lines(descriptor: int, offset: int, bite: int) -> Chunk:
    """Whole lines of at most `bite` bytes together; None for a line that is longer alone."""
    data = os.pread(descriptor, bite, offset)
    end = data.rfind(b"\n") + 1
    if end or len(data) < bite:
        return data[:end], offset + end
    position = offset + len(data)
    while more := os.pread(descriptor, bite, position):
        end = more.find(b"\n") + 1
        if end:
            return None, position + end
        position += len(more)
    return b"", offset


def _pieces(descriptor: int, offset: int, bite: int, *, inside: bool) -> Chunk:
    """Whole pieces of a log; of one that is too long to be read, whatever is there.

    `inside` says that the offset lies within such a piece.
    """
    data = os.pread(descriptor, max(bite, LONGEST + 1), offset)
    end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
    if end == 0 and (inside or len(data) > LONGEST):
        end = len(data)
    return data[:end], offset + end


def _records(descriptor: int, offset: int, bite: int) -> Chunk:
    """Whole records up to a damaged header, or such a header alone."""
    data = os.pread(descriptor, bite, offset)
    end = 0
    while end + HEADER <= len(data):
        length = record_length(data[end : end + HEADER])
        if length is None:
            end = end or HEADER
            break
        behind = end + HEADER + length + FOOTER
        if behind > len(data):
            if end == 0 and len(data) == bite:
                return _large(descriptor, offset, offset + behind)
            break
        end = behind
    return data[:end], offset + end


def _large(descriptor: int, offset: int, behind: int) -> Chunk:
    """A record larger than a bite, once all of it is there."""
    return (None, behind) if os.fstat(descriptor).st_size >= behind else (b"", offset)
