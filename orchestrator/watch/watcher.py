"""The loop's body: `tick(now)` looks at every run that is not finished with, and acts.

Crash-only: killed between any two lines, the next watcher does the rest from the files.
"""

import logging
from typing import Self

from orchestrator.codec import read_record_if_whole
from orchestrator.domain.criterion import State
from orchestrator.domain.run import Outcome, Published, RunStatus, StopRequest
from orchestrator.errors import ExpError
from orchestrator.executors import executor_for
from orchestrator.store import Reader
from orchestrator.store.index import Index
from orchestrator.watch.lifecycle import read_run, record_loss
from orchestrator.watch.live import pending
from orchestrator.watch.observer import Observation, Observer
from orchestrator.watch.policy import stop_reason
from orchestrator.watch.publish import publish_end
from orchestrator.watch.stopping import request_stop
from orchestrator.watch.ticket_index import index_tickets
from orchestrator.watch.ticketing import tick_boxes
from orchestrator.workspace import RunFolder, Workspace

log = logging.getLogger(__name__)
_TICKET_INTERVAL = 5.0  # seconds between two looks at the tickets' files
_PATIENCE = 20  # ticks that may fail for one run before the watcher leaves it to a person


class Watcher:
    """Holds the index open and one observer for each run that is not finished with."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._index = Index(workspace.database)
        self._reader = Reader(workspace.database)
        self._observers: dict[str, Observer] = {}
        self._ticked: dict[str, frozenset[str]] = {}
        self._failures: dict[str, int] = {}
        self._tickets_due = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._reader.close()
        self._index.close()

    @property
    def given_up(self) -> frozenset[str]:
        """Runs that could not be looked at again and again; watcher.log says why."""
        return frozenset(run for run, count in self._failures.items() if count >= _PATIENCE)

    def tick(self, now: float) -> bool:
        """Look at everything once; True if there is something left to wait for."""
        self._index_tickets(now)
        waiting = False
        for folder in pending(self._workspace):
            if folder.id in self.given_up:
                continue
            waiting = True
            try:
                self._tend(folder, now)
                self._failures.pop(folder.id, None)
            except (ExpError, OSError):
                # One run's broken file must not hide the others.
                log.exception("%s could not be looked at", folder.id)
                self._failures[folder.id] = self._failures.get(folder.id, 0) + 1
                self._observers.pop(folder.id, None)
        return waiting

    def _index_tickets(self, now: float) -> None:
        if now < self._tickets_due:
            return
        self._tickets_due = now + _TICKET_INTERVAL
        index_tickets(self._workspace, self._index, self._reader)

    def _tend(self, folder: RunFolder, now: float) -> None:
        """Look at one run: act on its verdicts while it lives, finish it when it has ended."""
        observer = self._observer(folder)
        if observer is None:
            return
        seen = observer.look(now)
        if seen.state.status is not RunStatus.ENDED:
            self._steer(seen, now)
            return
        if seen.state.outcome is Outcome.LOST and seen.state.attempt.exit is None:
            self._bury(seen, now)
            seen = observer.look(now)
        if read_record_if_whole(Published, folder.published_file) is None:
            log.info("%s %s: %s", folder.id, seen.state.outcome, seen.state.why)
            publish_end(self._workspace, seen, now=now)
        self._index.put_run(seen.record, seen.state, folder=folder)
        self._observers.pop(folder.id, None)

    def _observer(self, folder: RunFolder) -> Observer | None:
        if folder.id not in self._observers:
            record = read_run(folder)
            if record is None:
                return None
            self._observers[folder.id] = Observer(
                self._workspace, self._index, self._reader, folder, record
            )
        return self._observers[folder.id]

    def _steer(self, seen: Observation, now: float) -> None:
        """Tick what is met for good, and stop a run whose end is decided."""
        final = frozenset(
            criterion.key
            for criterion, verdict in zip(seen.record.criteria, seen.verdicts, strict=True)
            if verdict.final and verdict.state is State.MET
        )
        if seen.record.ticket is not None and final - self._ticked.get(seen.folder.id, frozenset()):
            tick_boxes(self._workspace, seen)
            self._ticked[seen.folder.id] = final
        if seen.state.status is RunStatus.RUNNING:
            reason = stop_reason(seen.record, seen.verdicts, elapsed=seen.elapsed, idle=seen.idle)
            if reason is not None:
                log.info("stopping %s: %s", seen.folder.id, reason)
                request_stop(seen.folder, seen.record, StopRequest(by="exp", why=reason, time=now))

    def _bury(self, seen: Observation, now: float) -> None:
        """End what a lost shim left behind, then write the exit record it could not write."""
        attempts = seen.folder.attempts()
        killed = executor_for(seen.record.executor).reap(seen.folder, attempts[-1])
        log.warning("%s: %s; %d processes ended", seen.folder.id, seen.state.why, killed)
        record_loss(attempts[-1], seen.state, now=now)
