"""One run under observation: its files in, its state and verdicts out."""

from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator import procs
from orchestrator.clock import Clock
from orchestrator.diagnose.signs import LogScan
from orchestrator.domain.criterion import State, Verdict
from orchestrator.domain.facts import Checkpoint, RunFacts
from orchestrator.domain.point import Event, Point
from orchestrator.domain.run import AttemptState, RunRecord, RunState, RunStatus
from orchestrator.store.rows import IngestResult
from orchestrator.watch.checkpoints import CheckpointShelf
from orchestrator.watch.judging import judge_of
from orchestrator.watch.live import as_run
from orchestrator.watch.logs import PIECES, LogCursor
from orchestrator.watch.run_files import RunFiles
from orchestrator.watch.spending import Spent, spent
from orchestrator.workspace import RunFolder, Workspace

if TYPE_CHECKING:
    from orchestrator.store import Index

_OURS = {
    "request.json",
    "lease.json",
    "waiting.json",
    "run.json",
    "config.json",
    "proc.json",
    "exit.json",
    "failure.json",
    "findings.json",
    "elastic-error.json",
    "stop.json",
    "ticked.json",
    "milestones.json",
    "published.json",
    "notices.jsonl",
    "snapshot.patch",
    "telemetry.jsonl",
}
_BEFORE = {RunStatus.QUEUED, RunStatus.STARTING}
_AT_ONCE = PIECES << 20  # bytes of records that a bounded look takes in, as of a log
_ALERTS = 50  # of one run that are heard
_REJUDGE = 5.0  # seconds after which files are looked for, and verdicts that moved are written


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What one look at a run showed.

    `end` is how its newest attempt ended, None while that lives or waits. The run itself has ended
    (`state`) once it is decided that no other attempt follows. `elapsed` is how long the attempt
    has executed, `idle` the time without a new record or log line, `quiet` that without a new
    record; in seconds. `used` is what the run has used up so far. `changed` says that a verdict has
    turned since the look before. `alerts` are the first ones that its programs raised.
    """

    folder: RunFolder
    record: RunRecord
    state: RunState
    end: RunState | None
    facts: RunFacts
    verdicts: tuple[Verdict, ...]
    elapsed: float
    used: Spent
    idle: float
    changed: bool
    quiet: float
    alerts: tuple[Event, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What the last judgement rested on, and what it was."""

    newest: RunState
    state: RunState
    facts: RunFacts
    verdicts: tuple[Verdict, ...]


