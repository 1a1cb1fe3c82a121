"""How far a long reading is, told on stderr now and then."""

import time
from collections.abc import Callable

from orchestrator.cli.console import note

_PAUSE = 2.0  # seconds: who waits less needs no telling


def log_progress() -> Callable[[str, int, int], None]:
    """A function to call with a run, the bytes of its logs that were read, and all of them."""
    due = time.monotonic() + _PAUSE

    def tell(run: str, done: int, total: int) -> None:
        nonlocal due
        if time.monotonic() >= due:
            due = time.monotonic() + _PAUSE
            note(f"{run}: read {done / 1e6:,.0f} of {total / 1e6:,.0f} MB of its logs")

    return tell
