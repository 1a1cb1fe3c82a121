"""A ticket as people wrote it: free text is kept, known words have names here."""

from dataclasses import dataclass
from enum import StrEnum


class TicketStatus(StrEnum):
    """Words that `**Status**` may hold."""

    IDEA = "IDEA"
    READY = "READY"
    ONGOING = "ONGOING"
    BLOCKED = "BLOCKED"
    DONE = "DONE"
    FAILED = "FAILED"


class TicketPhase(StrEnum):
    """Words that `**Phase**` may hold, only while ONGOING."""

    PLANNING = "PLANNING"
    TESTING_RED = "TESTING_RED"
    IMPLEMENTING = "IMPLEMENTING"
    TESTING_GREEN = "TESTING_GREEN"
    REFACTORING = "REFACTORING"
    DEBUGGING = "DEBUGGING"
    VERIFYING = "VERIFYING"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkbox:
    """A `- [ ]` line: `text` is what stands after the box, with the person's notes.

    `key` is stable over edits of the box: the text and, for repeated texts, its occurrence.
    `heading` is the nearest heading above, `section` the nearest `##` one; `line` counts from 1.
    A row of a table that states a condition is one too, with no box that could be ticked.
    """

    key: str
    text: str
    checked: bool
    section: str
    heading: str
    line: int
    tickable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """One ticket file. `status` and `phase` hold whatever is written there."""

    id: str
    title: str
    path: str
    status: str
    phase: str
    after: tuple[str, ...]
    before: tuple[str, ...]
    experiment: str | None
    checkboxes: tuple[Checkbox, ...]
    blob: str
