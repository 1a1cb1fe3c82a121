"""The logs of a run from their first line, however long they are, in bounded memory."""

from collections.abc import Callable

from orchestrator.diagnose.signs import LogScan
from orchestrator.watch.logs import LogCursor
from orchestrator.workspace import RunFolder


def scan_logs(folder: RunFolder, on_read: Callable[[int], None] = lambda _: None) -> LogScan:
    """Look through every log of a run; `on_read` hears how many bytes have been read by now.

    A log that is still written counts as far as it goes.
    """
    scan, done = LogScan(), 0
    for attempt in folder.attempts():
        for path in attempt.logs():
            name = str(path.relative_to(folder.path))
            cursor = LogCursor()
            for _, text in cursor.read(path, ended=True):
                scan.feed(attempt.number, name, cursor.place, text)
                done += len(text)
                on_read(done)
    return scan
