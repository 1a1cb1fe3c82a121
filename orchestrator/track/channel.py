"""An append-only file with one writer: a line is in the kernel when `write` returns."""

import errno
import fcntl
import os
import time
from collections import deque
from pathlib import Path
from threading import RLock

from orchestrator.track.lines import event_line
from orchestrator.track.warning import describe, harmless, warn_once

CLOSED = -1
HIGH_DESCRIPTOR = 200
LOOK = 1.0  # seconds between looks whether the file is still there and still ours
RETRY = 0.2  # seconds that a failing disk is left alone
KEPT = 1 << 20  # bytes of lines that wait in memory for a disk that fails
LOCK_WAIT = 1.0  # seconds; a thread holds the lock for the length of a few writes

_clock = time.monotonic


class Channel:
    """The event file of this process; after a fork the child opens a file of its own.

    Every process has its own file, and a whole line goes out in one `os.write` to a descriptor
    opened with O_APPEND, so threads and signal handlers do not mix and need no lock. Only when that
    fails (first line, full disk, closed descriptor, deleted file) lines wait in memory, in order,
    and one thread at a time writes them: soon, or as soon as they fit.
    """

    __slots__ = (
        "_begun",
        "_bytes",
        "_descriptor",
        "_file",
        "_folder",
        "_lock",
        "_look",
        "_prefix",
        "_retry",
        "_waiting",
        "_writing",
        "ended",
        "lost",
    )

    def __init__(self, folder: Path, prefix: str) -> None:
        self._folder = folder
        self._prefix = prefix
        self._descriptor = CLOSED
        self.ended = False  # the run is finished; a line that comes now is kept, and warned of
        self.forget()

    @property
    def path(self) -> Path:
        """The file of the calling process."""
        return self._folder / f"{self._prefix}-{os.getpid()}.jsonl"

    def write(self, line: str) -> None:
        """Append `line`, which ends in a newline; a failure is warned of once, never raised."""
        data = line.encode()
        written = 0
        if not self._waiting and _clock() < self._look:
            try:
                written = os.write(self._descriptor, data)
            except OSError:
                written = 0
            if written == len(data):
                return
        self._write_slowly(data[written:], begun=written > 0)

    def forget(self) -> None:
        """Leave the parent's file and its waiting lines to the parent; called in a forked child."""
        self._release()
        self._waiting: deque[bytes] = deque()
        self._lock = RLock()
        self._begun = self._writing = False
        self._bytes = self.lost = 0
        self._file = (0, 0)
        self._look = self._retry = 0.0

    def close(self) -> None:
        """Try once more to write what waits, then close; a later write opens the file again."""
        self._retry = 0.0
        if self._waiting:
            self._write_slowly(b"")
        if self._waiting:
            warn_once("close", f"{len(self._waiting) + self.lost} lines were lost, {self.path}")
        self._release()
        self._look = 0.0

    @harmless
    def _write_slowly(self, data: bytes, *, begun: bool = False) -> None:
        if self.ended:
            warn_once("ended", "something was logged after finish(); it is kept")
        if not self._lock.acquire(timeout=LOCK_WAIT):
            self._keep(data)  # whoever holds the lock hangs in a write; this line goes out after it
            return
        try:
            self._keep(data, begun=begun)
            if self._writing:
                return  # a signal handler inside the loop below, which takes this line along
            while self._waiting:
                self._writing = True
                try:
                    if not self._write_waiting():
                        break
                finally:
                    self._writing = False
        finally:
            self._lock.release()

    def _keep(self, data: bytes, *, begun: bool = False) -> None:
        """Put a line behind those that wait; the rest of a line that was cut off goes first.

        What does not fit into memory pushes the oldest out, but never the first, which may be half
        written.
        """
        if begun:
            self._waiting.appendleft(data)
            self._begun = True
        elif data:
            self._waiting.append(data)
        self._bytes += len(data)
        while self._bytes > KEPT and len(self._waiting) > 2:
            self._bytes -= len(self._waiting[1])
            del self._waiting[1]
            self.lost += 1

    def _write_waiting(self) -> bool:
        """Write the waiting lines, first to last; False if the rest must wait for another time."""
        now = _clock()
        if now < self._retry:
            return False
        try:
            self._ensure_file(now)
            while self._waiting:
                self._write_first()
                if self.lost and not self._begun:
                    event = event_line("lost", time.time(), None, {"lines": self.lost}).encode()
                    self._waiting.appendleft(event)
                    self._bytes, self.lost = self._bytes + len(event), 0
        except OSError as error:
            self._retry = now + RETRY
            if error.errno == errno.EBADF:
                self._descriptor = CLOSED  # closed by the program while we wrote
            warn_once("write", f"points wait in memory, {self.path}: {describe(error)}")
            return False
        return True

    def _write_first(self) -> None:
        data = self._waiting[0]
        written = os.write(self._descriptor, data)
        self._bytes -= written
        if written == len(data):
            self._waiting.popleft()
            self._begun = False
        else:
            self._waiting[0] = data[written:]
            self._begun = True

    def _ensure_file(self, now: float) -> None:
        """Open the file unless it is open, there, and ours.

        Raises:
            OSError: it cannot be opened, for example because its folder was deleted.
        """
        if self._descriptor != CLOSED:
            try:
                about = os.fstat(self._descriptor)
            except OSError:
                self._descriptor = CLOSED  # closed by the program
            else:
                if (about.st_dev, about.st_ino) != self._file:
                    self._descriptor = CLOSED  # closed, and the number is another file's by now
                elif about.st_nlink == 0:
                    warn_once("deleted", f"{self.path} was deleted, with the points in it")
                    self._release()
        if self._descriptor == CLOSED:
            self._open()
        self._look = now + LOOK

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self.path, flags, 0o666)
        try:
            # A high number: a program that closes descriptors wholesale and opens files again gets
            # the lowest free ones, so it never receives our lines in a file of its own.
            high = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, HIGH_DESCRIPTOR)
        except OSError:
            high = descriptor
        else:
            os.close(descriptor)
        about = os.fstat(high)
        self._descriptor, self._file = high, (about.st_dev, about.st_ino)
        # Somebody with our pid may have been killed in the middle of a line.
        torn = about.st_size and os.pread(high, 1, about.st_size - 1) != b"\n"
        if torn and not self._begun:
            self._waiting.appendleft(b"\n")
            self._bytes += 1

    def _release(self) -> None:
        descriptor, self._descriptor = self._descriptor, CLOSED
        if descriptor != CLOSED:
            try:
                os.close(descriptor)
            except OSError:
                return  # the program closed it itself
