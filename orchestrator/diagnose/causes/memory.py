"""How much GPU memory was asked for and how much there was, from PyTorch's own message."""

import re
from dataclasses import dataclass

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SIZE = r"(\d+(?:\.\d+)?) ?([KMGT])?i?(?:B\b|bytes)"  # MPS writes GB, and means GiB
_TRIED = re.compile(rf"(?:[Tt]r(?:ied|ying) to allocate|Requested ?:) {_SIZE}")
_FREE = re.compile(rf"{_SIZE} (?:is )?free|Free \(according to CUDA\) ?: {_SIZE}|\(free: (\d+)()")
_ALLOCATED = re.compile(
    rf"{_SIZE} (?:is |already )?(?:allocated|by PyTorch)|(?:Currently|MPS) allocated ?: {_SIZE}"
)
_UNALLOCATED = re.compile(rf"{_SIZE} (?:is )?(?:reserved(?! in total)|cached)")
_RESERVED = re.compile(rf"{_SIZE} reserved in total")
_ALLOWED = re.compile(rf"{_SIZE} allowed|max allowed: {_SIZE}|memory fraction\) ?: {_SIZE}")
_MPS_OTHER = re.compile(rf"other allocations: {_SIZE}")
_OURS = "this process has"  # without it, one of the processes listed may be the run's own
_PROCESS = re.compile(rf"Process \d+ has {_SIZE} memory in use")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortage:
    """An allocation that failed, in bytes; None is what the message does not say.

    `free` is what may still be taken: of a process whose share is limited, no more than its limit
    leaves. `unallocated` is what PyTorch has reserved and does not use: large enough in sum, but in
    pieces. `others` is what other processes hold on that GPU.
    """

    tried: int
    free: int | None = None
    unallocated: int | None = None
    others: int | None = None

    @property
    def fragmented(self) -> bool | None:
        """Whether the memory was there but not in one piece; None if nobody can tell."""
        if self.free is None or self.unallocated is None:
            return None
        return self.tried <= self.free + self.unallocated

    @property
    def short(self) -> int | None:
        """How much was missing, all that PyTorch had reserved counted as free; None if unknown."""
        if self.free is None:
            return None
        return max(0, self.tried - self.free - (self.unallocated or 0))

    @property
    def arithmetic(self) -> str | None:
        """The comparison in words, in GiB."""
        if self.free is None:
            return None
        there, terms = self.free, f"{_gib(self.free)} free"
        if self.unallocated is not None:
            there += self.unallocated
            terms += f" + {_gib(self.unallocated)} reserved but unallocated = {_gib(there)}"
        if self.fragmented:
            return f"tried {_gib(self.tried)} ≤ {terms} GiB: fragmentation"
        if self.tried > there:
            short = _gib(self.tried - there)
            return f"tried {_gib(self.tried)} > {terms} GiB: {short} GiB short"
        return f"tried {_gib(self.tried)} ≤ {terms} GiB"


def shortage(message: str) -> Shortage | None:
    """Read the numbers of an out-of-memory message, of old and of new PyTorch; None without any."""
    text = " ".join(message.split())
    tried = _read(_TRIED, text)
    if tried is None:
        return None
    allocated, reserved = _read(_ALLOCATED, text), _read(_RESERVED, text)
    unallocated = _read(_UNALLOCATED, text)
    if reserved is not None:  # older messages give all that is reserved, the used part included
        unallocated = None if allocated is None else max(0, reserved - allocated)
    held = None if allocated is None else allocated + (unallocated or 0)
    others = sum(_bytes(match) for match in _PROCESS.finditer(text)) if _OURS in text else None
    return Shortage(
        tried=tried, free=_room(text, held), unallocated=unallocated, others=others or None
    )


def _room(text: str, held: int | None) -> int | None:
    """What the device has left, or the limit of this process if that is less."""
    free, allowed = _read(_FREE, text), _read(_ALLOWED, text)
    if allowed is None or held is None:
        return free
    rest = max(0, allowed - held - (_read(_MPS_OTHER, text) or 0))
    return rest if free is None else min(free, rest)


def _read(pattern: re.Pattern[str], text: str) -> int | None:
    match = pattern.search(text)
    return None if match is None else _bytes(match)


def _bytes(match: re.Match[str]) -> int:
    groups = match.groups()
    number, unit = next((n, u) for n, u in zip(groups[::2], groups[1::2], strict=True) if n)
    return round(float(number) * _UNITS[unit or ""])


def _gib(size: int) -> str:
    return f"{size / (1 << 30):.2f}"
