"""Who may start now: order and fit, as pure functions.

The order is priority, then age. A run that waits for a run or a moment is passed over. One that
waits for GPUs or CPU slots keeps back what is free of them for itself, so that smaller runs behind
it cannot starve it; who needs nothing of what is kept back goes on.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from orchestrator.domain.run import RunRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A queued attempt: what it needs, and `blocked` if it waits for something else.

    `gpus_seen` are the UUIDs that its launching shell could see; None means all.
    """

    run: str
    priority: int
    time: float
    gpus: int = 0
    cpus: int = 1
    blocked: str | None = None
    gpus_seen: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """What there is to give. `gpus` maps a UUID to why it is taken, or to None if it is free.

    `gpus` None: nobody can tell, so none are given and nobody waits for one. `cpus` counts free
    slots; None: they are not counted. `cpu_holders` are the runs that have the others.
    """

    gpus: dict[str, str | None] | None = None
    cpus: int | None = None
    cpu_holders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A candidate's turn: it starts with `gpus`, or waits because of `why`."""

    candidate: Candidate
    gpus: tuple[str, ...] = ()
    why: str | None = None


@dataclass(slots=True)
class _Rest:
    """What is left to give, and who keeps the rest back."""

    gpus: list[str]
    cpus: int | None
    keepers: list[str] = field(default_factory=list)


def in_order(candidates: Iterable[Candidate]) -> list[Candidate]:
    """The order of turns."""
    return sorted(candidates, key=lambda c: turn(c.priority, c.time, c.run))


def turn(priority: int, time: float, run: str) -> tuple[int, float, int, str]:
    """Sorts turns: larger priority first, then the older request, then the older run."""
    return -priority, time, len(run), run


def plan(candidates: Iterable[Candidate], pool: Pool) -> list[Place]:
    """The turn of each candidate, in order."""
    free = [uuid for uuid, taken in (pool.gpus or {}).items() if taken is None]
    rest = _Rest(gpus=free, cpus=pool.cpus)
    return [_place(candidate, pool, rest) for candidate in in_order(candidates)]


def _place(candidate: Candidate, pool: Pool, rest: _Rest) -> Place:
    """Give what is needed, or keep back what there is of it."""
    if candidate.blocked is not None:
        return Place(candidate=candidate, why=candidate.blocked)
    wanted = candidate.gpus if pool.gpus is not None else 0
    seen = [uuid for uuid in rest.gpus if _sees(candidate, uuid)][:wanted]
    short = []
    if len(seen) < wanted:
        short.append(_gpus_missing(candidate, pool, len(seen)))
    if rest.cpus is not None and rest.cpus < candidate.cpus:
        short.append(_cpus_missing(candidate, pool))
    rest.gpus = [uuid for uuid in rest.gpus if uuid not in seen]
    if rest.cpus is not None:
        rest.cpus = max(0, rest.cpus - candidate.cpus)
    if not short:
        return Place(candidate=candidate, gpus=tuple(seen))
    first = "goes first" if len(rest.keepers) == 1 else "go first"
    before = f"; {', '.join(rest.keepers)} {first}" if rest.keepers else ""
    rest.keepers.append(candidate.run)
    return Place(candidate=candidate, why=f"waits for {' and '.join(short)}{before}")


def _sees(candidate: Candidate, uuid: str) -> bool:
    return candidate.gpus_seen is None or uuid in candidate.gpus_seen


def _gpus_missing(candidate: Candidate, pool: Pool, found: int) -> str:
    taken = [why for uuid, why in (pool.gpus or {}).items() if why and _sees(candidate, uuid)]
    reasons = f": {'; '.join(dict.fromkeys(taken))}" if taken else ""
    return f"{counted(candidate.gpus, 'GPU')}, {found} free{reasons}"


def _cpus_missing(candidate: Candidate, pool: Pool) -> str:
    holders = f" (taken by {', '.join(pool.cpu_holders)})" if pool.cpu_holders else ""
    return f"{counted(candidate.cpus, 'CPU slot')}, {pool.cpus} free{holders}"


def counted(number: int, noun: str) -> str:
    """`1 GPU`, `4 GPUs`."""
    return f"{number} {noun}{'s' * (number != 1)}"


def cpu_slots(record: RunRecord) -> int:
    """CPU slots that a run takes: what its spec asks for, at least one."""
    return max(1, int(record.resources.get("cpus") or 1))


def gpus_wanted(record: RunRecord) -> int:
    """GPUs that a run's spec asks for."""
    return int(record.resources.get("gpus") or 0)
