"""A notice: what a person is told when nobody looks at the screen."""

from dataclasses import dataclass
from enum import StrEnum


class NoticeKind(StrEnum):
    """Why a person is told."""

    CRASH = "crash"  # a run failed or was lost
    INCOMPLETE = "incomplete"  # it ended with fewer steps than planned, or without its evaluation
    DECIDED = "decided"  # nothing that is required can change any more, or the run completed
    HANG = "hang"  # no progress for much longer than ever before in this phase
    BUDGET = "budget"  # a budget or time limit is used up, or nearly so
    PERSON = "person"  # something waits for a person
    ALERT = "alert"  # the program called for attention, or an alarm of the ticket is true
    FINDING = "finding"  # something is wrong with a run, with evidence and arithmetic
    DISK = "disk"  # little space is left where the run writes


class NoticeLevel(StrEnum):
    """How loud."""

    INFO = "info"
    WARN = "warn"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One message; `key` is the same whenever the same thing is told again.

    `workspace` is the name of the workspace's folder. `run` and `ticket` are None where a notice
    speaks of several. `title` is one line, `text` a few; neither holds secrets or home folders.
    """

    key: str
    kind: NoticeKind
    level: NoticeLevel
    workspace: str
    run: str | None
    ticket: str | None
    title: str
    text: str
    time: float
