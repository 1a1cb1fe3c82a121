"""Points that wait for values on a device, in the order in which they were logged."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from threading import RLock
from typing import Any

from orchestrator.track.lines import number, point_line
from orchestrator.track.warning import describe, warn_once

MOST_WAITING = 1_000  # points; more than the launches that a CUDA device lets wait


class Arriving:
    """A value on its way from a device; nobody waits for it until its copy has landed."""

    __slots__ = ("copy", "event", "module")

    def __init__(self, copy: Any, event: Any, module: Any) -> None:
        """`copy` is a tensor of one element on the CPU; `event` fires when it is filled."""
        self.copy = copy
        self.event = event
        self.module = module

    def landed(self) -> bool:
        """Whether `text` returns, or raises, without waiting."""
        try:
            return not is_capturing(self.module) and bool(self.event.query())
        except Exception:  # noqa: BLE001 - the device failed; `text` raises the same
            return True

    def text(self) -> str:
        """The value as JSON; raises whatever the device failed with."""
        self.event.synchronize()  # returns at once if landed; a failed device leaves garbage behind
        return number(self.copy.item())


Value = str | tuple[str, Arriving]  # `"name":value`, or the name and the value under way
Point = tuple[int, float, Sequence[Value]]


class Queue:
    """Points of which the first still waits for a device; those behind it keep their order."""

    __slots__ = ("_lock", "_write", "waiting")

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self.forget()

    def forget(self) -> None:
        """Begin empty: in a forked child what waits is the parent's."""
        self.waiting: deque[Point] = deque()
        self._lock = RLock()

    def add(self, step: int, now: float, values: Sequence[Value]) -> None:
        """Put a point at the end, and write from the front what can be written.

        At most MOST_WAITING points wait: with more, the first goes out without what has not landed.
        """
        self.waiting.append((step, now, values))
        self.drain()

    def drain(self, seconds: float = 0.0, *, last: bool = False) -> None:
        """Write the points whose values have landed; wait up to `seconds` for the others.

        With `last`, what has not landed by then is given up, and the rest of its point is written.
        """
        deadline = time.monotonic() + seconds
        if not self._lock.acquire(timeout=seconds):
            return  # another thread is at it
        try:
            while self.waiting:
                point = self.waiting[0]
                late = time.monotonic() >= deadline
                if not (len(self.waiting) > MOST_WAITING or (last and late) or _landed(point)):
                    if late:
                        return
                    time.sleep(0.001)
                elif self.waiting and self.waiting[0] is point:  # else a signal handler wrote it
                    self.waiting.popleft()
                    self._write(point_line(point[0], point[1], _texts(point[2])))
        finally:
            self._lock.release()


def is_capturing(module: Any) -> bool:
    """Whether a graph is being captured, which any question to the device would spoil."""
    asked = getattr(module, "is_current_stream_capturing", None)
    return asked is not None and bool(asked())


def _landed(point: Point) -> bool:
    return all(isinstance(value, str) or value[1].landed() for value in point[2])


def _texts(values: Sequence[Value]) -> list[str]:
    texts = []
    for value in values:
        if isinstance(value, str):
            texts.append(value)
        elif not value[1].landed():
            warn_once("late", f"a value never came from its device: {value[0]}")
        else:
            try:
                texts.append(value[0] + value[1].text())
            except Exception as error:  # noqa: BLE001 - a failed device raises what it likes
                warn_once("device", f"a value was lost on its device: {describe(error)}")
    return texts
