"""NVIDIA GPUs through NVML: `Gpus().read()` answers in time, and never raises."""

import time
from queue import Empty, SimpleQueue
from threading import Lock, Thread

from orchestrator.domain.hardware import GpuReading
from orchestrator.gpus.session import Session

__all__ = ["Gpus"]

_DEADLINE = 2.0  # seconds; without persistence mode the first reading alone may take longer


class Gpus:
    """All GPUs of this machine; NVML is loaded at the first reading.

    A call into the driver may hang for ever and cannot be cancelled, so that one daemon thread
    makes them all. While it hangs, readings say so at once; when it returns, they go on. May be
    used from several threads; a reading takes at most `deadline` seconds.
    """

    def __init__(self, *, deadline: float = _DEADLINE) -> None:
        self._deadline = deadline
        self._lock = Lock()
        self._questions: SimpleQueue[None] = SimpleQueue()
        self._answers: SimpleQueue[GpuReading] = SimpleQueue()
        self._thread: Thread | None = None
        self._asked_at: float | None = None  # monotonic; None while no call is out

    def read(self) -> GpuReading:
        """What every GPU says now; what cannot be known is None, and `problem` says why."""
        with self._lock:
            if self._asked_at is not None:
                if self._answers.empty():
                    return self._silence(self._asked_at)
                self._answers.get()  # of a moment that has passed
            self._asked_at = time.monotonic()
            self._questions.put(None)
            if self._thread is None:
                self._thread = Thread(target=self._answer, name="nvml", daemon=True)
                self._thread.start()
            try:
                reading = self._answers.get(timeout=self._deadline)
            except Empty:
                return self._silence(self._asked_at)
            self._asked_at = None
            return reading

    @staticmethod
    def _silence(asked_at: float) -> GpuReading:
        waited = time.monotonic() - asked_at
        return GpuReading(
            time=time.time(), gpus=None, problem=f"NVML has not answered for {waited:.0f} s"
        )

    def _answer(self) -> None:
        session = Session()
        while True:
            self._questions.get()
            self._answers.put(session.read())
