"""CSV with a header and JSON lines: one row or object a step."""

import csv
import json
from collections.abc import Iterable, Iterator
from typing import Any

from orchestrator.store.formats.found import Cursor, Found, Rules, broken
from orchestrator.store.formats.values import (
    as_number,
    as_step,
    as_wall_time,
    is_text,
    read_number,
    read_step,
)

# The first that is there names the step; an epoch stands for it where nothing else does.
STEPS = ("step", "global_step", "trainer/global_step", "_step", "iter", "iteration", "epoch")
TIMES = ("time", "timestamp", "_timestamp", "wall_time", "wall time")
_SEPARATORS = (",", "\t", ";")
_DEEPEST = 8  # nested objects


def decode_csv(cursor: Cursor, data: bytes | None, _rules: Rules) -> Iterator[Found]:
    """Rows below a header that names a step; without one the file is none of metrics.

    A line that looks like a header again (another attempt, another set of columns) is one.
    """
    for text in _lines(cursor, data):
        if text is None:
            yield broken(cursor.line)
            continue
        if not text.strip():
            continue
        cells = _cells(text, cursor.memory.get("separator"))
        header = cursor.memory.get("header")
        if header is None or _is_header(cells):
            header, separator = _header(text)
            cursor.memory.update(header=header, separator=separator)
        elif _place(header, STEPS) is not None:
            found = _row(cursor.line, header, cells)
            if found is not None:
                yield found


def _lines(cursor: Cursor, data: bytes | None) -> Iterator[str | None]:
    """Whole lines as text; None for one that is none, or too long."""
    if data is None:
        cursor.line += 1
        yield None
        return
    for line in data.split(b"\n")[:-1]:
        cursor.line += 1
        try:
            yield line.decode("utf-8-sig" if cursor.line == 1 else "utf-8").rstrip("\r")
        except UnicodeDecodeError:
            yield None


def _cells(text: str, separator: str | None) -> list[str]:
    if '"' not in text:
        return text.split(separator or ",")
    try:
        return next(csv.reader([text], delimiter=separator or ","), [])
    except csv.Error:
        return []


def _header(text: str) -> tuple[list[str], str]:
    """Column names, and what stands between them; no names where none is called as a step is."""
    for separator in _SEPARATORS:
        names = [cell.strip() for cell in _cells(text, separator)]
        if _place(names, STEPS) is not None:
            return names, separator
    return [], ","


def _is_header(cells: list[str]) -> bool:
    """Whether no cell is a number and one is called as a step is."""
    names = [cell.strip() for cell in cells]
    return _place(names, STEPS) is not None and all(read_number(name) is None for name in names)


def _place(header: list[str], names: Iterable[str]) -> int | None:
    lower = [name.casefold() for name in header]
    return next((lower.index(name) for name in names if name in lower), None)


def _row(line: int, header: list[str], cells: list[str]) -> Found | None:
    """The numbers of a row; text in a cell is no metric, an empty cell none at this step."""
    where, when = _place(header, STEPS), _place(header, TIMES)
    if len(cells) != len(header) or where is None:
        return broken(line)
    if not cells[where].strip():
        return None
    step = read_step(cells[where])
    if step is None:
        return broken(line)
    time = None if when is None else as_wall_time(read_number(cells[when]))
    metrics = {}
    for place, (name, cell) in enumerate(zip(header, cells, strict=True)):
        value = read_number(cell) if name and place != where else None
        if value is not None and not (place == when and time is not None):
            metrics[name] = value
    return Found(line, step, time, metrics) if metrics else None


def decode_jsonl(cursor: Cursor, data: bytes | None, _rules: Rules) -> Iterator[Found]:
    """Objects that name a step; those that do not are no measurements and are passed over."""
    for text in _lines(cursor, data):
        if text is not None and not text.strip():
            continue
        try:
            record = None if text is None else json.loads(text)
        except (ValueError, RecursionError):
            record = None
        if type(record) is not dict:
            yield broken(cursor.line)
        elif (found := _object(cursor.line, record)) is not None:
            yield found


def _object(line: int, record: dict[str, Any]) -> Found | None:
    key = next((name for name in STEPS if name in record), None)
    step = None if key is None else as_step(record[key])
    if step is None:
        return None
    when = next((name for name in TIMES if as_wall_time(record.get(name)) is not None), None)
    rest = {name: value for name, value in record.items() if name not in {key, when}}
    metrics = dict(_numbers(rest, "", 0))
    time = None if when is None else as_wall_time(record[when])
    return Found(line, step, time, metrics) if metrics else None


def _numbers(record: dict[str, Any], prefix: str, depth: int) -> Iterator[tuple[str, float]]:
    for name, value in record.items():
        if type(value) is dict:
            if depth < _DEEPEST:
                yield from _numbers(value, f"{prefix}{name}/", depth + 1)
            continue
        number = as_number(value)
        if number is not None and name and is_text(name):
            yield f"{prefix}{name}", number
