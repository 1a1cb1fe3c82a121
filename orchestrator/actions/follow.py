"""Reading a run's log while it is written, until the run's end is written down."""

import time
from codecs import getincrementaldecoder
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from orchestrator.domain.run import RunRecord, RunStatus
from orchestrator.errors import NotFoundError
from orchestrator.watch.daemon import watcher_keeper
from orchestrator.watch.lifecycle import read_run
from orchestrator.watch.live import state_of
from orchestrator.watch.logs import last_lines
from orchestrator.workspace import AttemptFolder, RunFolder, Workspace

_POLL = 0.2  # seconds between two looks at a live log
_CHUNK = 1 << 20
_PUBLISH_LIMIT = 60.0  # seconds from a run's end until its report and commit must be there


def require_record(folder: RunFolder) -> RunRecord:
    """run.json of a run that has one.

    Raises:
        NotFoundError: the launch died before it wrote it.
    """
    record = read_run(folder)
    if record is None:
        raise NotFoundError(
            f"{folder.path} holds no run.json: its launch died", hint="exp run list"
        )
    return record


def log_lines(
    folder: RunFolder, *, attempt: int | None = None, last: int | None = None
) -> Iterator[str]:
    """The log of one attempt (default: the newest), whole or its `last` lines, piece by piece.

    What was moved away by rotation comes first. Returns that end no line end one here.

    Raises:
        NotFoundError: there is no such attempt, or it has no log.
    """
    attempts = folder.attempts()
    chosen = folder.attempt(attempt) if attempt else (attempts[-1] if attempts else None)
    if chosen is None or not chosen.path.is_dir():
        raise NotFoundError(
            f"{folder.id} has no attempt {attempt or 1}", hint=f"exp run show {folder.id}"
        )
    logs = chosen.logs()
    if not logs:
        raise NotFoundError(
            f"{folder.id} has no log: nothing of it was started by exp, or not yet",
            hint=f"exp run show {folder.id}",
        )
    if last is None:
        for log in logs:
            with log.open(errors="replace") as file:
                while piece := file.read(_CHUNK):
                    yield piece
        return
    lines: list[str] = []
    for log in reversed(logs):
        lines = last_lines(log, last - len(lines)) + lines
        if len(lines) == last:
            break
    yield from (f"{line}\n" for line in lines)


def follow_log(workspace: Workspace, folder: RunFolder, *, first: int = 1) -> Iterator[str]:
    """Yield the log as it grows, over all attempts from the `first`, until the run has ended.

    While nothing is new it yields an empty text a few times a second.
    """
    readers: dict[int, _Growing] = {}
    record = require_record(folder)
    keep_watcher = watcher_keeper(workspace)
    while True:
        ended = state_of(folder, record).status is RunStatus.ENDED
        keep_watcher()
        grown = False
        for attempt in folder.attempts()[first - 1 :]:
            reader = readers.setdefault(attempt.number, _Growing(attempt))
            for text in reader.read():
                grown = True
                yield text
        if ended:
            return
        if not grown:
            yield ""
            time.sleep(_POLL)


class _Growing:
    """What is new in an attempt's log; characters that are cut in two between reads come out whole.

    The programs go on writing to the files that were there first, whatever these are called by now;
    those that rotation makes later are copies, or empty.
    """

    def __init__(self, attempt: AttemptFolder) -> None:
        self._attempt = attempt
        self._offsets: dict[int, int] = {}  # by inode
        self._decoder = getincrementaldecoder("utf-8")(errors="replace")

    def read(self) -> Iterator[str]:
        with suppress(FileNotFoundError):  # renamed just now: the next look finds it
            logs = {path.stat().st_ino: path for path in self._attempt.logs()}
            self._offsets = self._offsets or dict.fromkeys(logs, 0)
            for inode, path in logs.items():
                if inode in self._offsets:
                    yield from self._rest(inode, path)

    def _rest(self, inode: int, path: Path) -> Iterator[str]:
        with path.open("rb") as file:
            if file.seek(0, 2) < self._offsets[inode]:
                self._offsets[inode] = 0  # cut by somebody
            file.seek(self._offsets[inode])
            while data := file.read(_CHUNK):
                self._offsets[inode] += len(data)
                yield self._decoder.decode(data)


def wait_until_published(workspace: Workspace, folder: RunFolder) -> bool:
    """Wait until the watcher has written down the end of a run; False if that does not come."""
    deadline = time.monotonic() + _PUBLISH_LIMIT
    keep_watcher = watcher_keeper(workspace)
    while not folder.published_file.exists():
        if time.monotonic() > deadline:
            return False
        keep_watcher()
        time.sleep(_POLL)
    return True
