"""One JSON object a line: points by hand on the hot path, events through the json encoder."""

import json
from collections.abc import Mapping
from typing import Any

MAX_DEPTH = 12
MAX_TEXT = 10_000
LARGEST = 1 << 1023  # beyond it a reader's float overflows

_quoted: dict[str, str] = {}


def quoted(key: Any) -> str:
    """`key` as JSON text with its colon, remembered because metric names repeat.

    Names that are no text (`{0: 0.9}`, one a class) become one: `"0":`.
    """
    text = _quoted.get(key)
    if text is None:
        key = key if isinstance(key, str) else str(key)
        text = json.dumps(key) + ":"
        if len(_quoted) < 10_000:
            _quoted[key] = text
    return text


def number(value: float) -> str:
    """A number as JSON; `repr` round-trips every finite float exactly.

    What a float cannot hold becomes one of the strings "NaN", "Infinity" and "-Infinity".
    """
    if isinstance(value, int):
        if -LARGEST < value < LARGEST:
            return repr(int(value))  # bool too: a point is a number
        return '"Infinity"' if value > 0 else '"-Infinity"'
    value = float(value)
    if value - value == 0:
        return float.__repr__(value)
    return '"NaN"' if value != value else '"Infinity"' if value > 0 else '"-Infinity"'  # noqa: PLR0124 - NaN differs from itself


def point_line(step: int, now: float, texts: list[str]) -> str:
    """The line of one `log` call from its `"name":value` texts."""
    return f'{{"step":{step},"time":{now!r},"metrics":{{{",".join(texts)}}}}}\n'


def event_line(name: str, now: float, step: int | None, data: Mapping[str, Any]) -> str:
    """The line of an event; data that JSON cannot hold become text."""
    record = {"event": name, "time": now, "step": step, "data": plain(data)}
    return json.dumps(record, separators=(",", ":")) + "\n"


def plain(value: Any, depth: int = 0) -> Any:
    """Turn `value` into what JSON can hold: numpy scalars to numbers, objects to text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return _plain_number(value)
    if depth < MAX_DEPTH and isinstance(value, Mapping):
        return {str(key): plain(item, depth + 1) for key, item in value.items()}
    if depth < MAX_DEPTH and isinstance(value, list | tuple | set | frozenset):
        return [plain(item, depth + 1) for item in value]
    return _plain_object(value)


def _plain_number(value: float) -> Any:
    return json.loads(number(value))


def _plain_object(value: Any) -> Any:
    try:
        item = value.item() if hasattr(value, "item") else value
        if isinstance(item, int | float):
            return _plain_number(item)
    except Exception:  # noqa: BLE001 - a foreign object may raise anything; its text is the fallback
        return _text(value)
    return _text(value)


def _text(value: Any) -> str:
    try:
        return str(value)[:MAX_TEXT]
    except Exception:  # noqa: BLE001 - a broken __str__ is no reason to stop training
        return f"<{type(value).__name__}>"
