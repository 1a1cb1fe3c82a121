"""What a decoder gives, and what it may remember."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Found(NamedTuple):
    """The values of one line or record; `time` is None where it names none.

    `metrics` is None for one that could not be read.
    """

    line: int
    step: int
    time: float | None
    metrics: dict[str, float] | None


def broken(line: int) -> Found:
    """A line or record that could not be read."""
    return Found(line, 0, None, None)


@dataclass(slots=True)
class Cursor:
    """Where a decoder stands in a file between two bites.

    `line` counts lines or records; `memory` is plain JSON, stored with the rows of each bite, and
    all that a decoder knows of what came before.
    """

    line: int = 0
    memory: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How the files of a run are read: fixed at its launch.

    `patterns` are a spec's own regular expressions for lines of a log, `planned` the planned steps;
    `many` says that several processes write to one log.
    """

    patterns: tuple[str, ...] = ()
    planned: int | None = None
    many: bool = False
