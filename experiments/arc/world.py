"""The processes that train together: one by default, several under torchrun (gloo).

With one process nothing here calls torch.distributed.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Which of how many processes this is."""

    rank: int = 0
    size: int = 1


def join_world() -> World:
    """Meet the other processes that torchrun started, if it did."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return World()
    dist.init_process_group("gloo")
    return World(rank=dist.get_rank(), size=dist.get_world_size())


def leave_world(world: World) -> None:
    """Part from the others; without it torch warns at exit."""
    if world.size > 1:
        dist.destroy_process_group()


def end_process(code: int) -> NoReturn:
    """Exit with `code`; a worker among several skips the teardown of its interpreter.

    Gloo's threads outlive their group (torch 2.13). One that lets go of a tensor while the
    interpreter shuts down aborts the process: about one run of two workers in ten ended with
    SIGABRT after all its work was done.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def average(tensors: Sequence[Tensor], world: World) -> None:
    """Replace each tensor by its mean over the processes, in one message."""
    if world.size == 1:
        return
    flat = torch.cat([t.reshape(-1) for t in tensors])
    dist.all_reduce(flat)
    flat /= world.size
    parts = flat.split([t.numel() for t in tensors])
    for tensor, part in zip(tensors, parts, strict=True):
        tensor.copy_(part.view_as(tensor))


def anyone(flag: bool, world: World) -> bool:
    """Whether the flag is set in any process: all must stop at the same step."""
    if world.size == 1:
        return flag
    told = torch.tensor(float(flag))
    dist.all_reduce(told, dist.ReduceOp.MAX)
    return bool(told)


def gather(mine: Any, world: World) -> list[Any]:
    """One object per process, in order of rank; only rank 0 gets them all."""
    if world.size == 1:
        return [mine]
    everyone: list[Any] | None = [None] * world.size if world.rank == 0 else None
    dist.gather_object(mine, everyone)
    return everyone or []
