"""Starting what waits: who may start now is decided by `queue`, from the files, under one lock.

Killed between any two lines, the next dispatcher does the rest: an attempt without proc.json and
exit.json is looked at again, and its request.json is locked by whoever starts it and then by its
shim, so that it is never started twice at a time.
"""

import getpass
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from orchestrator.clock import Clock, SystemClock, format_duration
from orchestrator.codec import encode, read_record_if_present
from orchestrator.config import load_config
from orchestrator.domain.attempt import NEEDS, AttemptRequest, Lease, Waiting
from orchestrator.domain.run import BY_US, Outcome, RunRecord, RunState, StopRequest
from orchestrator.errors import ConflictError, ExpError
from orchestrator.executors import executor_for
from orchestrator.executors.environment import child_environment, missing_variables
from orchestrator.fsio import is_locked, try_lock, write_atomic
from orchestrator.store import Reader
from orchestrator.watch.attempts import end_unstarted, reopen
from orchestrator.watch.gpu_pool import GpuPool, Offer, seen_by
from orchestrator.watch.live import LiveRun, is_finished
from orchestrator.watch.queue import Candidate, Place, Pool, cpu_slots, gpus_wanted, plan
from orchestrator.workspace import AttemptFolder, RunFolder, Workspace

log = logging.getLogger(__name__)
_FEW = 3  # starts that may fail before a person is called
_LOCK_LIMIT = 30.0  # seconds that a command waits for another one that is starting runs
_LONGEST_PAUSE = 60.0  # seconds until an attempt that could not be started is tried again


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """An attempt that waits, with the run it belongs to."""

    folder: RunFolder
    attempt: AttemptFolder
    record: RunRecord
    request: AttemptRequest
    stop: StopRequest | None
    lease: Lease | None


@dataclass(slots=True)
class _Trouble:
    """An attempt that could not be started: what was said, and when to try again (monotonic)."""

    why: str
    failures: int
    again_at: float


@contextmanager
def queue_lock(workspace: Workspace, *, wait: bool) -> Iterator[bool]:
    """Hold the lock under which attempts are started, or ended before they start.

    Yields False if somebody else holds it and `wait` is False.

    Raises:
        ConflictError: somebody else holds it for half a minute.
    """
    path = workspace.lock_file("queue")
    descriptor = try_lock(path, patience=_LOCK_LIMIT if wait else 0.0)
    if descriptor is None and wait:
        raise ConflictError(
            f"another exp process has been starting runs in {workspace.root} for a long time",
            hint=f"fuser -v {path}",
        )
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            os.close(descriptor)


