"""All that a training run is at one step, and its way into a file and back.

Resuming from the file gives bit for bit the losses of a run that was never interrupted: the file
holds weights, optimizer, averaged weights, and for each process the carry (the rows in their slots
with latents and age), the place in the stream of examples, and the random generators.
"""

import random
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.recurrent import Latents, RecurrentCore
from models.supervision import Carry, Rows

FILE = "state.pt"


@dataclass(slots=True, kw_only=True)
class State:
    """What changes while training. `place` counts the examples that this process has drawn."""

    step: int
    core: RecurrentCore
    optimizer: torch.optim.Optimizer
    average: dict[str, Tensor]
    carry: Carry
    place: int


def seed_everything(seed: int) -> None:
    """Seed python, numpy and torch; refuse operations that are not deterministic."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - libraries that use the global generator
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(mode=True)


def own_part(state: State) -> dict[str, Any]:
    """What this process alone knows: its rows, its place and its generators."""
    carry = state.carry
    return {
        "rows": _plain(carry.rows),
        "latents": _plain(carry.latents),
        "age_B": carry.age_B,
        "minimum_B": carry.minimum_B,
        "halted_B": carry.halted_B,
        "place": state.place,
        "random": _generators(),
    }


def save(folder: Path, state: State, parts: list[dict[str, Any]], settings: dict) -> Path:
    """Write the state into `folder`, whole or not at all; `parts`: `own_part` of every process.

    Raises:
        OSError: the disk is full or the folder cannot be written.
    """
    content = {
        "step": state.step,
        "weights": state.core.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "average": state.average,
        "parts": parts,
        "settings": settings,
    }
    temporary = folder / f".{FILE}.tmp"
    torch.save(content, temporary)
    temporary.replace(folder / FILE)
    return folder / FILE


def read(path: Path) -> dict[str, Any]:
    """The content of a saved state; data only, a file cannot run code."""
    return torch.load(path / FILE if path.is_dir() else path, weights_only=True)


def restore(state: State, content: dict[str, Any], rank: int, size: int) -> None:
    """Put a saved state into `state`, in place.

    With another number of processes than saved it, the rows in their slots are given up and the
    stream goes on behind the furthest place; losses then differ from an uninterrupted run.
    """
    state.step = content["step"]
    state.core.load_state_dict(content["weights"])
    state.optimizer.load_state_dict(content["optimizer"])
    for name, tensor in content["average"].items():
        state.average[name].copy_(tensor)
    if len(content["parts"]) != size:
        drawn = sum(part["place"] for part in content["parts"])
        state.place = -(-drawn // size)
        return
    part = content["parts"][rank]
    state.place = part["place"]
    state.carry = Carry(
        rows=Rows(**part["rows"]),
        latents=Latents(**part["latents"]),
        age_B=part["age_B"],
        minimum_B=part["minimum_B"],
        halted_B=part["halted_B"],
    )
    _set_generators(part["random"])


def _plain(record: Rows | Latents) -> dict[str, Tensor]:
    return {field.name: getattr(record, field.name) for field in fields(record)}


def _generators() -> dict[str, Any]:
    name, keys, *rest = np.random.get_state()  # noqa: NPY002 - see seed_everything
    return {
        "python": random.getstate(),
        "numpy": (name, keys.tolist(), *rest),
        "torch": torch.get_rng_state(),
    }


def _set_generators(saved: dict[str, Any]) -> None:
    random.setstate(saved["python"])
    np.random.set_state(saved["numpy"])  # noqa: NPY002 - see seed_everything
    torch.set_rng_state(saved["torch"])
