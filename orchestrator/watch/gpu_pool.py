"""GPUs that may be given away now: listed by the driver, leased by nobody, and not in use."""

import math
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.domain.hardware import Gpu, GpuReading
from orchestrator.errors import EnvironmentFailure
from orchestrator.gpus import Gpus
from orchestrator.leases import Leases

_IN_USE = 0.10  # share of the memory from which on somebody is at work
_SETTLE = 0.3  # seconds until a GPU that looked free is looked at again
_FRESH = 2.0  # seconds until a GPU that somebody uses without a lease is looked at again
_STALE = 60.0  # seconds until the driver is asked anew what GPUs there are
_DEADLINE = 10.0  # seconds that the driver may take; without persistence mode it takes a few
# They hold a little memory of a GPU with a screen for ever, and do not compute.
_DESKTOP = re.compile(
    r"Xorg|X|Xwayland|gnome-shell|mutter.*|kwin.*|plasmashell|cinnamon|xfwm4|sway|Hyprland|weston"
    r"|gdm.*|sddm.*|nvidia-persiste.*|nvidia-cuda-mps.*"
)


def units(reading: GpuReading) -> list[Gpu]:
    """What can be leased: whole GPUs, and the instances of those that are divided (MIG)."""
    divided = {gpu.parent for gpu in reading.gpus or ()}
    return [gpu for gpu in reading.gpus or () if gpu.uuid not in divided]


def name_of(gpu: Gpu) -> str:
    """`GPU 1`, or `GPU 1 (MIG-…)` for an instance."""
    number = gpu.uuid if gpu.index is None else str(gpu.index)
    return f"GPU {number}" if gpu.parent is None else f"GPU {number} ({gpu.uuid})"


def seen_by(variables: Mapping[str, str], gpus: Sequence[Gpu]) -> tuple[str, ...] | None:
    """UUIDs that CUDA_VISIBLE_DEVICES leaves; None if it does not restrict.

    Numbers are those of the driver. As CUDA does, reading ends at the first entry that names no
    GPU; an entry may be the begin of a UUID.
    """
    text = variables.get("CUDA_VISIBLE_DEVICES")
    if text is None:
        return None
    found: list[str] = []
    for entry in (part.strip() for part in text.split(",")):
        named = [gpu.uuid for gpu in gpus if _names(entry, gpu)]
        if not named:
            break
        found += [uuid for uuid in named if uuid not in found]
    return tuple(found)


def _names(entry: str, gpu: Gpu) -> bool:
    if entry.isdecimal():
        return gpu.index == int(entry)
    return bool(entry) and any((uuid or "").startswith(entry) for uuid in (gpu.uuid, gpu.parent))


def use_of(gpu: Gpu) -> str | None:
    """Why a GPU that no run has leased cannot be used, or None."""
    name = name_of(gpu)
    if gpu.problem is not None:
        return f"{name}: {gpu.problem}"
    if gpu.recovery not in {None, "none"}:
        return f"{name}: its driver asks to {gpu.recovery}"
    desktop = [process for process in gpu.processes or () if _is_desktop(process.pid)]
    others = [process.pid for process in gpu.processes or () if process not in desktop]
    if others:
        return f"{name} is in use by {', '.join(map(_who, others))}"
    if gpu.memory_used is None or not gpu.memory_total:
        return None
    used = gpu.memory_used - sum(process.memory or 0 for process in desktop)
    if used <= _IN_USE * gpu.memory_total:
        return None
    return f"{name} is in use by somebody: {used / gpu.memory_total:.0%} of its memory"


def _is_desktop(pid: int) -> bool:
    with suppress(OSError):
        return bool(_DESKTOP.fullmatch(Path(f"/proc/{pid}/comm").read_text().strip()))
    return False


