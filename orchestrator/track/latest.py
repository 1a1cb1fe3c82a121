"""What was logged last, read back from the file: `run.summary["loss"]` of a wandb program."""

import json
from collections.abc import Iterator
from pathlib import Path

from orchestrator.track.lines import quoted

BLOCK = 1 << 16
FARTHEST = 1 << 26  # bytes from the end; a name that is not there must not cost a minute


def last_value(path: Path, name: str) -> float | None:
    """The newest value of `name` in an event file, or None if there is none near its end.

    Raises:
        OSError: the file cannot be read.
    """
    mark = quoted(name).encode()
    for line in _backwards(path):
        if mark in line:
            value = json.loads(line).get("metrics", {}).get(name)
            if value is not None:
                return float(value) if isinstance(value, str) else value
    return None


def _backwards(path: Path) -> Iterator[bytes]:
    """Whole lines of a file, the last one first."""
    with path.open("rb") as file:
        at = file.seek(0, 2)
        least = max(0, at - FARTHEST)
        rest = b""
        while at > least:
            size = min(BLOCK, at - least)
            at -= size
            file.seek(at)
            rest, *lines = (file.read(size) + rest).split(b"\n")
            yield from reversed(lines)
        if not least:
            yield rest
