"""The watcher's diagnoses: every run is looked at now and then, and at the end of each attempt."""

import logging
import time

from orchestrator.clock import Clock
from orchestrator.diagnose.findings import diagnose
from orchestrator.domain.finding import KnownFinding
from orchestrator.errors import DamagedIndexError
from orchestrator.store import Reader
from orchestrator.watch.casebook import Scan, case_of
from orchestrator.watch.censor import Censor
from orchestrator.watch.findings import Ledger
from orchestrator.watch.machines import measured
from orchestrator.watch.observer import Observation
from orchestrator.watch.sampler import Sample

log = logging.getLogger(__name__)
_INTERVAL = 30.0  # seconds between two looks at a run, at the least
_LONGEST = 600.0  # seconds: so late may a finding be where many large runs share the time
_SHARE = 0.002  # of a core, that looking at all of them may take


class Diagnoses:
    """Diagnoses runs and keeps their ledgers. Whatever goes wrong holds up nothing else."""

    def __init__(self, reader: Reader, clock: Clock) -> None:
        self._reader = reader
        self._clock = clock
        self._ledgers: dict[str, Ledger] = {}
        self._due: dict[str, float] = {}  # monotonic

    def live(
        self, seen: Observation, scan: Scan, sample: Sample | None
    ) -> tuple[KnownFinding, ...]:
        """What is known of a run that has not ended, after a look if one is due."""
        run = seen.folder.id
        if self._clock.monotonic() >= self._due.get(run, 0.0):
            before = time.thread_time()
            self._look(seen, scan, sample)
            share = _SHARE / max(1, len(self._due))
            pause = max(_INTERVAL, min(_LONGEST, (time.thread_time() - before) / share))
            self._due[run] = self._clock.monotonic() + pause
        return self._known(run)

    def ended(
        self, seen: Observation, scan: Scan, sample: Sample | None
    ) -> tuple[KnownFinding, ...]:
        """What is known of an attempt that has ended; it is looked at once more."""
        self._look(seen, scan, sample)
        self._due.pop(seen.folder.id, None)
        return self._known(seen.folder.id)

    def forget(self, run: str) -> None:
        """Let go of a run that is finished with."""
        self._ledgers.pop(run, None)
        self._due.pop(run, None)

    def _known(self, run: str) -> tuple[KnownFinding, ...]:
        return self._ledgers[run].known if run in self._ledgers else ()

    def _look(self, seen: Observation, scan: Scan, sample: Sample | None) -> None:
        folder, now = seen.folder, self._clock.wall()
        try:
            if folder.id not in self._ledgers:
                self._ledgers[folder.id] = Ledger(folder)
            case = case_of(folder, seen.record, self._reader, now=now, scan=scan)
            gpus, host = (sample.gpus, sample.host) if sample is not None else (None, None)
            found = diagnose(measured(case, folder.path, gpus, host), on_error=_failed)
            secrets = Censor.of(seen.record, seen.state.attempt.request).values
            self._ledgers[folder.id].update(found, now=now, secrets=secrets)
        except DamagedIndexError:
            raise  # it is made again, and then looked at again
        except Exception:
            log.exception("%s could not be diagnosed", folder.id)


def _failed(rule: str, error: Exception) -> None:
    log.error("rule %s failed: %s", rule, error, exc_info=error)
