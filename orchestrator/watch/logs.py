"""What is new in a log, in bounded pieces, whatever others do to the file meanwhile."""

import os
from collections.abc import Iterator
from pathlib import Path

PIECES = 16  # of a log each tick at most, so that one run cannot hold up the others
_PIECE = 1 << 20  # bytes read at once
_LONGEST = 1 << 16  # a line without any end is cut after this many bytes
_MARK = 64  # bytes before the offset that tell whether the file still is what was read
_TAIL_LIMIT = 4 << 20  # bytes looked through for the last lines


class LogCursor:
    """How far a log has been read. Text counts once its line has ended, by newline or return.

    A file that was cut short or replaced (`copytruncate` of logrotate) is read from its start.
    `behind` says that the last `read` left whole pieces for the next one, `grown` that the file
    had more bytes than at the read before. `place` is the number of the line in which the piece
    begins that was given last, if carriage returns end lines, too.
    """

    def __init__(self) -> None:
        self._offset = 0
        self._next_line = 1
        self._next_place = 1
        self._mark = b""
        self._size = 0
        self._stamp: tuple[int, int, int] | None = None
        self.behind = False
        self.grown = False
        self.place = 1

    def read(
        self, path: Path, *, ended: bool, pieces: int | None = None
    ) -> Iterator[tuple[int, str]]:
        """Yield (number of the first line, text of whole lines), at most so many pieces.

        With `ended` a last line without its end, too: nobody will finish it.
        """
        self.grown = False
        try:
            status = path.stat()
            stamp = status.st_ino, status.st_mtime_ns, status.st_size
            if stamp == self._stamp and not self.behind and not ended:
                return
            self.behind = False
            self._stamp = stamp
            with path.open("rb") as file:
                self._check(file.fileno())
                while (text := self._next_piece(file.fileno(), ended=ended)) and pieces != 0:
                    first = self._next_line
                    self._offset += len(text)
                    self.place = self._next_place
                    self._next_line += text.count(b"\n")
                    self._next_place += text.count(b"\n") + text.count(b"\r")
                    self._mark = (self._mark + text[-_MARK:])[-_MARK:]
                    pieces = None if pieces is None else pieces - 1
                    yield first, text.decode(errors="replace")
                self.behind = bool(text)
        except FileNotFoundError:
            return

    def _check(self, descriptor: int) -> None:
        """Begin anew if the file is not the one that was read."""
        size = os.fstat(descriptor).st_size
        self.grown, self._size = size != self._size, size
        start = self._offset - len(self._mark)
        if os.pread(descriptor, len(self._mark), start) != self._mark:
            self._offset, self._next_line, self._next_place, self._mark = 0, 1, 1, b""

    def _next_piece(self, descriptor: int, *, ended: bool) -> bytes:
        data = os.pread(descriptor, _PIECE, self._offset)
        end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        if end == 0 and len(data) >= _LONGEST:
            return data[:_LONGEST]
        return data if ended and len(data) < _PIECE else data[:end]


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
            while start > 0 and found.count(b"\n") <= count and len(found) < _TAIL_LIMIT:
                size = min(_PIECE, start)
                start -= size
                file.seek(start)
                found = file.read(size) + found
    except FileNotFoundError:
        return []
    return found.decode(errors="replace").splitlines()[-count:]
