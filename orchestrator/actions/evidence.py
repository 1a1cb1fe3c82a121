"""What lies around the evidence of a criterion: its curve, and the lines of the log."""

from collections import deque
from dataclasses import dataclass
from itertools import islice

from orchestrator.actions.checking import CheckedCriterion
from orchestrator.actions.curve import Curve, bounds_of
from orchestrator.actions.follow import require_record
from orchestrator.domain.criterion import Evidence
from orchestrator.domain.run import RunRecord
from orchestrator.store import Reader
from orchestrator.watch.logs import last_lines
from orchestrator.workspace import RunFolder, Workspace

_AROUND = 2  # log lines before and after the one that decided
_LAST = 3  # log lines where none decided
_NEWEST, _OLDER = 150, 150  # points: twice what a wide terminal tells apart


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """A line of a log by its number, None if only its place at the end is known."""

    number: int | None
    text: str
    decides: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """`curve` is None without a series; `log` is relative to the run folder, None without one."""

    curve: Curve | None
    log: str | None
    lines: tuple[LogLine, ...]


def surroundings(workspace: Workspace, run: str, row: CheckedCriterion) -> Surroundings:
    """Gather what a person may want to see before a word on a criterion.

    Raises:
        NotFoundError: the run is gone.
    """
    folder = workspace.run(run)
    log, lines = _log(folder, row.verdict.evidence if row.verdict else None)
    curve = _curve(workspace, folder, require_record(folder), row)
    return Surroundings(curve=curve, log=log, lines=lines)


def _curve(
    workspace: Workspace, folder: RunFolder, record: RunRecord, row: CheckedCriterion
) -> Curve | None:
    bound = (each.series for each in row.series if each.series is not None)
    name = row.points[0].series if row.points else next(bound, None)
    if name is None:
        return None
    with Reader(workspace.database) as reader:
        found = reader.curve(folder.id, name, newest=_NEWEST, older=_OLDER)
    if not found.steps:
        return None
    return Curve(
        series=name,
        steps=tuple(found.steps),
        values=tuple(found.values),
        bounds=bounds_of(name, record, (c for c in record.criteria if c.text == row.text)),
        decided=next((point.step for point in row.points if point.decides), None),
    )


def _log(folder: RunFolder, evidence: Evidence | None) -> tuple[str | None, tuple[LogLine, ...]]:
    """The lines around the evidence, if it is in a log, else the last ones of the newest log."""
    if evidence is not None and evidence.source and evidence.line:
        path = folder.path / evidence.source
        inside = path.resolve().is_relative_to(folder.path.resolve())
        if path.suffix == ".log" and inside and path.is_file():
            return evidence.source, _around(folder, evidence.source, evidence.line)
    attempts = folder.attempts()
    if not attempts:
        return None, ()
    last = last_lines(attempts[-1].log, _LAST)
    name = f"{attempts[-1].log.parent.name}/{attempts[-1].log.name}"
    return name, tuple(LogLine(number=None, text=text, decides=False) for text in last)


def _around(folder: RunFolder, source: str, line: int) -> tuple[LogLine, ...]:
    first = max(1, line - _AROUND)
    with (folder.path / source).open(errors="replace") as file:
        chosen = deque(islice(file, first - 1, line + _AROUND))
    return tuple(
        LogLine(number=number, text=text.rstrip("\n"), decides=number == line)
        for number, text in enumerate(chosen, first)
    )
