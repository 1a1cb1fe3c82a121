"""Points and events: what training wrote, with the place where it stands."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Position:
    """Where a record stands in its run; the order is the same whatever the order of ingest.

    `segment` counts how often a file went back to an earlier step of the same metric (a replay
    after a roll-back); `source` is the file relative to the run folder and `line` counts from 1.
    """

    attempt: int
    segment: int
    step: int
    time: float
    source: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One value of one metric; NaN and infinities are values, not gaps."""

    metric: str
    value: float
    at: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A typed fact with a time: phase, checkpoint, config, summary, metric, alert, finish."""

    name: str
    data: dict[str, Any] = field(default_factory=dict)
    at: Position
