"""The most memory that a process used in each of its phases: of the GPUs, and of the host."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from orchestrator.track.warning import harmless

TRAIN = "train"  # what lies outside of all phases
HOST = "host"
RESET = b"5"  # to clear_refs: the peak of the resident memory begins anew; man proc_pid_clear_refs

Peak = dict[str, int | None]


class Peaks:
    """Peaks by phase and device, written at the end of a phase where they have risen.

    At each border the peaks are read and begin anew, those of PyTorch too: while it is rehearsed,
    a program that reads them itself sees those of the phase.
    """

    def __init__(self, write: Callable[[Mapping[str, Any]], None]) -> None:
        self._write = write
        self._train: dict[str, Peak] = {}
        self._open: list[tuple[str, dict[str, Peak]]] = []
        self._written: dict[tuple[str, str], Peak] = {}
        self._host_resets = True

    def begin(self, phase: str) -> None:
        """A phase begins; it may lie inside of another, which counts its peaks too."""
        self._measure()
        if not self._open:
            self._tell(TRAIN, self._train)
        self._open.append((phase, {}))

    def end(self, phase: str) -> None:
        """The innermost open phase of this name has ended."""
        self._measure()
        for entry in reversed(self._open):
            if entry[0] == phase:
                self._open.remove(entry)
                self._tell(*entry)
                return

    def close(self) -> None:
        """The program ends."""
        self._measure()
        for entry in (*self._open, (TRAIN, self._train)):
            self._tell(*entry)

    def _measure(self) -> None:
        found = harmless(device_peaks)() or {}
        if self._host_resets:
            found |= host_peak()
            self._host_resets = _reset_host()
        for frame in [frame for _, frame in self._open] or [self._train]:
            for device, peak in found.items():
                frame[device] = _larger(frame.get(device, {}), peak)

    def _tell(self, phase: str, frame: Mapping[str, Peak]) -> None:
        for device, peak in frame.items():
            known = self._written.get((phase, device), {})
            largest = _larger(known, peak)
            if largest != known:
                self._written[phase, device] = largest
                self._write({"state": "memory", "phase": phase, "device": device, **largest})


def device_peaks() -> dict[str, Peak]:
    """Peaks of each GPU that PyTorch uses in this process, in bytes; they begin anew.

    `used` is what the whole device has in use now, with this process's reserved peak.
    """
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    if cuda is None or not cuda.is_available() or not cuda.is_initialized():
        return {}
    if cuda.is_current_stream_capturing():  # a graph: the device may not be asked
        return {}
    found: dict[str, Peak] = {}
    for number in range(cuda.device_count()):
        reserved = cuda.max_memory_reserved(number)
        if reserved:
            free, total = cuda.mem_get_info(number)
            found[f"cuda:{number}"] = {
                "allocated": cuda.max_memory_allocated(number),
                "reserved": reserved,
                "used": total - free - cuda.memory_reserved(number) + reserved,
                "total": total,
            }
            cuda.reset_peak_memory_stats(number)
    return found


def host_peak() -> dict[str, Peak]:
    """The peak of this process's resident memory, in bytes; nothing where /proc does not tell."""
    resident = _kibibytes("/proc/self/status", "VmHWM:")
    total = _kibibytes("/proc/meminfo", "MemTotal:")
    if resident is None:
        return {}
    return {HOST: {"allocated": resident, "reserved": None, "used": None, "total": total}}


def _kibibytes(path: str, key: str) -> int | None:
    """The number behind `key` in a file of /proc, in bytes."""
    try:
        lines = Path(path).read_text(errors="replace").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))
    except (OSError, ValueError, IndexError, StopIteration):
        return None


def _reset_host() -> bool:
    """Whether the peak could begin anew; if not, that of a later phase cannot be told."""
    try:
        Path("/proc/self/clear_refs").write_bytes(RESET)
    except OSError:
        return False
    return True


def _larger(one: Mapping[str, int | None], other: Mapping[str, int | None]) -> Peak:
    def larger(name: str) -> int | None:
        known = [value for value in (one.get(name), other.get(name)) if value is not None]
        return max(known, default=None)

    return {name: larger(name) for name in ("allocated", "reserved", "used", "total")}
