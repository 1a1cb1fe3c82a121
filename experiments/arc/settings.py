"""Settings of the ARC study, and the parts that training and evaluation build from them alike."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch

from models.arc import (
    VOCABULARY,
    Identity,
    Subset,
    Task,
    Variant,
    identity_rows,
    load_tasks,
    make_variants,
    parse_subset,
)
from models.losses import CrossEntropy
from models.recurrent import LoopPlan, RecurrentConfig, RecurrentCore


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every parameter of the study. `steps` counts optimizer steps, one per segment."""

    subset: str = "arc1-train-same-size-8x8"
    augmentations: int = 8
    recolour: bool = False
    identity: Identity = "parts"

    width: int = 64
    heads: int = 4
    layers: int = 1
    expansion: float = 4.0
    mixer: str = "attention"
    convolution: bool = True
    rotary: str = "grid"
    identity_everywhere: bool = False
    cycles: int = 1
    inner: int = 3
    gradient: str = "cycle"

    steps: int = 1200
    batch: int = 32
    segments: int = 2
    exploration: float = 0.1
    loss: CrossEntropy = "softmax"
    lr: float = 2e-3
    identity_lr: float = 2e-2
    lr_end: float = 0.1
    warmup: int = 50
    weight_decay: float = 0.1
    clip: float = 1.0
    ema: float = 0.99

    eval_segments: int = 2
    eval_batch: int = 256
    checkpoint_every: int = 300
    log_every: int = 10
    threads: int = 2
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """The tasks, their augmentations and an untrained model; no answers of test pairs."""

    subset: Subset
    tasks: tuple[Task, ...]
    variants: tuple[Variant, ...]
    core: RecurrentCore


def read_settings(config: Mapping[str, Any], argv: Sequence[str] = ()) -> Settings:
    """Settings from a resolved config and `key=value` arguments, which win.

    Keys of the config that are no settings are left to others; an argument must be one.

    Raises:
        ValueError: an argument is unknown, or a value has the wrong type.
    """
    known = {field.name for field in fields(Settings)}
    given = {key: value for key, value in config.items() if key in known}
    for argument in argv:
        key, equals, text = argument.partition("=")
        if not equals or key not in known:
            raise ValueError(f"{argument!r}: write key=value with a key of {sorted(known)}")
        given[key] = text
    defaults = asdict(Settings())
    return Settings(**{k: _typed(k, v, type(defaults[k])) for k, v in given.items()})


def _typed(key: str, value: Any, kind: type) -> Any:
    """`value` as `kind`: JSON and TOML know no difference between 1 and 1.0, argv only text."""
    try:
        if kind is bool:
            return {"true": True, "1": True, "false": False, "0": False}[str(value).lower()]
        converted = kind(value)
    except (KeyError, ValueError, TypeError) as error:
        raise ValueError(f"{key}={value!r}: not {kind.__name__}") from error
    if kind is int and float(value) != converted:
        raise ValueError(f"{key}={value!r}: not int")
    return converted


def build(settings: Settings) -> Study:
    """Load the tasks and make the model; the same settings give the same weights.

    Raises:
        ValueError: the subset's name is unknown or belongs to another version of the data.
    """
    subset = parse_subset(settings.subset)
    tasks = load_tasks(subset)
    variants = make_variants(
        tasks, settings.augmentations, recolour=settings.recolour, seed=settings.seed
    )
    torch.manual_seed(settings.seed)
    core = RecurrentCore(
        RecurrentConfig(
            vocabulary=VOCABULARY,
            side=subset.side,
            identifiers=int(identity_rows(variants, settings.identity).max()) + 1,
            width=settings.width,
            heads=settings.heads,
            layers=settings.layers,
            expansion=settings.expansion,
            mixer=settings.mixer,
            convolution=settings.convolution,
            rotary=settings.rotary,
            identity_everywhere=settings.identity_everywhere,
            plan=LoopPlan(cycles=settings.cycles, inner=settings.inner, gradient=settings.gradient),
        )
    )
    return Study(subset=subset, tasks=tasks, variants=variants, core=core)
