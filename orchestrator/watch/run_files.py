"""The records of one run and of its attempts, read again only when their folders changed."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from orchestrator.codec import read_record_if_present
from orchestrator.domain.run import AttemptState, ExitRecord, RunRecord, RunState
from orchestrator.executors import executor_for
from orchestrator.listing import Listing, Listings
from orchestrator.watch.lifecycle import attempt_state, run_state
from orchestrator.workspace import AttemptFolder, RunFolder


class RunFiles:
    """What the watcher asks of a run's folder at every look.

    Records are whole when their names appear, and replaced by renaming: so they can only change
    together with the folder they lie in.
    """

    def __init__(self, folder: RunFolder, record: RunRecord) -> None:
        self.folder = folder
        self.record = record
        self._executor = executor_for(record.executor)
        self._listings = Listings()
        self._run: Listing | None = None
        self._attempts: tuple[AttemptFolder, ...] = ()
        self._read: tuple[AttemptFolder, Listing, AttemptState] | None = None
        self._logs: dict[int, tuple[Listing, list[Path]]] = {}

    def attempts(self) -> tuple[AttemptFolder, ...]:
        """Attempts that exist, oldest first."""
        listing = self._listings.list(str(self.folder.path))
        if listing is not self._run:
            self._run, self._attempts = listing, tuple(self.folder.attempts())
        return self._attempts

    def newest(self, *, max_step: int | None = None) -> RunState:
        """The state of the newest attempt alone, whatever may follow it."""
        attempts = self.attempts()
        attempt = attempts[-1] if attempts else self.folder.attempt(1)
        return run_state(self.record, self._state(attempt), max_step=max_step)

    @property
    def waits(self) -> bool:
        """Whether the newest attempt was not started when it was last looked at."""
        return self._read is None or self._read[2].process is None

    def _state(self, attempt: AttemptFolder) -> AttemptState:
        known = self._read
        if known is not None and known[0] == attempt and known[2].process is not None:
            # Liveness before the listing: a shim that ends between the two looks is seen as ended.
            alive = self._executor.is_alive(attempt, known[2].process)
            if self._listings.list(str(attempt.path)) is known[1]:
                return known[2] if known[2].alive == alive else replace(known[2], alive=alive)
        listing = self._listings.list(str(attempt.path))
        state = attempt_state(attempt, self._executor)
        self._read = attempt, listing, state
        return state

    def earlier_exits(self, number: int) -> tuple[ExitRecord, ...]:
        """How the attempts before attempt `number` ended, of those that tell."""
        records = (
            read_record_if_present(ExitRecord, attempt.exit_file)
            for attempt in self.attempts()
            if attempt.number < number
        )
        return tuple(record for record in records if record is not None)

    def logs(self) -> Iterator[tuple[int, Path]]:
        """Number of attempt and path of every log there is, in the order in which to read them."""
        for attempt in self.attempts():
            listing = self._listings.list(str(attempt.path))
            known = self._logs.get(attempt.number)
            if known is None or known[0] is not listing:
                known = self._logs[attempt.number] = (listing, attempt.logs())
            for path in known[1]:
                yield attempt.number, path
