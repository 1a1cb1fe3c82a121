"""Samples of the hardware, taken on a thread of their own: whatever hangs there, nobody waits."""

import logging
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread

from orchestrator.domain.hardware import GpuReading, HostReading, TreeReading
from orchestrator.gpus import Gpus
from orchestrator.host import Host

log = logging.getLogger(__name__)
_DEADLINE = 10.0  # seconds that NVML may take; without persistence mode it takes a few at first


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """All that was measured at one moment; process trees by the pid of their root."""

    time: float
    gpus: GpuReading
    host: HostReading
    trees: dict[int, TreeReading]


class Sampler:
    """Measures when it is told to, one sample at a time."""

    def __init__(self) -> None:
        self._thread: Thread | None = None
        self._busy = False
        self._wanted: SimpleQueue[tuple[Path, Collection[int]]] = SimpleQueue()
        self._taken: SimpleQueue[Sample | None] = SimpleQueue()

    def begin(self, folder: Path, roots: Collection[int]) -> None:
        """Measure the machine, the disk of `folder` and these trees, unless still at the last."""
        if self._busy:
            return
        self._busy = True
        self._wanted.put((folder, roots))
        if self._thread is None:
            self._thread = Thread(target=self._measure, name="telemetry", daemon=True)
            self._thread.start()

    def take(self) -> Sample | None:
        """The sample that has been finished since the call before, if any."""
        try:
            sample = self._taken.get_nowait()
        except Empty:
            return None
        self._busy = False
        return sample

    def _measure(self) -> None:
        gpus, host = Gpus(deadline=_DEADLINE), Host()
        while True:
            folder, roots = self._wanted.get()
            try:
                machine, trees = host.read(folder), host.trees(roots)
                self._taken.put(
                    Sample(time=machine.time, gpus=gpus.read(), host=machine, trees=trees)
                )
            except Exception:
                log.exception("the hardware could not be sampled")
                self._taken.put(None)
