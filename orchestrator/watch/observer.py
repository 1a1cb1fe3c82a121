"""One run under observation: its files in, its state and verdicts out."""

from dataclasses import dataclass
from pathlib import Path

from orchestrator.criteria import Judge
from orchestrator.domain.criterion import Verdict
from orchestrator.domain.facts import RunFacts
from orchestrator.domain.run import RunRecord, RunState, RunStatus
from orchestrator.store import Reader
from orchestrator.store.index import Index
from orchestrator.watch.checkpoints import CheckpointShelf
from orchestrator.watch.live import state_of
from orchestrator.watch.logs import LogCursor
from orchestrator.workspace import RunFolder, Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What one look at a run showed.

    `elapsed` is the time since its attempt began, `idle` that without a new record; in seconds.
    """

    folder: RunFolder
    record: RunRecord
    state: RunState
    facts: RunFacts
    verdicts: tuple[Verdict, ...]
    elapsed: float
    idle: float


class Observer:
    """Follows the files of one run; made anew after a crash, it first replays the index."""

    def __init__(
        self,
        workspace: Workspace,
        index: Index,
        reader: Reader,
        folder: RunFolder,
        record: RunRecord,
    ) -> None:
        self._workspace = workspace
        self._index = index
        self._reader = reader
        self._folder = folder
        self._record = record
        self._checkpoints = CheckpointShelf()
        self._active_at: float | None = None
        self._written: tuple[RunState, RunFacts, tuple[Verdict, ...]] | None = None
        self._begin()

    def _begin(self) -> None:
        """Judge from the start: all that the index holds, and the logs from their first line."""
        self._judge = Judge(self._record.criteria, self._record.metrics)
        self._logs: dict[int, LogCursor] = {}
        self._index.replay(
            self._folder.id,
            wanted=self._judge.wants,
            on_point=self._judge.observe_point,
            on_event=self._judge.observe_event,
        )

    def look(self, now: float) -> Observation:
        """Read what is new, judge, and write what changed to the index."""
        # State before files: what an ended run wrote is all there when its files are read.
        state = state_of(self._folder, self._record)
        ended = state.status is RunStatus.ENDED
        grown = self._read(whole=ended)
        series = self._reader.series(self._folder.id)
        max_step = max((row.max_step for row in series.values()), default=None)
        if ended:
            state = state_of(self._folder, self._record, max_step=max_step)
        facts = self._facts(state, max_step, tuple(series))
        verdicts = self._judge.verdicts(facts)
        self._write(state, facts, verdicts)
        if grown or self._active_at is None:
            self._active_at = now
        started = state.attempt.started
        return Observation(
            folder=self._folder,
            record=self._record,
            state=state,
            facts=facts,
            verdicts=verdicts,
            elapsed=now - (self._record.created if started is None else started),
            idle=now - self._active_at,
        )

    def _read(self, *, whole: bool) -> bool:
        """Take in new points, events and log lines; say whether there were any."""
        result = self._index.ingest(
            self._folder,
            wanted=self._judge.wants,
            on_point=self._judge.observe_point,
            on_event=self._judge.observe_event,
        )
        if result.restarted:
            self._begin()
        grown = result.bytes > 0
        for attempt in self._folder.attempts():
            cursor = self._logs.setdefault(attempt.number, LogCursor())
            source = str(attempt.log.relative_to(self._folder.path))
            for first_line, text in cursor.read(attempt.log, whole=whole):
                self._judge.observe_log(source, first_line, text)
                grown = True
        return grown

    def _facts(self, state: RunState, max_step: int | None, series: tuple[str, ...]) -> RunFacts:
        return RunFacts(
            run=self._folder.id,
            ended=state.status is RunStatus.ENDED,
            outcome=state.outcome,
            exit=state.attempt.exit,
            attempts=len(self._folder.attempts()),
            planned_steps=self._record.planned_steps,
            checkpoints=self._checkpoints.of(self._folder),
            metrics=self._record.metrics,
            max_step=max_step,
            series=series,
            find_files=self._find_files,
        )

    def _find_files(self, pattern: str) -> tuple[str, ...]:
        """Matches of a path or glob below the workspace, else below the run folder."""
        relative = Path(pattern)
        if relative.is_absolute() or ".." in relative.parts:
            return ()
        for root in (self._workspace.root, self._folder.path):
            found = sorted(str(path.relative_to(root)) for path in root.glob(pattern))
            if found:
                return tuple(found)
        return ()

    def _write(self, state: RunState, facts: RunFacts, verdicts: tuple[Verdict, ...]) -> None:
        """Bring the index up to date, unless nothing changed since the last look."""
        if self._written == (state, facts, verdicts):
            return
        self._index.put_run(self._record, state, folder=self._folder)
        self._index.put_checkpoints(self._folder.id, facts.checkpoints)
        self._index.put_verdicts(self._folder.id, self._record.criteria, verdicts)
        self._written = (state, facts, verdicts)
