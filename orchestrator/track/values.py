"""Metric values of any kind: what is not a plain number is looked at here, off the hot path."""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from orchestrator.track.lines import number, point_line, quoted
from orchestrator.track.warning import describe, warn_once


class Waiting:
    """A tensor on its way from the GPU; nobody waits for it until its copy has landed."""

    __slots__ = ("copy", "event")

    def __init__(self, tensor: Any) -> None:
        """Start the copy on the device's current stream; the event fires behind it."""
        cuda = sys.modules["torch"].cuda
        with cuda.device(tensor.device):
            self.copy = tensor.detach().to("cpu", non_blocking=True)
            self.event = cuda.Event()
            self.event.record()

    def landed(self) -> bool:
        """Whether `text` returns, or raises, without waiting."""
        try:
            return bool(self.event.query())
        except Exception:  # noqa: BLE001 - the device failed; `text` raises the same
            return True

    def text(self) -> str:
        """The value as JSON; raises whatever the device failed with."""
        self.event.synchronize()  # returns at once if landed; a failed device leaves garbage behind
        return number(self.copy.item())


Value = str | tuple[str, Waiting]  # `"name":value`, or the name and the tensor under way


class Queue:
    """Points in the order they were logged, of which the first still waits for a GPU."""

    __slots__ = ("_write", "waiting")

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self.waiting: deque[tuple[int, float, Sequence[Value]]] = deque()

    def add(self, step: int, now: float, values: Sequence[Value]) -> None:
        """Put a point at the end, and write from the front what can be written."""
        self.waiting.append((step, now, values))
        self.drain(0.0)

    def drain(self, seconds: float) -> None:
        """Write the points whose values have landed; wait up to `seconds` for the others.

        A point is taken out before it is looked at, so that threads need no lock between them.
        """
        deadline = time.monotonic() + seconds
        while self.waiting:
            point = self.waiting.popleft()
            if all(isinstance(value, str) or value[1].landed() for value in point[2]):
                self._write(point_line(point[0], point[1], self._texts(point[2])))
            else:
                self.waiting.appendleft(point)
                if time.monotonic() >= deadline:
                    break
                time.sleep(0.001)
        if seconds and self.waiting:
            warn_once("drain", f"{len(self.waiting)} points never arrived from the GPU")

    def _texts(self, values: Sequence[Value]) -> list[str]:
        texts = []
        for value in values:
            if isinstance(value, str):
                texts.append(value)
                continue
            try:
                texts.append(value[0] + value[1].text())
            except Exception as error:  # noqa: BLE001 - a failed device raises what it likes
                warn_once("device", f"a value was lost on its device: {describe(error)}")
        return texts


def flatten(data: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Name-value pairs of nested mappings, names joined by `/`."""
    for key, value in data.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from flatten(value, f"{name}/")
        else:
            yield name, value


def read_values(data: Mapping[Any, Any]) -> tuple[list[Value], dict[str, Any]]:
    """Split `data` into numbers and the rest, which is kept as text."""
    numbers: list[Value] = []
    rest: dict[str, Any] = {}
    for name, value in flatten(data):
        try:
            read = _read(value)
        except Exception:  # noqa: BLE001 - a foreign value may raise anything
            rest[name] = value
        else:
            label = quoted(name)
            numbers.append(label + read if isinstance(read, str) else (label, read))
    return numbers, rest


def _read(value: Any) -> str | Waiting:
    """One value as JSON, or the tensor that is still on a GPU.

    Raises:
        TypeError: it is no number; other errors come from the value's own code.
    """
    if isinstance(value, int | float):
        return number(value)
    if getattr(value, "is_cuda", False) and "torch" in sys.modules:
        if value.numel() != 1:
            raise TypeError("more than one value")
        return Waiting(value)
    item = value.item()
    if not isinstance(item, int | float):
        raise TypeError("no number")
    return number(item)
