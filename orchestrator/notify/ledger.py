"""notices.jsonl of a run: what is to be told, then what came of it. One writer, the watcher.

A line before a notice is sent, and one after each try: a watcher that is killed in between leaves
a notice that is open, and the next one sends it again under the same key.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from orchestrator.codec import decode
from orchestrator.domain.notice import Notice
from orchestrator.errors import InvalidFileError

SENT = "sent"  # what a channel that took a notice has said


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A notice and how far it is: tries so far, channels that took it, whether it is done with."""

    notice: Notice
    tries: int = 0
    sent: frozenset[str] = frozenset()
    done: bool = False


class Ledger:
    """The notices of one run, read once and appended to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.told = {told.notice.key: told for told in read_ledger(path)}

    def plan(self, notice: Notice) -> None:
        """Write down that a notice is to be sent; on the disk when this returns.

        Raises:
            OSError: it could not be written; the notice is known all the same.
        """
        self.told[notice.key] = Told(notice=notice)
        self._append({"notice": asdict(notice)})

    def record(self, key: str, *, now: float, channels: dict[str, str], done: bool) -> None:
        """Write down a try: what each channel said, "sent" where it took the notice.

        Raises:
            OSError: it could not be written.
        """
        line = {"key": key, "time": now, "channels": channels, "done": done}
        self.told[key] = _after(self.told[key], line)
        self._append(line)

    def open(self) -> list[Told]:
        """Notices that are still to be sent."""
        return [told for told in self.told.values() if not told.done]

    def _append(self, line: dict[str, Any]) -> None:
        with self._path.open("ab+") as file:
            # A line that a power cut tore must not swallow the next one.
            end = file.seek(0, os.SEEK_END)
            torn = end > 0 and os.pread(file.fileno(), 1, end - 1) != b"\n"
            file.write((b"\n" if torn else b"") + json.dumps(line).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


def read_ledger(path: Path) -> list[Told]:
    """Every notice of a run, oldest first; lines that nobody can read are skipped."""
    told: dict[str, Told] = {}
    for line in _lines(path):
        try:
            if "notice" in line:
                notice = decode(Notice, line["notice"], source=str(path))
                told.setdefault(notice.key, Told(notice=notice))
            elif line["key"] in told:
                told[line["key"]] = _after(told[line["key"]], line)
        except (InvalidFileError, KeyError, TypeError, AttributeError):
            continue
    return list(told.values())


def _after(told: Told, line: dict[str, Any]) -> Told:
    took = {name for name, said in line["channels"].items() if said == SENT}
    return Told(
        notice=told.notice,
        tries=told.tries + 1,
        sent=told.sent | took,
        done=bool(line["done"]),
    )


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return
    for text in data.splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict):
            yield line
