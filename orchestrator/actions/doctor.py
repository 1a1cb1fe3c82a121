"""`exp doctor`: what is wrong with runs, and what was looked at to say so."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise

from orchestrator.actions.follow import require_record
from orchestrator.actions.judging import index_of
from orchestrator.actions.naming import run_named
from orchestrator.actions.reading import load_tickets
from orchestrator.actions.run_list import current_runs, list_runs
from orchestrator.codec import read_record_if_present
from orchestrator.diagnose.case import Case, Curve
from orchestrator.diagnose.findings import diagnose
from orchestrator.diagnose.rules import RULES
from orchestrator.domain.attempt import AttemptRequest
from orchestrator.domain.finding import Finding
from orchestrator.domain.hardware import is_sampled
from orchestrator.domain.run import RunRecord
from orchestrator.domain.ticket import TicketStatus
from orchestrator.errors import DamagedIndexError, EnvironmentFailure
from orchestrator.gpus import Gpus
from orchestrator.host import Host
from orchestrator.store import Reader
from orchestrator.watch.casebook import case_of
from orchestrator.watch.censor import Censor
from orchestrator.watch.daemon import ensure_watcher
from orchestrator.watch.findings import known_findings
from orchestrator.watch.live import has_pending, live_runs
from orchestrator.watch.machines import measured
from orchestrator.watch.scanning import scan_logs
from orchestrator.workspace import RunFolder, Workspace

_BACK = 1.0  # seconds by which a clock must go back to be told of

# Run, bytes of its logs that have been read, and bytes in all.
OnRead = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What a diagnosis rests on; `log_bytes` are those of all logs."""

    series: int
    points: int
    events: int
    logs: int
    log_bytes: int
    rules: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What is wrong with a run, the worst first.

    `since` says when the watcher first found what it knows of too, by the key of the finding.
    `gaps` are what could not be looked at, in sentences.
    """

    run: str
    ticket: str | None
    title: str | None
    status: str
    why: str
    findings: tuple[Finding, ...]
    since: dict[str, float]
    looked: Looked
    gaps: tuple[str, ...]


def examine(workspace: Workspace, name: str | None, on_read: OnRead) -> tuple[Examination, ...]:
    """Diagnose a run, the newest run of a ticket, or all that is under way.

    Without a name: every live run, and the newest run of each ONGOING ticket.

    Raises:
        NotFoundError: there is no such run or ticket, or the ticket has no run.
    """
    if workspace.state.is_dir() and _needs_a_watcher(workspace):
        with suppress(EnvironmentFailure):  # what can only be read can be diagnosed all the same
            ensure_watcher(workspace)
    return tuple(examine_run(workspace, folder, on_read) for folder in _chosen(workspace, name))


def _needs_a_watcher(workspace: Workspace) -> bool:
    try:
        return has_pending(workspace)
    except DamagedIndexError:
        return True  # to make it again


def _chosen(workspace: Workspace, name: str | None) -> list[RunFolder]:
    if name is None:
        return list(_under_way(workspace))
    return [run_named(workspace, name)]


def _under_way(workspace: Workspace) -> Iterator[RunFolder]:
    """Live runs, and the newest one of each ticket that is at work, by number."""
    chosen = {folder.id for folder, _, _ in live_runs(workspace)}
    ongoing = {t.id for t in load_tickets(workspace) if t.status == TicketStatus.ONGOING}
    if ongoing:
        current = current_runs(list_runs(workspace))
        chosen |= {run.id for ticket, run in current.items() if ticket in ongoing}
    return (folder for folder in workspace.run_folders() if folder.id in chosen)


def examine_run(workspace: Workspace, folder: RunFolder, on_read: OnRead) -> Examination:
    """Diagnose one run from all that is known of it now.

    Raises:
        NotFoundError: its launch died before it was a run.
    """
    record, now = require_record(folder), time.time()
    sizes = [log.stat().st_size for attempt in folder.attempts() for log in attempt.logs()]
    with index_of(workspace, folder, record) as (reader, known):
        scan = known or scan_logs(folder, lambda done: on_read(folder.id, done, sum(sizes)))
        case = case_of(folder, record, reader, now=now, scan=scan)
        row = reader.run(folder.id)
        gaps = [*_gaps(case, reader, folder)]
    if not case.ended:
        gpus = Gpus().read()
        case = measured(case, folder.path, gpus, Host().read(folder.path))
        if gpus.gpus is None and record.resources.get("gpus"):
            gaps.append(f"the GPUs as they are now: {gpus.problem}")
    found = diagnose(case, on_error=lambda rule, error: gaps.append(_bug(rule, error)))
    return Examination(
        run=folder.id,
        ticket=record.ticket.id if record.ticket else None,
        title=record.ticket.title if record.ticket else record.experiment,
        status=case.outcome or (row.status if row else "running"),
        why=row.why if row else "",
        findings=_censor_of(folder, record, case.attempt).data(found),
        since={k.finding.key: k.opened for k in known_findings(folder) if k.closed is None},
        looked=Looked(
            series=len(case.curves),
            points=sum(curve.total for curve in case.curves.values()),
            events=len(case.events),
            logs=len(sizes),
            log_bytes=sum(sizes),
            rules=len(RULES),
        ),
        gaps=tuple(gaps),
    )


def _censor_of(folder: RunFolder, record: RunRecord, number: int) -> Censor:
    request = read_record_if_present(AttemptRequest, folder.attempt(number).request_file)
    return Censor.of(record, request)


def _gaps(case: Case, reader: Reader, folder: RunFolder) -> Iterator[str]:
    """What could not be looked at, and what that leaves unseen."""
    own = [curve for name, curve in case.curves.items() if not is_sampled(name)]
    if not own:
        yield "no points: nothing was logged, so that no curve could be looked at"
    elif all(not any(curve.steps) for curve in own):
        yield "the points have no steps: what needs a step count was not looked at"
    if len(own) == len(case.curves):
        yield "no samples of the hardware: GPUs, memory and disk over time are unknown"
    if not any(attempt.logs() for attempt in folder.attempts()):
        yield "no log: what the programs printed is unknown"
    for source in reader.sources(folder.id):
        if source.broken:
            first = (
                f"{source.path}:{source.broken_lines[0]}" if source.broken_lines else source.path
            )
            yield f"{source.broken:,} lines that nobody can read, the first is {first}"
    yield from _clocks(own)
    yield from _by_the_spec(case.record)


def _clocks(curves: list[Curve]) -> Iterator[str]:
    """A clock that was set back makes speeds and pauses wrong."""
    densest = max(curves, key=len, default=None)
    if densest is None:
        return
    rows = zip(densest.sources, densest.times, densest.lines, strict=True)
    for (source, then, _), (same, now, line) in pairwise(rows):
        if source == same and now < then - _BACK:
            yield f"the clock went back by {then - now:.0f} s at {source}:{line}"
            return


def _by_the_spec(record: RunRecord) -> Iterator[str]:
    if record.planned_steps is None:
        yield "how many steps are planned is unknown: the spec does not say"
    if record.findings.ignore:
        yield f"ignored by the spec: {', '.join(record.findings.ignore)}"


def _bug(rule: str, error: Exception) -> str:
    return f"rule {rule} failed, which is a bug of exp: {type(error).__name__}: {error}"