class Dispatcher:
    """Starts queued attempts of one workspace; remembers only what the clocks need."""

    def __init__(self, workspace: Workspace, reader: Reader, clock: Clock | None = None) -> None:
        self._workspace = workspace
        self._reader = reader
        self._clock = clock or SystemClock()
        self._gpus = GpuPool()
        self._seen_at: dict[AttemptFolder, float] = {}  # monotonic
        self._troubles: dict[AttemptFolder, _Trouble] = {}

    def dispatch(self, live: Iterable[LiveRun], *, only: str | None = None) -> None:
        """Start what may start of these runs, and note of the others what they wait for.

        `live` are all live runs, since those that run take from what there is. With `only`, no
        other run is started. The lock must be held (`queue_lock`).

        Raises:
            ExpError: the run that `only` names could have been started, but was not.
        """
        states = list(live)
        waiting = [queued for seen in states if (queued := _queued(*seen)) is not None]
        if not waiting:
            return
        self._forget({queued.attempt for queued in waiting})
        holders = {folder.id: s.attempt.lease for folder, _, s in states if s.attempt.alive}
        candidates = {}
        for queued in waiting:
            stop = queued.stop or self._hopeless(queued)
            if _is_coming_up(queued):
                holders[queued.folder.id] = queued.lease
            elif stop is not None:
                end_unstarted(queued.folder, queued.attempt, stop)
            else:
                candidates[queued.folder.id] = queued
        free, beside = self._cpus(holders)
        with self._gpus_for(candidates.values()) as offer:
            pool = Pool(gpus=offer.taken, cpus=free, cpu_holders=beside)
            for place in self._plan(candidates.values(), pool, offer, only):
                queued = candidates[place.candidate.run]
                if only is None or queued.folder.id == only:
                    self._act(queued, place, offer, raising=only is not None)

    def _plan(
        self, waiting: Iterable[Queued], pool: Pool, offer: Offer, only: str | None
    ) -> list[Place]:
        """The turns of all, made again if a GPU that one would get is in use after all."""
        candidates = [self._candidate(queued, offer) for queued in waiting]
        places = plan(candidates, pool)
        given = any(p.gpus and (only is None or p.candidate.run == only) for p in places)
        if given and not self._gpus.confirm(offer):
            places = plan(candidates, pool)
        return places

    @contextmanager
    def _gpus_for(self, waiting: Iterable[Queued]) -> Iterator[Offer]:
        """The free GPUs, if anybody who waits could use one; else nobody asks for them."""
        if any(gpus_wanted(queued.record) and not self._blocked(queued) for queued in waiting):
            with self._gpus.offer() as offer:
                yield offer
        else:
            yield Offer()

    def _act(self, queued: Queued, place: Place, offer: Offer, *, raising: bool) -> None:
        """Start an attempt whose turn has come; else note what it waits for."""
        if place.why is not None:
            self._note(queued, place.why)
            return
        try:
            self._start(queued, place, offer)
        except Exception as error:
            queued.attempt.lease_file.unlink(missing_ok=True)
            if raising:
                raise
            log.exception("%s could not be started", queued.folder.id)
            self._remember_trouble(queued, error)

    def _start(self, queued: Queued, place: Place, offer: Offer) -> None:
        """Write what the attempt is given, then start its shim, which inherits the locks."""
        lock = try_lock(queued.attempt.request_file)
        if lock is None:
            return  # somebody is starting it this very moment
        try:
            if queued.attempt.process_file.exists() or queued.attempt.exit_file.exists():
                return
            env = child_environment(
                queued.folder, queued.attempt, queued.record, queued.request, place.gpus
            )
            gpus, cpus = place.gpus or None, place.candidate.cpus
            lease = Lease(time=self._clock.wall(), gpus=gpus, cpus=cpus)
            reopen(queued.folder)
            write_atomic(queued.attempt.lease_file, encode(lease))
            locks = [lock, *(offer.locks[uuid] for uuid in place.gpus)]
            for descriptor in locks[1:]:
                self._gpus.leases.sign(descriptor, self._holder(queued))
            executor = executor_for(queued.record.executor)
            queued.attempt.waiting_file.unlink(missing_ok=True)
            executor.submit(queued.folder, queued.attempt, env, locks)
        finally:
            os.close(lock)

    def _holder(self, queued: Queued) -> str:
        return f"{queued.folder.id} of {getpass.getuser()} in {self._workspace.root}"

    def _candidate(self, queued: Queued, offer: Offer) -> Candidate:
        return Candidate(
            run=queued.folder.id,
            priority=queued.request.priority,
            time=queued.request.time,
            gpus=gpus_wanted(queued.record),
            cpus=cpu_slots(queued.record),
            blocked=self._blocked(queued),
            gpus_seen=seen_by(queued.record.environment, offer.units) if offer.units else None,
        )

    def _blocked(self, queued: Queued) -> str | None:
        """What an attempt waits for that no pool can give."""
        return (
            self._not_due(queued)
            or self._unfinished(queued)
            or _lacking(queued)
            or self._in_trouble(queued)
        )

    def _not_due(self, queued: Queued) -> str | None:
        """A delay ends by either clock: a wall clock that is set back must not prolong it."""
        request, now = queued.request, self._clock.monotonic()
        seen = self._seen_at.setdefault(queued.attempt, now)
        due = self._clock.wall() >= request.time + request.delay
        if due or now - seen >= request.delay:
            return None
        return f"pauses for {format_duration(request.delay)}: {request.why}"

    def _unfinished(self, queued: Queued) -> str | None:
        open_ = [run for run in queued.request.after if self._end_of(run) is None]
        return f"waits for {', '.join(open_)} to complete" if open_ else None

    def _hopeless(self, queued: Queued) -> StopRequest | None:
        """Why a run that comes after others will never start: one of them did not complete."""
        for run in queued.request.after:
            end = self._end_of(run)
            if end not in {None, Outcome.COMPLETED}:
                why = f"{run}, which it comes after, ended {end}"
                return StopRequest(by=BY_US, why=why, time=self._clock.wall())
        return None

    def _end_of(self, run: str) -> str | None:
        """How a run ended, once that is written down; None before."""
        folder = RunFolder(self._workspace.runs / run)
        row = self._reader.run(run)
        if not folder.path.is_dir():
            return "without a trace"
        if row is None or not is_finished(folder, row):
            return None
        return row.outcome

    def _in_trouble(self, queued: Queued) -> str | None:
        trouble = self._troubles.get(queued.attempt)
        if trouble is None or self._clock.monotonic() >= trouble.again_at:
            return None
        return trouble.why

    def _remember_trouble(self, queued: Queued, error: Exception) -> None:
        before = self._troubles.get(queued.attempt)
        failures = before.failures + 1 if before else 1
        hint = f"; {error.hint}" if isinstance(error, ExpError) and error.hint else ""
        why = f"could not be started, will be tried again: {error}{hint}"
        if failures >= _FEW:
            why = f"{NEEDS}a person, {why}"
        again_at = self._clock.monotonic() + min(_LONGEST_PAUSE, 2.0**failures)
        self._troubles[queued.attempt] = _Trouble(why=why, failures=failures, again_at=again_at)
        self._note(queued, why)

    def _note(self, queued: Queued, why: str) -> None:
        """Keep what an attempt waits for beside it, for whoever looks."""
        queued.attempt.lease_file.unlink(missing_ok=True)
        before = read_record_if_present(Waiting, queued.attempt.waiting_file)
        if before is None or before.why != why:
            waiting = Waiting(why=why, time=self._clock.wall())
            write_atomic(queued.attempt.waiting_file, encode(waiting))

    def _cpus(self, holders: Mapping[str, Lease | None]) -> tuple[int | None, tuple[str, ...]]:
        """Free CPU slots (None: not counted), and the runs that have the others."""
        limit = load_config(self._workspace.root).queue.cpus
        if limit is None:
            return None, ()
        used = {run: lease.cpus for run, lease in holders.items() if lease and lease.cpus}
        return max(0, limit - sum(used.values())), tuple(used)

    def _forget(self, present: set[AttemptFolder]) -> None:
        self._seen_at = {a: seen for a, seen in self._seen_at.items() if a in present}
        self._troubles = {a: trouble for a, trouble in self._troubles.items() if a in present}


def _is_coming_up(queued: Queued) -> bool:
    """Whether the attempt's shim is alive already, though it has not written who it is."""
    return queued.lease is not None and is_locked(queued.attempt.request_file)


def _queued(folder: RunFolder, record: RunRecord, state: RunState) -> Queued | None:
    attempt = state.attempt
    if attempt.request is None or attempt.process is not None or attempt.exit is not None:
        return None
    return Queued(
        folder=folder,
        attempt=folder.attempt(attempt.number),
        record=record,
        request=attempt.request,
        stop=attempt.stop,
        lease=attempt.lease,
    )


def _lacking(queued: Queued) -> str | None:
    missing = missing_variables(queued.record, queued.request)
    if not missing:
        return None
    shell = f"exp run resume {queued.folder.id} in a shell that has it"
    return f"{NEEDS}{', '.join(missing)} in the environment: {shell}"
