"""Metric values of any kind: what is not a plain number is looked at here, off the hot path."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from typing import Any

from orchestrator.track.lines import number, quoted
from orchestrator.track.media import left_out
from orchestrator.track.queue import Arriving, Value, is_capturing
from orchestrator.track.warning import describe, warn_once

LONG = 1_000  # items of a logged list that are written out


def flatten(data: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Name-value pairs of nested mappings, names joined by `/`."""
    for key, value in data.items():
        name = prefix + (key if isinstance(key, str) else str(key))  # an Enum of texts is its text
        if isinstance(value, Mapping):
            yield from flatten(value, f"{name}/")
        else:
            yield name, value


def read_values(data: Mapping[Any, Any]) -> tuple[list[Value], dict[str, Any]]:
    """Split `data` into numbers and the rest, which is kept as text and warned of once a name.

    None, and a masked value, say that there is no value: they are in neither, nor is media.
    """
    numbers: list[Value] = []
    rest: dict[str, Any] = {}
    for name, value in flatten(data):
        try:
            read = _read(value)
        except Exception as error:  # noqa: BLE001 - a foreign value may raise anything
            if left_out(name, value):
                continue
            rest[name] = shown = _shown(value)
            kind = type(value).__name__ if shown is value else shown
            why = "" if isinstance(error, TypeError) else f"; {describe(error)}"
            warn_once(f"value {name}", f"{name!r} is no number ({kind}{why}); kept as a text event")
        else:
            if read is not None:
                label = quoted(name)
                numbers.append(label + read if isinstance(read, str) else (label, read))
    return numbers, rest


def _read(value: Any) -> str | Arriving | None:
    """One value as JSON, the tensor that is still on its way, or None if there is no value.

    Raises:
        TypeError: it is no number.
        ValueError: it is one, but not to be had here; other errors come from the value's own code.
    """
    if isinstance(value, int | float):
        return number(value)
    on_cpu = getattr(value, "is_cpu", None)  # only a tensor of torch knows
    if on_cpu is None:
        return _read_foreign(value)
    if hasattr(value, "placements"):
        value = _local_part(value)
    return number(value.item()) if value.is_cpu else _read_device(value)


def _read_foreign(value: Any) -> str | None:
    """Numpy's and other libraries' numbers, Decimal, Fraction."""
    if value is None:
        return None
    if type(value).__name__.startswith("Masked") and value.mask.all():
        return None  # numpy would give 0
    if hasattr(value, "item"):
        value = value.item()
    elif not hasattr(value, "__float__") and hasattr(value, "__array__"):
        value = value.__array__().item()
    if isinstance(value, str | bytes | bytearray):
        raise TypeError("a text")
    return number(value if isinstance(value, int) else float(value))


def _read_device(tensor: Any) -> str | Arriving:
    """A tensor on an accelerator: its copy is begun, and nobody waits for it.

    Where torch gives the device no events, for example on XLA, the value is read, which waits.
    """
    if tensor.numel() != 1:
        raise TypeError("more than one value")
    module: Any = getattr(sys.modules["torch"], tensor.device.type, None)
    if not hasattr(module, "Event"):
        return number(tensor.item())
    if is_capturing(module):
        raise ValueError("it has no value while a graph is captured")
    with module.device(tensor.device) if hasattr(module, "device") else nullcontext():
        copy = tensor.detach().to("cpu", non_blocking=True)
        event = module.Event()
        event.record()
    return Arriving(copy, event, module)


def _local_part(tensor: Any) -> Any:
    """The value of a DTensor as this rank has it; others have to talk to each other for it."""
    if not all(placement.is_replicate() for placement in tensor.placements):
        raise ValueError("it is spread over the ranks; log tensor.full_tensor() of all of them")
    return tensor.to_local()


def _shown(value: Any) -> Any:
    """What is kept of a value that is no number: of an array its shape, never its contents.

    To print a tensor would wait for its device.
    """
    try:
        if hasattr(value, "is_cpu") or (hasattr(value, "dtype") and tuple(value.shape)):
            return f"{type(value).__name__} of shape {tuple(value.shape)}, {value.dtype}"
        if isinstance(value, list | tuple | set | frozenset) and len(value) > LONG:
            return f"{type(value).__name__} of {len(value)} values"
    except Exception:  # noqa: BLE001 - a foreign value may raise anything
        return f"<{type(value).__name__}>"
    return value
