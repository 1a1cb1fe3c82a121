"""An append-only file with one writer: a line is in the kernel when `write` returns."""

import fcntl
import os
import time
from pathlib import Path

from orchestrator.track.lines import event_line
from orchestrator.track.warning import describe, warn_once

CLOSED = -1
HIGH_DESCRIPTOR = 200


class Channel:
    """The event file of this process; after a fork the child opens a file of its own.

    No lock is needed: every process has its own file, and a whole line goes out in one `os.write`
    to a descriptor opened with O_APPEND, so threads do not mix either.
    """

    __slots__ = ("_descriptor", "_folder", "_prefix", "_torn", "lost")

    def __init__(self, folder: Path, prefix: str) -> None:
        self._folder = folder
        self._prefix = prefix
        self._descriptor = CLOSED
        self._torn = False
        self.lost = 0

    @property
    def path(self) -> Path:
        """The file of the calling process."""
        return self._folder / f"{self._prefix}-{os.getpid()}.jsonl"

    def write(self, line: str) -> None:
        """Append `line`, which ends in a newline; a failure is warned of once and counted."""
        data = line.encode()
        try:
            written = os.write(self._descriptor, data)
        except OSError:
            self._write_slowly(data)
        else:
            if written != len(data):
                self._torn = True
                self._write_slowly(data[written:], resume=True)

    def forget(self) -> None:
        """Leave the parent's file to the parent; called in a forked child."""
        self.close()
        self._torn = False
        self.lost = 0

    def close(self) -> None:
        """Close the file; a later write opens it again."""
        descriptor, self._descriptor = self._descriptor, CLOSED
        if descriptor != CLOSED:
            try:
                os.close(descriptor)
            except OSError:
                return  # the program closed it itself

    def _write_slowly(self, data: bytes, *, resume: bool = False) -> None:
        """First write, a descriptor the program closed under us, or a disk that just filled up."""
        try:
            self._reopen()
            if self._torn and not resume:
                data = b"\n" + data  # what the full disk cut off stays one broken line
            if self.lost and not resume:
                data += event_line("lost", time.time(), None, {"lines": self.lost}).encode()
            while data:
                data = data[os.write(self._descriptor, data) :]
                self._torn = bool(data)
            self.lost = 0
        except OSError as error:
            self.lost += 1
            self.close()  # so that the next line comes here too, and starts on a line of its own
            warn_once("write", f"points are being lost, {self.path}: {describe(error)}")

    def _reopen(self) -> None:
        self.close()
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        low = os.open(self.path, flags, 0o666)
        try:
            # A high number: a program that closes descriptors wholesale and opens files again gets
            # the lowest free ones, so it never receives our lines in a file of its own.
            self._descriptor = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, HIGH_DESCRIPTOR)
        except OSError:
            self._descriptor = low
        else:
            os.close(low)
