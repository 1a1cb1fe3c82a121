"""The processes that train together: one by default, several under torchrun.

NCCL between GPUs, gloo between processors. With one process nothing here calls torch.distributed.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Which of how many processes this is, and the device that it computes on."""

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))


def join_world(device: str = "cpu") -> World:
    """Meet the other processes that torchrun started, if it did. `device`: auto, cpu or cuda.

    Raises:
        ValueError: cuda is asked for and torch sees none.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device={device!r}: one of auto, cpu, cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device='cuda': torch sees no GPU here; take device=auto or cpu")
    chosen = torch.device("cpu")
    if device != "cpu" and torch.cuda.is_available():
        chosen = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(chosen)
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return World(device=chosen)
    # Gloo beside NCCL: processes that ask each other something need not wait for their GPUs.
    dist.init_process_group("cpu:gloo,cuda:nccl" if chosen.type == "cuda" else "gloo")
    return World(rank=dist.get_rank(), size=dist.get_world_size(), device=chosen)


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


def total(tensors: Sequence[Tensor], world: World) -> None:
    """Replace each tensor by its sum over the processes, in one message."""
    if world.size == 1:
        return
    flat = torch.cat([t.reshape(-1) for t in tensors])
    dist.all_reduce(flat)
    parts = flat.split([t.numel() for t in tensors])
    for tensor, part in zip(tensors, parts, strict=True):
        tensor.copy_(part.view_as(tensor))


def everyones(mine: Tensor, world: World) -> Tensor:
    """The tensors of all processes behind each other, in order of rank; equal shapes."""
    if world.size == 1:
        return mine
    parts = [torch.empty_like(mine) for _ in range(world.size)]
    dist.all_gather(parts, mine.contiguous())
    return torch.cat(parts)


def anyone(flag: bool, world: World) -> bool:
    """Whether the flag is set in any process: all must stop at the same step."""
    if world.size == 1:
        return flag
    told = torch.tensor(float(flag))  # on the processor: this is asked at every step
    dist.all_reduce(told, dist.ReduceOp.MAX)
    return bool(told)


def gather(mine: Any, world: World) -> list[Any]:
    """One object per process, in order of rank, for everyone.

    Not inside torch.inference_mode: its tensors cannot be written by a collective, which is how
    the run of T-0017's template crashed after 1 h 42 min.
    """
    if world.size == 1:
        return [mine]
    parts: list[Any] = [None] * world.size
    dist.all_gather_object(parts, mine)
    return parts
