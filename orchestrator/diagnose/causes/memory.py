"""How much GPU memory was asked for and how much there was, from PyTorch's own message."""

import re
from dataclasses import dataclass

_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_SIZE = r"(\d+(?:\.\d+)?) ([KMGT]i)?(?:B|bytes)"
_TRIED = re.compile(rf"[Tt]r(?:ied|ying) to allocate {_SIZE}")
_FREE = re.compile(rf"{_SIZE} (?:is )?free")
_ALLOCATED = re.compile(rf"{_SIZE} (?:is |already )?(?:allocated|by PyTorch)")
_RESERVED = re.compile(rf"{_SIZE} (?:is )?reserved( in total)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortage:
    """An allocation that failed, in bytes; None is what the message does not say.

    `unallocated` is what PyTorch has reserved and does not use: large enough in sum, but in pieces.
    """

    tried: int
    free: int | None = None
    unallocated: int | None = None

    @property
    def fragmented(self) -> bool | None:
        """Whether the memory was there but not in one piece; None if nobody can tell."""
        if self.free is None or self.unallocated is None:
            return None
        return self.tried <= self.free + self.unallocated

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
    tried = _TRIED.search(text)
    if tried is None:
        return None
    free, allocated, reserved = (pattern.search(text) for pattern in (_FREE, _ALLOCATED, _RESERVED))
    unallocated = None if reserved is None else _bytes(reserved)
    if unallocated is not None and reserved is not None and reserved[3]:
        # Older messages give all that is reserved, the used part included.
        unallocated = None if allocated is None else max(0, unallocated - _bytes(allocated))
    return Shortage(
        tried=_bytes(tried), free=None if free is None else _bytes(free), unallocated=unallocated
    )


def _bytes(match: re.Match[str]) -> int:
    return round(float(match[1]) * _UNITS[f"{match[2] or ''}B"])


def _gib(size: int) -> str:
    return f"{size / (1 << 30):.2f}"
