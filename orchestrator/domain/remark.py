"""What people say of a ticket in their own words; nothing of it is drafted by the tool."""

from dataclasses import dataclass
from enum import StrEnum


class RemarkKind(StrEnum):
    """What a remark is: where a report puts it depends on that."""

    NOTE = "note"
    CAUSE = "cause"
    LESSON = "lesson"
    DECISION = "decision"
    RISK = "risk"
    CONFIDENCE = "confidence"
    NEXT = "next"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """What `by` (`Ada <ada@example.org>`) said at `time`, in seconds since 1970, whole ones.

    `run` is the run that it is about, None if it is about the ticket. `text` may have many lines.
    """

    kind: RemarkKind
    by: str
    time: float
    text: str
    run: str | None = None
