"""Metric values of any kind: what is not a plain number is looked at here, off the hot path."""

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.track.lines import number, quoted


class Waiting:
    """A tensor on its way from the GPU; nobody waits for it until its copy has landed."""

    __slots__ = ("copy", "event")

    def __init__(self, tensor: Any) -> None:
        """Start the copy on the tensor's own stream; the event fires behind it."""
        cuda = sys.modules["torch"].cuda
        with cuda.device(tensor.device):
            self.copy = tensor.detach().to("cpu", non_blocking=True)
            self.event = cuda.Event()
            self.event.record()

    def landed(self) -> bool:
        """Whether the value can be read without waiting."""
        return bool(self.event.query())

    def text(self) -> str:
        """The value as JSON, once landed."""
        return number(self.copy.item())


Value = str | Waiting


def flatten(data: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Name-value pairs of nested mappings, names joined by `/`."""
    for key, value in data.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from flatten(value, f"{name}/")
        else:
            yield name, value


def read_values(data: Mapping[Any, Any]) -> tuple[list[tuple[str, Value]], dict[str, Any]]:
    """Split `data` into numbers, as (`"name":`, JSON or a tensor under way), and the rest."""
    numbers: list[tuple[str, Value]] = []
    rest: dict[str, Any] = {}
    for name, value in flatten(data):
        try:
            numbers.append((quoted(name), _read(value)))
        except Exception:  # noqa: BLE001 - a foreign value may raise anything; it is kept as text
            rest[name] = value
    return numbers, rest


def _read(value: Any) -> Value:
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
