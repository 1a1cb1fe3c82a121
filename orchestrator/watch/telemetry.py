"""telemetry.jsonl of every live run: the hardware that it runs on, sampled every few seconds.

Lines are those of an event file, so that samples are ingested, judged and rebuilt like any series.
"""

import logging

from orchestrator import procs
from orchestrator.clock import Clock
from orchestrator.codec import read_record_if_present
from orchestrator.config import TelemetryConfig, load_config
from orchestrator.domain.attempt import Lease
from orchestrator.errors import ExpError, InvalidFileError
from orchestrator.store import Reader
from orchestrator.watch.observer import Observation
from orchestrator.watch.sampler import Sample, Sampler
from orchestrator.watch.samples import Recorder
from orchestrator.workspace import AttemptFolder, Workspace

log = logging.getLogger(__name__)


class Telemetry:
    """Samples while runs are alive; the watcher's own thread only starts samples and writes them.

    A sample is written by the thread that also finishes runs: nothing is added to a run that has
    been published.
    """

    def __init__(self, workspace: Workspace, reader: Reader) -> None:
        self._workspace = workspace
        self._reader = reader
        self._interval = _interval(workspace)
        self._sampler = Sampler()
        self._due = 0.0  # monotonic
        self._roots: dict[str, int] = {}  # pid of the shim, by run
        self._recorders: dict[str, Recorder] = {}
        self._sample: Sample | None = None
        self.latest: Sample | None = None  # the newest there is, of whatever age

    def turn(self, clock: Clock) -> None:
        """At the begin of a tick: take the sample that is ready, start the next if it is due."""
        self._sample = self._sampler.take()
        self.latest = self._sample or self.latest
        self._recorders = {run: r for run, r in self._recorders.items() if run in self._roots}
        roots, self._roots = self._roots, {}
        now = clock.monotonic()
        if roots and self._interval > 0 and now >= self._due:
            self._due = now + self._interval
            self._sampler.begin(self._workspace.runs, roots.values())

    def record(self, seen: Observation) -> None:
        """Have a live run sampled from the next tick on, and write down its present sample."""
        state = seen.state.attempt
        if state.process is None or not state.alive or not procs.is_here(state.process):
            return
        run, root = seen.record.id, state.process.pid
        self._roots[run] = root
        if self._sample is None:
            return
        attempt = seen.folder.attempt(state.number)
        recorder = self._recorders.get(run)
        if recorder is None or recorder.attempt != attempt:
            recorder = self._recorders[run] = self._recorder(run, attempt)
        steps = {row.number: row.step for row in self._reader.attempts(run)}
        step = steps.get(attempt.number)
        recorder.write(
            self._sample,
            self._sample.trees.get(root),
            # What a resumed attempt measures before its first step belongs behind the attempt
            # before it, whose samples a step 0 would take back.
            step=step if step is not None else seen.facts.max_step or 0,
        )

    def _recorder(self, run: str, attempt: AttemptFolder) -> Recorder:
        source = f"{attempt.path.name}/{attempt.telemetry_file.name}"
        told = [event for event in self._reader.events(run) if event.at.source == source]
        return Recorder(attempt, _leased(attempt), told)


def _leased(attempt: AttemptFolder) -> tuple[str, ...] | None:
    """The GPUs that the attempt was given; none if that cannot be read."""
    try:
        lease = read_record_if_present(Lease, attempt.lease_file)
    except InvalidFileError as error:
        log.warning("GPUs of %s are not sampled: %s", attempt.path, error)
        return ()
    return None if lease is None else lease.gpus


def _interval(workspace: Workspace) -> float:
    """What exp.toml says; a broken one is told of by the commands that people call."""
    try:
        return load_config(workspace.root).telemetry.interval
    except ExpError as error:
        log.warning("telemetry at its default interval: %s", error)
        return TelemetryConfig().interval
