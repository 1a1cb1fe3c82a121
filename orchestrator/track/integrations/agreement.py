"""All ranks of a training stop at the same step, or those that go on wait for ever."""

import time
from collections.abc import Callable

BETWEEN = 2.0  # seconds between two questions, roughly
Plan = tuple[bool, int]  # stop now, else ask again after so many steps


class Agreement:
    """Rank 0 decides about the end and tells the others; asked every step, it rarely talks.

    `share` gives every rank what rank 0 passed to it. Rank 0 also says how many steps on the next
    question comes, so that all ranks share at the same steps and none waits in vain.
    """

    def __init__(self) -> None:
        self._wait = 0
        self._steps = 0
        self._asked = time.monotonic()

    def stops(self, asked: bool, share: Callable[[Plan], Plan] | None) -> bool:
        """Whether to stop after this step; `share` is None where one process trains."""
        if share is None:
            return asked
        self._steps += 1
        if self._steps < self._wait:
            return False
        now = time.monotonic()
        pace = (now - self._asked) / self._steps
        stop, self._wait = share((asked, max(1, int(BETWEEN / max(pace, 1e-6)))))
        self._steps, self._asked = 0, now
        return stop
