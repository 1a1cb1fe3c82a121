"""The points around the one that decided, from the file where they stand."""

import json
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from orchestrator.domain.criterion import Evidence
from orchestrator.workspace import RunFolder

_AROUND = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class NearPoint:
    """A point as it stands in its file; `decides` marks the one that the verdict rests on."""

    series: str
    step: int | None
    value: float | str
    source: str
    line: int
    decides: bool


def points_around(
    folder: RunFolder, evidence: Evidence | None, series: Collection[str]
) -> tuple[NearPoint, ...]:
    """Two points of the deciding series before the evidence, it, and two after it, in file order.

    Empty if the evidence is no point, or its file is gone.
    """
    if evidence is None or evidence.source is None or evidence.line is None:
        return ()
    path = folder.path / evidence.source
    if path.suffix != ".jsonl" or not path.resolve().is_relative_to(folder.path.resolve()):
        return ()
    try:
        name = _series_at(path, evidence.line, series)
        if name is None:
            return ()
        return tuple(_around(_points(path, evidence.source, name), evidence.line))
    except FileNotFoundError:
        return ()


def _series_at(path: Path, line: int, series: Collection[str]) -> str | None:
    """Which of the series has a point on a line."""
    with path.open("rb") as file:
        metrics = _record(next(islice(file, line - 1, None), b"")).get("metrics")
    return next((name for name in series if isinstance(metrics, dict) and name in metrics), None)


def _around(points: Iterator[NearPoint], line: int) -> Iterator[NearPoint]:
    before: deque[NearPoint] = deque(maxlen=_AROUND)
    for point in points:
        if point.line >= line:
            yield from before
            yield replace(point, decides=True)
            yield from islice(points, _AROUND)
            return
        before.append(point)


def _points(path: Path, source: str, name: str) -> Iterator[NearPoint]:
    """Points of a series; a line is parsed only if it can hold one."""
    spellings = {json.dumps(name).encode(), json.dumps(name, ensure_ascii=False).encode()}
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            if not any(spelling in raw for spelling in spellings):
                continue
            record = _record(raw)
            metrics = record.get("metrics")
            if isinstance(metrics, dict) and name in metrics:
                value, step = metrics[name], record.get("step")
                yield NearPoint(
                    series=name, step=step, value=value, source=source, line=number, decides=False
                )


def _record(raw: bytes) -> dict[str, Any]:
    """A line as an object; one that was cut off is an empty one."""
    try:
        record = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}
