"""GPUs for a rehearsal: leased for all of it, so that what it measures is its own."""

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from orchestrator.domain.run import RunRecord
from orchestrator.errors import ConflictError
from orchestrator.watch.gpu_pool import GpuPool, Offer, seen_by
from orchestrator.watch.queue import gpus_wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Leased:
    """UUIDs of GPUs, and the descriptors that hold their leases."""

    gpus: tuple[str, ...] = ()
    locks: tuple[int, ...] = ()


@contextmanager
def leased(record: RunRecord) -> Iterator[Leased]:
    """Lease the GPUs that the spec asks for until the block ends, and its shims with it.

    Where nobody can tell what GPUs there are, none are leased, as at a start.

    Raises:
        ConflictError: too few are free; says what holds the others.
    """
    found = _lease(record)
    try:
        yield found
    finally:
        for descriptor in found.locks:
            os.close(descriptor)


def _lease(record: RunRecord) -> Leased:
    wanted = gpus_wanted(record)
    if not wanted:
        return Leased()
    pool = GpuPool()
    with pool.offer() as offer:
        if offer.taken is None:
            return Leased()
        if len(_free(record, offer)) >= wanted:
            pool.confirm(offer)
        chosen = _free(record, offer)[:wanted]
        if len(chosen) < wanted:
            raise _refusal(record, offer, wanted - len(chosen))
        ticket = record.ticket.id if record.ticket else record.cwd
        for uuid in chosen:
            holder = f"the rehearsal of {ticket} by {getpass.getuser()} in {record.cwd}"
            pool.leases.sign(offer.locks[uuid], holder)
        # Whoever leases must wait while the offer is open: our own descriptors outlast it.
        return Leased(gpus=tuple(chosen), locks=tuple(os.dup(offer.locks[uuid]) for uuid in chosen))


def _free(record: RunRecord, offer: Offer) -> list[str]:
    seen = seen_by(record.environment, offer.units)
    return [uuid for uuid in offer.locks if seen is None or uuid in seen]


def _refusal(record: RunRecord, offer: Offer, missing: int) -> ConflictError:
    reasons = [why for why in (offer.taken or {}).values() if why is not None]
    held = "; ".join(reasons) or "CUDA_VISIBLE_DEVICES leaves too few"
    plural = "s" if missing > 1 else ""
    return ConflictError(
        f"{record.experiment}: {missing} GPU{plural} short of a rehearsal: {held}",
        hint="exp queue shows who has them; rehearse when they are free",
    )
