"""A rehearsal as it goes on, on stderr, and what a start says of one."""

from typing import TYPE_CHECKING

from orchestrator.cli.console import err, note
from orchestrator.cli.views.rehearsal import step_line

if TYPE_CHECKING:
    from orchestrator.domain.rehearsal import Rehearsal, RehearsalStep


class Progress:
    """Tells of each stage that begins and of each step that has its result."""

    def begin(self, what: str) -> None:
        """A line for what begins now."""
        note(f"  … {what}")

    def end(self, step: "RehearsalStep") -> None:
        """A line for the result."""
        err().print(step_line(step))


def next_command(result: "Rehearsal") -> str:
    """What to do after a rehearsal."""
    if not result.failed:
        return f"exp ticket start {result.ticket}"
    first = result.failed[0]
    log = f"   less {first.log}" if first.log else ""
    return f"exp ticket rehearse {result.ticket}{log}"
