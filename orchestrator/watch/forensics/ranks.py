"""The last that each rank wrote, and which of them failed first."""

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from math import inf
from pathlib import Path
from typing import Any

from orchestrator.diagnose.causes.traces import lines_of, traces_of
from orchestrator.watch.censor import Censor
from orchestrator.watch.forensics.scene import Scene, end_of_file

_EVENTS = re.compile(r"events-(?P<host>.*)-(?P<rank>\d+)-(?P<pid>\d+)\.jsonl", re.DOTALL)
_ELASTIC = re.compile(r".*/attempt_\d+/(\d+)/error\.json", re.DOTALL)
_MOST = 256  # processes
_METRICS = 20  # a process
_DATA = 2000  # characters of an event
_ECHOES = re.compile(
    r"DistBackendError|DistNetworkError|nccl|gloo|ChildFailed|SignalException", re.IGNORECASE
)
_SHOWN = 600  # characters of an error


@dataclass(slots=True, kw_only=True)
class RankRecord:
    """The end of one process's events: `metrics` are the last values, with their steps."""

    rank: int
    host: str
    pid: int
    source: str
    step: int | None = None
    time: float | None = None
    metrics: dict[str, Any] = field(default_factory=dict)
    last_event: dict[str, Any] | None = None
    finish: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RankError:
    """What one rank failed with; `time` is None where only the order in the log is known."""

    rank: int | None
    error: str
    source: str
    time: float | None = None


def records_of(scene: Scene) -> list[RankRecord]:
    """The last records of each process that tracked, by rank."""
    found: list[RankRecord] = []
    for path in scene.folder.event_files():
        name = _EVENTS.fullmatch(path.name)
        if name is not None and len(found) < _MOST:
            record = RankRecord(
                rank=int(name["rank"]), host=name["host"], pid=int(name["pid"]), source=path.name
            )
            _read(record, end_of_file(path), scene.censor)
            found.append(record)
    return sorted(found, key=lambda record: (record.rank, record.pid))


def _read(record: RankRecord, text: str, censor: Censor) -> None:
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # torn
        if not isinstance(entry, dict):
            continue
        record.time = _number(entry.get("time")) or record.time
        if isinstance(values := entry.get("metrics"), dict):
            record.step = entry.get("step", record.step)
            for name, value in values.items():
                record.metrics.pop(name, None)  # the last logged comes last
                record.metrics[name] = [entry.get("step"), value]
        elif "event" in entry:
            record.last_event = entry
            if entry["event"] == "finish":
                record.finish = entry
    record.metrics = dict(list(record.metrics.items())[-_METRICS:])
    if record.last_event is not None:
        said = censor.text(json.dumps(record.last_event))
        record.last_event = record.last_event if len(said) < _DATA else {"cut": said[:_DATA]}


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def errors_of(scene: Scene, records: list[RankRecord]) -> list[RankError]:
    """What ranks failed with, the first to fail first; what only echoes another error comes last.

    Times come from `finish` events and torch's error files, else the order is that of the log.
    """
    told = [*_finished(records, scene.censor), *_elastic(scene)]
    # torch's files tell whole seconds; within one of them nobody can say who was first.
    told.sort(key=lambda error: (_echoes(error), inf if error.time is None else int(error.time)))
    known = {error.rank for error in told}
    return told + [error for error in _traced(scene) if error.rank not in known]


def _echoes(error: RankError) -> bool:
    return _ECHOES.search(error.error) is not None


def _finished(records: list[RankRecord], censor: Censor) -> Iterator[RankError]:
    for record in records:
        finish = record.finish or {}
        data = finish.get("data")
        said, code = (data.get("error"), data.get("code")) if isinstance(data, dict) else ("", None)
        if said or (isinstance(code, int) and code != 0):
            error = censor.text(str(said or f"exit code {code}"))[:_SHOWN]
            at = _number(finish.get("time"))
            yield RankError(rank=record.rank, error=error, source=record.source, time=at)


def elastic_files(scene: Scene) -> list[tuple[int | None, Path]]:
    """Error files of torch elastic with the local rank they are of, None for the root cause."""
    found: list[tuple[int | None, Path]] = []
    for path in sorted(scene.folder.elastic_folder.glob("*/attempt_*/*/error.json"))[:_MOST]:
        rank = _ELASTIC.fullmatch(str(path))
        found.append((int(rank[1]) if rank else None, path))
    root = scene.folder.elastic_error_file
    return [*found, (None, root)] if root.exists() else found


def _elastic(scene: Scene) -> Iterator[RankError]:
    for rank, path in elastic_files(scene):
        try:
            message = json.loads(end_of_file(path))["message"]
            if isinstance(message, str):
                message = {"message": message}
            stamp = (message.get("extraInfo") or {}).get("timestamp")
            at = float(stamp) if stamp else None
            said = scene.censor.text(str(message["message"]))[:_SHOWN]
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # empty until a worker fails, or of a form that a later torch has
        source = str(path.relative_to(scene.folder.path))
        if rank is not None:
            yield RankError(rank=rank, error=said, source=source, time=at)


def _traced(scene: Scene) -> Iterator[RankError]:
    """Tracebacks in the log, in their order, those of echoes last."""
    try:
        text = end_of_file(scene.folder.log, 4 << 20)
    except OSError:
        return
    found = []
    for trace in traces_of(lines_of(text)):
        digits = re.search(r"\d+", trace.rank or "")
        said = scene.censor.text(f"{trace.raised} at {trace.place}")[:_SHOWN]
        rank = int(digits[0]) if digits else None
        found.append(RankError(rank=rank, error=said, source="out.log"))
    yield from sorted(found, key=_echoes)


def ranks_json(scene: Scene, records: list[RankRecord], errors: list[RankError]) -> dict[str, Any]:
    """ranks.json: the first rank to fail and why, all errors, and every rank's last records."""
    return {
        "first_failing": asdict(errors[0]) if errors else None,
        "errors": [asdict(error) for error in errors],
        "ranks": [asdict(record) for record in records],
        "world_size": len({record.rank for record in records}),
        "cause": scene.failure.cause,
    }