def _who(pid: int) -> str:
    """`pid 4711 (ada)`; a pid of another container has no owner here."""
    import pwd  # noqa: PLC0415 - only where a GPU is in use

    try:
        owner = Path(f"/proc/{pid}").stat().st_uid
    except OSError:
        return f"pid {pid}"
    try:
        return f"pid {pid} ({pwd.getpwuid(owner).pw_name})"
    except KeyError:
        return f"pid {pid} (user {owner})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """The GPUs of one dispatch; those that are free are locked until the offer ends.

    `taken` maps each UUID to why it cannot be given, or to None; it is None itself if nobody can
    tell what GPUs there are. `locks` are the descriptors of the free ones.
    """

    units: tuple[Gpu, ...] = ()
    taken: dict[str, str | None] | None = None
    locks: dict[str, int] = field(default_factory=dict)

    def withdraw(self, uuid: str, why: str) -> None:
        """Take a GPU out of the offer."""
        if self.taken is not None:
            self.taken[uuid] = why
        if uuid in self.locks:
            os.close(self.locks.pop(uuid))

    def close(self) -> None:
        """Give back what nobody was given; the locks of the others are their shims' by now."""
        for descriptor in self.locks.values():
            os.close(descriptor)


class GpuPool:
    """Looks for free GPUs; remembers for a moment which were not, for asking takes its time."""

    def __init__(self, leases: Leases | None = None) -> None:
        self.leases = leases or Leases()
        self._gpus = Gpus(deadline=_DEADLINE)
        self._units: tuple[Gpu, ...] = ()
        self._read_at = -math.inf  # monotonic
        self._used: dict[str, tuple[str, float]] = {}  # why, and until when (monotonic)

    def read(self) -> GpuReading:
        """Ask the driver."""
        reading = self._gpus.read()
        if reading.gpus is not None:
            self._units, self._read_at = tuple(units(reading)), time.monotonic()
        return reading

    @contextmanager
    def offer(self) -> Iterator[Offer]:
        """Lock every GPU that is free, while the caller decides who gets which.

        Without a usable folder of leases none is free: who needs no GPU starts all the same.
        """
        problem = None
        if time.monotonic() - self._read_at > _STALE:
            problem = self.read().problem
        if not self._units and problem is not None:
            # Where GPUs have been leased before, one that cannot be seen now is still somebody's.
            yield Offer(taken={"": problem} if self.leases.ever_used() else None)
            return
        offer = Offer(units=self._units, taken={unit.uuid: None for unit in self._units})
        with ExitStack() as stack:
            stack.callback(offer.close)
            try:
                ours = stack.enter_context(self.leases.turn())
                for unit in offer.units:
                    self._lock(offer, unit, ours=ours)
            except EnvironmentFailure as error:
                for unit in offer.units:
                    offer.withdraw(unit.uuid, f"{error}; {error.hint}")
            if offer.locks:
                self._look(offer)
            yield offer

    def confirm(self, offer: Offer) -> bool:
        """Look again, shortly after: a program that was just started has no memory of a GPU yet."""
        free = set(offer.locks)
        time.sleep(_SETTLE)
        self._look(offer)
        return free == set(offer.locks)

    def _lock(self, offer: Offer, unit: Gpu, *, ours: bool) -> None:
        why, until = self._used.get(unit.uuid, ("", -math.inf))
        if time.monotonic() < until:
            offer.withdraw(unit.uuid, why)
            return
        descriptor = self.leases.take(unit.uuid) if ours else None
        if descriptor is not None:
            offer.locks[unit.uuid] = descriptor
        else:
            holder = self.leases.holder(unit.uuid) if ours else "another workspace, for a moment"
            offer.withdraw(unit.uuid, f"{name_of(unit)} is leased by {holder}")

    def _look(self, offer: Offer) -> None:
        """Withdraw what somebody uses without a lease."""
        reading = self.read()
        present = {gpu.uuid: gpu for gpu in reading.gpus or ()}
        for unit in offer.units:
            if unit.uuid not in offer.locks:
                continue
            gpu = present.get(unit.uuid)
            gone = f"{name_of(unit)} cannot be asked: {reading.problem or 'it is gone'}"
            why = gone if gpu is None else use_of(gpu)
            if why is not None:
                offer.withdraw(unit.uuid, why)
                self._used[unit.uuid] = (why, time.monotonic() + _FRESH)
