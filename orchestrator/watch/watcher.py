"""The loop's body: `tick()` looks at every run that is not finished with, and acts.

Crash-only: killed between any two lines, the next watcher does the rest from the files.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Self

from orchestrator.clock import Clock, SystemClock
from orchestrator.domain.run import BY_US, RunRecord, RunState, RunStatus, StopRequest
from orchestrator.errors import DamagedIndexError, EnvironmentFailure, ExpError
from orchestrator.executors import executor_for
from orchestrator.store import Reader
from orchestrator.store.index import Index
from orchestrator.watch.diagnosing import Diagnoses
from orchestrator.watch.dispatch import Dispatcher, queue_lock
from orchestrator.watch.lifecycle import read_run, record_loss
from orchestrator.watch.live import LiveRun, Pending, newest_attempt
from orchestrator.watch.observer import Observation, Observer
from orchestrator.watch.policy import stop_reason
from orchestrator.watch.publish import publish_end
from orchestrator.watch.run_files import RunFiles
from orchestrator.watch.saving import time_left
from orchestrator.watch.settling import settle
from orchestrator.watch.stopping import request_stop
from orchestrator.watch.telemetry import Telemetry
from orchestrator.watch.telling import Teller
from orchestrator.watch.ticket_index import index_tickets
from orchestrator.watch.ticketing import tick_boxes
from orchestrator.workspace import RunFolder, Workspace

log = logging.getLogger(__name__)
_TICKET_INTERVAL = 5.0  # seconds between two looks at the tickets' files
_PATIENCE = 10  # looks at a run that may fail before a dead one is left to a person
_INDEX = "the index"  # stands for a run in what is said of trouble: it cannot be written
_LONGEST_PAUSE = 60.0  # seconds between two looks at a run that cannot be looked at


@dataclass(slots=True)
class _Trouble:
    """A run that could not be looked at: how often, and when to try again (monotonic)."""

    failures: int = 0
    again_at: float = 0.0


class Watcher:
    """Holds the index open, and files and observer of each run that is not finished with."""

    def __init__(self, workspace: Workspace, clock: Clock | None = None) -> None:
        self._workspace = workspace
        self._clock = clock or SystemClock()
        self._index = Index(workspace.database)
        self._reader = Reader(workspace.database)
        self._teller = Teller(workspace, self._reader, self._clock)
        self._files: dict[str, RunFiles] = {}
        self._observers: dict[str, Observer] = {}
        self._pending = Pending(workspace, self._reader)
        self._dispatcher = Dispatcher(workspace, self._reader, self._clock)
        self._troubles: dict[str, _Trouble] = {}
        self._tickets_due = 0.0
        self._telemetry = Telemetry(workspace, self._reader)
        self._diagnoses = Diagnoses(self._reader, self._clock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._teller.close()
        self._reader.close()
        self._index.close()

    @property
    def given_up(self) -> frozenset[str]:
        """Runs that could not be looked at again and again; watcher.log says why."""
        return frozenset(
            run for run, trouble in self._troubles.items() if trouble.failures >= _PATIENCE
        )

    @property
    def behind(self) -> bool:
        """Whether a run has more to be read than one look takes in."""
        return any(observer.behind for observer in self._observers.values())

    def tick(self) -> bool:
        """Look at everything once; True if there is something left to wait for.

        Raises:
            DamagedIndexError: the index has to be made again, by another watcher.
        """
        self._index.check_place()
        try:
            self._index_tickets()
            folders = self._pending.folders()
        except DamagedIndexError:
            raise
        except Exception:
            # A ticket that cannot be read or a full disk: the runs need their watcher all the same.
            log.exception("tickets and runs could not be listed")
            return True
        self._follow(folders)
        read = self._read()
        if any(files.waits for files in self._files.values()):
            self._dispatch()
        self._telemetry.turn(self._clock)
        for run in read:
            with self._spared(run):
                self._tend(self._observers[run])
                self._troubles.pop(run, None)
        waiting = any(folder.id not in self.given_up for folder in folders)
        return bool(self._teller.step()) or waiting

    def _follow(self, folders: list[RunFolder]) -> None:
        """Hold the files of exactly these runs."""
        present = {folder.id for folder in folders}
        for run in self._files.keys() - present:
            # One that is finished with, or a folder that lost its run.json: it was never launched.
            for memory in (self._files, self._observers, self._troubles):
                memory.pop(run, None)
            self._diagnoses.forget(run)
        for folder in folders:
            with self._spared(folder.id):
                record = read_run(folder) if folder.id not in self._files else None
                if record is not None:
                    self._files[folder.id] = RunFiles(folder, record)

    def _dispatch(self) -> None:
        """Start what waits and may start; not while a command is starting something itself."""
        try:
            with queue_lock(self._workspace, wait=False) as held:
                if held:
                    self._dispatcher.dispatch(list(self._live()))
        except Exception:
            log.exception("queued runs could not be started")

    def _live(self) -> Iterator[LiveRun]:
        for run, files in self._files.items():
            with self._spared(run):
                yield files.folder, files.record, files.newest()

    def _read(self) -> list[str]:
        """Take in what is new of every run, in one transaction; the runs whose turn it is."""
        read: list[str] = []
        if self._pauses(_INDEX):
            return read
        with self._spared(_INDEX):
            with self._index.together():
                for run, files in self._files.items():
                    if self._pauses(run):
                        continue
                    with self._spared(run):
                        self._observer(files).read(self._clock, bounded=True)
                        read.append(run)
            self._troubles.pop(_INDEX, None)
            return read
        self._observers.clear()  # they have heard of what is not stored
        return []

    def _pauses(self, what: str) -> bool:
        trouble = self._troubles.get(what)
        return trouble is not None and self._clock.monotonic() < trouble.again_at

    @contextmanager
    def _spared(self, run: str) -> Iterator[None]:
        """Trouble with one run must not hide the others: it is looked at again after a pause."""
        try:
            yield
        except DamagedIndexError:
            raise
        except Exception as error:
            self._observers.pop(run, None)
            trouble = self._troubles.setdefault(run, _Trouble())
            if self._clock.monotonic() < trouble.again_at:
                return
            log.exception("%s could not be looked at", run)
            trouble.failures += 1
            pause = min(_LONGEST_PAUSE, 2.0**trouble.failures)
            trouble.again_at = self._clock.monotonic() + pause
            if trouble.failures == _PATIENCE and run != _INDEX:
                record = self._files[run].record if run in self._files else None
                self._teller.given_up(RunFolder(self._workspace.runs / run), record, error)

    def _index_tickets(self) -> None:
        if self._clock.monotonic() >= self._tickets_due:
            self._tickets_due = self._clock.monotonic() + _TICKET_INTERVAL
            index_tickets(self._workspace, self._index, self._reader)

    def _tend(self, observer: Observer) -> None:
        """Judge one run: act on its verdicts while it lives, finish it when it has ended."""
        if observer.behind:
            return  # gigabytes of records or logs: the other runs are looked at meanwhile
        seen = observer.judge(self._clock)
        if seen.end is None:
            self._telemetry.record(seen)
            self._steer(seen)
            self._diagnoses.live(seen, observer.scan, self._telemetry.latest)
            self._teller.live(seen)
            return
        if seen.end.attempt.exit is None:
            self._bury(seen.folder, seen.record, seen.end)
            seen = observer.look(self._clock)
        if self._settle(seen, observer):
            return
        seen = observer.look(self._clock)
        if seen.end is None:
            return  # it had been published, and was resumed a moment ago
        if not seen.folder.published_file.exists():
            log.info("%s %s: %s", seen.folder.id, seen.state.outcome, seen.state.why)
            publish_end(
                self._workspace, seen, partial(self._teller.ended, seen), now=self._clock.wall()
            )
        self._index.put_run(seen.record, seen.state, folder=seen.folder)
        self._observers.pop(seen.folder.id, None)
        self._diagnoses.forget(seen.folder.id)

    def _settle(self, seen: Observation, observer: Observer) -> bool:
        """Decide whether an ended run goes on, in the light of what is wrong with it."""
        if seen.folder.published_file.exists():
            return settle(seen, self._reader, self._clock)
        sample = self._telemetry.latest
        self._diagnoses.ended(seen, observer.scan, sample)
        goes_on = settle(seen, self._reader, self._clock)
        # Once more: now it is written down why the attempt failed.
        self._diagnoses.ended(seen, observer.scan, sample)
        return goes_on

    def _observer(self, files: RunFiles) -> Observer:
        run = files.folder.id
        if run not in self._observers:
            self._observers[run] = Observer(self._workspace, self._index, files)
        return self._observers[run]

    def _steer(self, seen: Observation) -> None:
        """Stop a run whose end is decided; tick what is met for good."""
        if seen.state.status is RunStatus.RUNNING:
            reason = stop_reason(seen.record, seen.verdicts, used=seen.used, idle=seen.idle)
            if reason is not None:
                log.info("stopping %s: %s", seen.folder.id, reason)
                left = time_left(seen.record, seen.facts.max_step, seen.used.wall)
                request = StopRequest(by=BY_US, why=reason, time=self._clock.wall(), saved=left)
                request_stop(seen.folder, seen.record, request)
        ticket = seen.record.ticket
        if seen.changed and ticket is not None:
            try:
                tick_boxes(self._workspace, ticket, seen)
            except ExpError as error:
                # The ticket is gone or locked: the run's end will write it, or say why not.
                log.warning("%s: boxes not ticked: %s", seen.folder.id, error)

    def _bury(self, folder: RunFolder, record: RunRecord, end: RunState) -> None:
        """End what a lost shim left behind, then write the exit record it could not write.

        Raises:
            EnvironmentFailure: the attempt's folder is gone, which proves nothing of its programs.
        """
        attempt = folder.attempt(end.attempt.number)
        if not attempt.path.is_dir():
            raise EnvironmentFailure(
                f"{attempt.path} is gone: whether its programs live cannot be told",
                hint=f"put it back, or exp run stop {folder.id}",
            )
        now = newest_attempt(folder, record)
        if now.status is not RunStatus.ENDED or now.attempt.exit is not None:
            return  # the folder was away for a moment
        reaped = executor_for(record.executor).reap(folder, attempt)
        log.warning("%s: %s; %s", folder.id, end.why, reaped)
        record_loss(attempt, end, reaped=reaped, now=self._clock.wall())
