"""What training and evaluation build alike from the settings: the data's facts and the model."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from experiments.common.world import World, gather
from experiments.puzzles.data import data_folder
from experiments.puzzles.settings import Settings
from models.direct import direct_plan
from models.hrm import hrm_plan
from models.identity import IdentityTable, identity_rows, rows_needed
from models.plan import LoopPlan
from models.puzzles import Meta, read_meta
from models.recurrent import Convolution, CoreConfig, RecurrentCore
from models.trm import trm_plan
from models.urm import urm_plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A set of puzzles and an untrained model for it.

    `rows_KI` gives for each of the set's K identifiers the I rows of the identity table.
    """

    folder: Path
    meta: Meta
    core: RecurrentCore
    table: IdentityTable
    rows_KI: Tensor
    precision: torch.dtype
    world: World


def build(settings: Settings, world: World) -> Study:
    """Find or generate the data and make the model; the same settings give the same weights.

    Raises:
        ValueError: the settings, or the data that they name, cannot be used.
    """
    folder = _first_builds(settings, world)
    meta = read_meta(folder)
    rows_KI = torch.from_numpy(identity_rows(meta.identifiers, settings.identity))
    torch.manual_seed(settings.seed)
    core = RecurrentCore(core_config(settings, meta))
    table = IdentityTable(rows_needed(rows_KI.numpy()), settings.width)
    return Study(
        folder=folder,
        meta=meta,
        core=core.to(world.device),
        table=table.to(world.device),
        rows_KI=rows_KI.to(world.device),
        precision=_precision(settings, world),
        world=world,
    )


def _first_builds(settings: Settings, world: World) -> Path:
    """The folder of the data, which the first process generates and the others find.

    Raises:
        ValueError: in all processes, if the first one has met it.
    """
    error = ""
    if world.rank == 0:
        try:
            data_folder(settings)
        except ValueError as met:
            error = str(met)
    if error := gather(error, world)[0]:
        raise ValueError(error)
    return data_folder(settings)


def core_config(settings: Settings, meta: Meta) -> CoreConfig:
    """The configuration of the network for the grids of a set.

    Raises:
        ValueError: the network could not be built, or would not be told which puzzle it sees.
    """
    told = settings.identity_tokens > 0 or settings.identity_everywhere
    if len(meta.identifiers) > 1 and not told:
        raise ValueError(
            f"identity_tokens={settings.identity_tokens}: {meta.name} has {len(meta.identifiers)}"
            " identifiers, which the network would never see; write identity_tokens=1 or more, or"
            " identity_everywhere=true"
        )
    plan = loop_plan(settings)
    return CoreConfig(
        vocabulary=meta.vocabulary,
        side=meta.side,
        identity_tokens=settings.identity_tokens,
        width=settings.width,
        heads=settings.heads,
        layers=_layers(settings, plan),
        expansion=settings.expansion,
        inner_multiple=settings.inner_multiple,
        mixer=settings.mixer,
        mixer_norm=settings.mixer_norm,
        positions=settings.positions,
        convolution=_convolution(settings.convolution),
        identity_everywhere=settings.identity_everywhere,
        plan=plan,
    )


def loop_plan(settings: Settings) -> LoopPlan:
    """The calls of one segment that `model`, `cycles` and `inner` name."""
    if settings.model == "hrm":
        return hrm_plan(settings.cycles, settings.inner)
    if settings.model == "urm":
        return urm_plan(settings.cycles, settings.forward_only, read_each=settings.read_each)
    if settings.model == "direct":
        return direct_plan()
    return trm_plan(settings.cycles, settings.inner)


def _layers(settings: Settings, plan: LoopPlan) -> dict[str, int]:
    modules = sorted({call.module for call in plan.calls})
    counts = settings.layers * len(modules) if len(settings.layers) == 1 else settings.layers
    if len(counts) != len(modules):
        raise ValueError(
            f"layers={list(settings.layers)}: {settings.model} has the modules "
            f"{', '.join(modules)}: one number for each, or one for all"
        )
    return dict(zip(modules, counts, strict=True))


def _convolution(text: str) -> Convolution | None:
    if text == "none":
        return None
    kind, _, place = text.partition("@")
    kernel = 3 if kind == "plane" else 2
    return Convolution(kind=kind, place=place or "mlp_expansion", kernel=kernel)


def _precision(settings: Settings, world: World) -> torch.dtype:
    if settings.precision == "auto":
        return torch.bfloat16 if world.device.type == "cuda" else torch.float32
    return torch.bfloat16 if settings.precision == "bf16" else torch.float32
