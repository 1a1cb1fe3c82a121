"""All that a training run is at one step, and its way into a file and back.

Resuming from the file gives bit for bit the losses of a run that was never interrupted: the file
holds weights, identity table, optimizers, averaged weights, the carry (the rows in their slots with
latents and age), the place in the stream of examples, and the random generators. The slots of all
processes stand behind each other, so another number of processes goes on with the same rows.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from experiments.common import checkpoints
from experiments.common.world import World, everyones
from experiments.puzzles.feed import Feed
from experiments.puzzles.settings import Settings
from experiments.puzzles.study import Study
from models.puzzles import Meta
from models.recurrent import check_config
from models.supervision import Carry, Rows, map_carry

# The settings that a state cannot go on without; of the others some may change on the way.
_KEPT = ("batch", "stream", "seed", "identity", "optimizer")
_PARTS = {"step", "weights", "average", "table", "carry", "core", "data", "settings", "extra"}


@dataclass(slots=True, kw_only=True)
class State:
    """What changes while training.

    `broken` is the first step whose loss was not finite, 0 while there is none; `best` the best
    value of the declared metric and its step.
    """

    step: int
    study: Study
    optimizers: tuple[torch.optim.Optimizer, ...]
    average: dict[str, Tensor]
    carry: Carry
    feed: Feed
    broken: Tensor
    best: tuple[float, int] | None = None
    extra: dict[str, Any] = field(default_factory=dict)


def content(state: State, settings: Settings, world: World) -> dict[str, Any]:
    """What a checkpoint holds; every process must call it, the first one writes it."""
    return {
        "step": state.step,
        "place": int(state.feed.place),
        "weights": state.study.core.state_dict(),
        "table": state.study.table.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in state.optimizers],
        "average": state.average,
        "carry": asdict(map_carry(lambda mine: everyones(mine, world), state.carry)),
        "best": state.best,
        "extra": state.extra,
        "random": checkpoints.generators(),
        "settings": asdict(settings),
        "core": asdict(state.study.core.config),
        "data": described(state.study.meta),
    }


def read(path: Path) -> dict[str, Any]:
    """The content of a saved state, on the processor.

    Raises:
        ValueError: there is no such file, or it is no state that this program wrote.
    """
    return checkpoints.read(path, _PARTS, "experiments/puzzles")


def described(meta: Meta) -> dict[str, Any]:
    """What tells a set of puzzles from another: sets of ARC under one name differ by settings."""
    return {"name": meta.name, "settings": meta.settings}


def restore(state: State, saved: dict[str, Any], settings: Settings, world: World) -> None:
    """Put a saved state into `state`, in place.

    Raises:
        ValueError: it is of another model, other data, or settings that it cannot go on with.
    """
    study = state.study
    check_config(saved["core"], study.core.config)
    _check_training(saved, study.meta, settings)
    slots = len(state.carry.halted_B)
    state.step = saved["step"]
    state.feed.place.fill_(saved["place"])
    study.core.load_state_dict(saved["weights"])
    study.table.load_state_dict(saved["table"])
    for optimizer, its_state in zip(state.optimizers, saved["optimizers"], strict=True):
        optimizer.load_state_dict(its_state)
    for name, tensor in saved["average"].items():
        state.average[name].copy_(tensor)
    state.best, state.extra = saved["best"], saved["extra"]
    mine = slice(world.rank * slots, (world.rank + 1) * slots)
    state.carry = map_carry(lambda whole: whole[mine].to(world.device), _carry(saved["carry"]))
    checkpoints.set_generators(saved["random"])


def _check_training(saved: dict[str, Any], meta: Meta, settings: Settings) -> None:
    def facts(data: dict[str, Any], chosen: dict[str, Any]) -> dict[str, Any]:
        of_data = {f"data.{key}": value for key, value in data["settings"].items()}
        return {"data": data["name"]} | of_data | {key: chosen[key] for key in _KEPT}

    there = facts(saved["data"], saved["settings"])
    checkpoints.check_same(there, facts(described(meta), asdict(settings)))


def load_average(study: Study, saved: dict[str, Any]) -> None:
    """Put the weights that are evaluated, the averaged ones, into the model of `study`.

    Raises:
        ValueError: the checkpoint is of another model; names the fields that differ.
    """
    check_config(saved["core"], study.core.config)
    study.core.load_state_dict(saved["weights"])
    study.core.load_state_dict(saved["average"], strict=False)
    study.table.load_state_dict(saved["table"])


def _carry(saved: dict[str, Any]) -> Carry:
    rest = {name: saved[name] for name in ("latents", "age_B", "minimum_B", "halted_B")}
    return Carry(rows=Rows(**saved["rows"]), **rest)