class Observer:
    """Follows the files of one run; made anew after a crash, it first replays the index.

    `scan` holds what was found in the run's logs so far.
    """

    def __init__(self, workspace: Workspace, index: "Index", files: RunFiles) -> None:
        self._workspace = workspace
        self._index = index
        self._files = files
        self._folder = files.folder
        self._record = files.record
        self._shelf = CheckpointShelf()
        self._checkpoints: tuple[Checkpoint, ...] = ()
        self._spent: tuple[int, Spent] | None = None
        self._newest: RunState | None = None
        self._grown = False
        self._saved = True  # there may be checkpoints that nobody has looked at
        self._shelved_at = 0.0
        self._active_at: float | None = None
        self._began: tuple[int, float] | None = None  # attempt, monotonic
        self._recorded_at: float | None = None
        self._brought = IngestResult()
        self._alerts: tuple[Event, ...] = ()
        self._judged_at = 0.0
        self._verdicts_at = 0.0
        self._last: _Known | None = None
        self._begin()

    def _begin(self) -> None:
        """Judge from the start: all that the index holds, and the logs from their first line."""
        self._judge = judge_of(self._record, self._history)
        self._logs: dict[tuple[int, int], LogCursor] = {}  # by number of attempt and of file
        self.scan = LogScan()
        self._alerts = ()
        self._index.replay(
            self._record.id,
            wanted=self._judge.wants,
            on_point=self._judge.observe_point,
            on_event=self._hear,
        )

    def _hear(self, event: Event) -> None:
        self._judge.observe_event(event)
        self._saved |= event.name == "checkpoint"
        if event.name == "alert" and len(self._alerts) < _ALERTS:
            self._alerts += (event,)

    def _history(self, metric: str) -> list[Point]:
        """All points of a series that the index holds."""
        points: list[Point] = []
        self._index.replay(self._record.id, wanted={metric}, on_point=points.append)
        return points

    def look(self, clock: Clock) -> Observation:
        """Read all that is new, and judge."""
        self.read(clock)
        return self.judge(clock)

    def read(self, clock: Clock, *, bounded: bool = False) -> None:
        """Take in what is new of the run; readers of the index see it once it is committed.

        With `bounded` no more than a second or so of it: a caller with other runs to look at goes
        on while the observer is `behind`.
        """
        # State before files: what an ended run wrote is all there when its files are read.
        newest = self._newest = self._files.newest()
        self._grown = self._read(ended=newest.status is RunStatus.ENDED, bounded=bounded)
        now = clock.monotonic()
        if self._grown or self._active_at is None or newest.status in _BEFORE:
            self._active_at = now
        recorded = self._brought.points + self._brought.events > 0
        if recorded or self._recorded_at is None or newest.status in _BEFORE:
            self._recorded_at = now

    @property
    def behind(self) -> bool:
        """Whether an attempt has ended of whose records and logs the last `read` left some."""
        ended = self._newest is not None and self._newest.status is RunStatus.ENDED
        logs = any(cursor.behind for cursor in self._logs.values())
        return ended and (self._brought.behind or logs)

    def judge(self, clock: Clock) -> Observation:
        """Judge what was read last, and write what changed to the index."""
        newest, now = self._newest or self._files.newest(), clock.monotonic()
        before = last = self._last
        if (
            last is None
            or self._grown
            or newest.status is RunStatus.ENDED
            or last.newest != newest
            or now > self._judged_at + _REJUDGE
        ):
            self._judged_at = now
            last = self._judge_all(newest, self._elapsed(newest, clock))
        return self._observation(clock, before, last)

    def _observation(self, clock: Clock, before: "_Known | None", last: "_Known") -> Observation:
        elapsed, now = self._elapsed(last.newest, clock), clock.monotonic()
        return Observation(
            folder=self._folder,
            record=self._record,
            state=last.state,
            end=last.newest if last.newest.status is RunStatus.ENDED else None,
            facts=last.facts,
            verdicts=last.verdicts,
            elapsed=elapsed,
            used=self._used(last.newest.attempt, elapsed),
            idle=0.0 if self._active_at is None else now - self._active_at,
            changed=before is None or _turns(before.verdicts) != _turns(last.verdicts),
            quiet=0.0 if self._recorded_at is None else now - self._recorded_at,
            alerts=self._alerts,
        )

    def _used(self, attempt: AttemptState, elapsed: float) -> Spent:
        """What the run has used up; what it had before its newest attempt is looked up once."""
        known = self._spent
        if known is None or known[0] != attempt.number or attempt.process is None:
            used = spent(self._folder, self._record, attempt.number, elapsed)
            known = self._spent = (attempt.number, used)
        return replace(known[1], attempt=elapsed)

    def _elapsed(self, state: RunState, clock: Clock) -> float:
        """How long the attempt executes, whatever the wall clock does meanwhile."""
        if state.attempt.exit is not None:
            return state.attempt.exit.seconds
        number, started = state.attempt.number, state.attempt.started
        if started is None:
            return 0.0
        if self._began is None or self._began[0] != number:
            process = state.attempt.process
            age = None if process is None else procs.age(process)
            if age is None:
                age = max(0.0, clock.wall() - started)
            self._began = (number, clock.monotonic() - age)
        return clock.monotonic() - self._began[1]

    def _judge_all(self, newest: RunState, elapsed: float) -> _Known:
        """Judge what is known now, and bring the index up to date where that changed."""
        if newest.status is RunStatus.ENDED:
            # Now that all its points are in, whether that was the plan.
            newest = self._files.newest(max_step=self._brought.max_step)
        state = as_run(self._folder, self._record, newest)
        facts = self._facts(state, elapsed)
        verdicts = self._judge.verdicts(facts)
        known = _Known(newest=newest, state=state, facts=facts, verdicts=verdicts)
        self._write(known)
        self._last = known
        return known

    def _write(self, known: _Known) -> None:
        """Write what changed since the last look; of verdicts that only moved on, every few looks.

        A latest value moves with every point; writing it each time would be most of the watcher's
        work. A verdict that turns is written at once.
        """
        before = self._last
        if before is None or before.state != known.state:
            self._index.put_run(self._record, known.state, folder=self._folder)
        if before is None or before.facts.checkpoints != known.facts.checkpoints:
            self._index.put_checkpoints(self._record.id, known.facts.checkpoints)
        turned = before is None or _turns(before.verdicts) != _turns(known.verdicts)
        due = self._judged_at > self._verdicts_at + _REJUDGE
        if turned or due or known.facts.ended:
            self._index.put_verdicts(self._record.id, self._record.criteria, known.verdicts)
            self._verdicts_at = self._judged_at

    def _read(self, *, ended: bool, bounded: bool) -> bool:
        """Take in new points, events and log lines; say whether there were any."""
        result = self._index.ingest(
            self._folder,
            wanted=self._judge.wants,
            on_point=self._judge.observe_point,
            on_event=self._hear,
            at_most=_AT_ONCE if bounded else inf,
        )
        if result.restarted:
            self._begin()
        self._brought = result
        grown = result.bytes > 0
        pieces = PIECES if bounded else None
        for attempt, log in self._files.logs():
            grown |= self._read_log(attempt, log, ended=ended, pieces=pieces)
        return grown

    def _read_log(self, attempt: int, log: Path, *, ended: bool, pieces: int | None) -> bool:
        try:
            key = (attempt, log.stat().st_ino)  # a file that somebody renames is read on
        except FileNotFoundError:
            return False  # removed by whoever rotates it
        if key not in self._logs:
            # A program that prints nothing has a log all the same, with nothing wrong in it.
            self._logs[key] = LogCursor()
            self._judge.observe_log(self._name_of(log), 1, "")
        cursor = self._logs[key]
        for first_line, text in cursor.read(log, ended=ended, pieces=pieces):
            self._judge.observe_log(self._name_of(log), first_line, text)
            self.scan.feed(attempt, self._name_of(log), cursor.place, text)
        return cursor.grown

    def _name_of(self, path: Path) -> str:
        return str(path.relative_to(self._folder.path))

    def _facts(self, state: RunState, elapsed: float) -> RunFacts:
        ended = state.status is RunStatus.ENDED
        if ended or self._saved or self._judged_at > self._shelved_at + _REJUDGE:
            self._checkpoints = self._shelf.of(self._folder)
            self._saved, self._shelved_at = False, self._judged_at
        return RunFacts(
            run=self._record.id,
            ended=ended,
            outcome=state.outcome,
            exit=state.attempt.exit,
            attempts=len(self._files.attempts()),
            earlier=self._files.earlier_exits(state.attempt.number),
            planned_steps=self._record.planned_steps,
            checkpoints=self._checkpoints,
            metrics=self._record.metrics,
            max_step=self._brought.max_step,
            series=tuple(sorted(self._brought.series)),
            find_files=self._find_files,
            elapsed=elapsed,
        )

    def _find_files(self, pattern: str) -> tuple[str, ...]:
        """Matches of a path or glob below the run folder, else below the workspace.

        A file of the workspace counts only if it is younger than the run: what last week's run
        left behind proves nothing.
        """
        relative = Path(pattern)
        if relative.is_absolute() or ".." in relative.parts:
            return ()
        root, created = self._workspace.root, self._record.created
        try:
            found = sorted(self._folder.path.glob(pattern))
            inside = [path for path in found if _is_theirs(path, self._folder.path)]
            if inside:
                return tuple(str(path.relative_to(self._folder.path)) for path in inside)
            return tuple(
                str(path.relative_to(root))
                for path in sorted(root.glob(pattern))
                if path.stat().st_mtime >= created - 1
            )
        except (OSError, ValueError, NotImplementedError):
            return ()  # no pattern of files: a name too long, `**` within a name


def _is_theirs(path: Path, folder: Path) -> bool:
    """Whether the programs of the run made a file of its folder, and not exp."""
    ours = path.name in _OURS or path.name.startswith(("events-", "stacks-", "out.log"))
    ours |= path.relative_to(folder).parts[0] == "forensics"
    return not ours and path.is_file()


def _turns(verdicts: tuple[Verdict, ...]) -> list[tuple[State, bool]]:
    return [(verdict.state, verdict.final) for verdict in verdicts]
