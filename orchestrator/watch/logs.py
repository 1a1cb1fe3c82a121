"""The new whole lines of a log, in bounded pieces."""

from collections.abc import Iterator
from pathlib import Path

_PIECE = 1 << 20  # bytes read at once
_PIECES = 16  # a piece of a live log each tick at most, so that one run cannot hold up the others
_LONGEST = 1 << 16  # a line without end (a progress bar) is cut after this many bytes


class LogCursor:
    """How far a log has been read; a line counts once its newline is there."""

    def __init__(self) -> None:
        self._offset = 0
        self._next_line = 1

    def read(self, path: Path, *, whole: bool) -> Iterator[tuple[int, str]]:
        """Yield (number of the first line, text of whole lines).

        With `whole` all of it, a last line without newline too: nobody will finish it.
        """
        try:
            with path.open("rb") as file:
                file.seek(self._offset)
                pieces = 0
                while whole or pieces < _PIECES:
                    data = file.read(_PIECE)
                    text = self._whole_lines(data, at_end=whole and len(data) < _PIECE)
                    if not text:
                        return
                    first = self._next_line
                    self._offset += len(text)
                    self._next_line += text.count(b"\n")
                    pieces += 1
                    yield first, text.decode(errors="replace")
                    file.seek(self._offset)
        except FileNotFoundError:
            return

    @staticmethod
    def _whole_lines(data: bytes, *, at_end: bool) -> bytes:
        if at_end:
            return data
        end = data.rfind(b"\n") + 1
        if end == 0 and len(data) >= _LONGEST:
            return data
        return data[:end]


def tail(path: Path, size: int) -> str:
    """The last `size` bytes of a log as text, from the first whole line on; empty without a log."""
    try:
        with path.open("rb") as file:
            start = max(0, file.seek(0, 2) - size)
            file.seek(start)
            found = file.read(size)
    except FileNotFoundError:
        return ""
    text = found.decode(errors="replace")
    return text.partition("\n")[2] or text if start else text


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines of a log without reading all of it; none if there is no log."""
    try:
        with path.open("rb") as file:
            start, found = file.seek(0, 2), b""
            while start > 0 and found.count(b"\n") <= count:
                size = min(_PIECE, start)
                start -= size
                file.seek(start)
                found = file.read(size) + found
    except FileNotFoundError:
        return []
    return found.decode(errors="replace").splitlines()[-count:]
