"""Settings of the puzzle studies: what a spec's [params] and the programs' arguments may say."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every parameter. `steps` counts optimizer steps, one per segment; 0: `epochs` decide."""

    # Data: a name of data.py, or a folder in the layout of HRM, TRM and URM.
    data: str = "arc1-train-same-size-8x8"
    augmentations: int = 8  # of each puzzle; arc1-aug-N says its own
    recolour: bool = False
    train_puzzles: int = 5000
    test_puzzles: int = 500
    givens: tuple[int, ...] = ()  # fewest and most clues; none: what is usual for the side
    hardest: float = 1.0
    walls: tuple[int, ...] = (30, 50)  # least and greatest share of a maze's cells, in percent
    hard: bool = False  # mazes: a shortest path of more than 0.122 moves a cell, as Maze-Hard
    data_seed: int = 0
    stream: str = "examples"  # or "groups": one random augmentation of each puzzle an epoch

    # Model: hrm, trm, urm, direct. `cycles` and `inner` are H and L cycles (HRM), T and n (TRM);
    # `cycles` alone counts URM's loops, of which the first `forward_only` have no gradient.
    model: str = "trm"
    width: int = 64
    heads: int = 4
    layers: tuple[int, ...] = (1,)  # of each module, or one number for all: HRM has H, L
    expansion: float = 4.0
    inner_multiple: int = 32
    mixer: str = "attention"  # or "mlp": over positions
    mixer_norm: str = "channels"  # or "positions", as TRM's code after its mlp
    positions: str = "rotary_grid"
    convolution: str = "none"  # KIND or KIND@PLACE, as in plane@mlp_input, row@mlp_expansion
    identity: str = "whole"  # or "parts": row of the task + row of the symmetry
    identity_tokens: int = 1
    identity_everywhere: bool = False
    cycles: int = 1
    inner: int = 3
    forward_only: int = 0
    read_each: bool = False

    # Deep supervision.
    segments: int = 8
    exploration: float = 0.1
    exploration_drawn: str = "segment"  # or "row"
    halting: str = "halt"  # or "halt_over_continue"
    continue_target: bool = False
    loss: str = "softmax"  # stablemax, stablemax64

    # Optimization. `batch` is the global one: all processes, all accumulated parts.
    steps: int = 1200
    epochs: int = 0
    batch: int = 32
    accumulate: int = 1
    optimizer: str = "adamw"  # adam_atan2, muon, muon_urm
    lr: float = 2e-3
    lr_end: float = 0.1  # the last rate as a share of the first; 1: constant after the warm-up
    warmup: int = 50
    weight_decay: float = 0.1
    identity_lr: float = 1e-2
    identity_weight_decay: float = 0.1
    clip: float = 1.0  # 0: no clipping
    ema: float = 0.99  # 0: none

    # Evaluation. `eval_segments` may name several counts, of which the first one is the headline;
    # none: as many as in training.
    eval_segments: tuple[int, ...] = ()
    eval_batch: int = 256
    votes: str = "checkpoint"  # or "pooled": beside, with those of earlier checkpoints, as pooled/…
    eval_every: int = 0  # 0: not while training
    eval_share: float = 0.1  # of the test puzzles, at random, while training
    best: str = ""  # metric of the validation by which the best checkpoint is kept: val/exact

    # Where and how.
    device: str = "auto"
    precision: str = "auto"  # bf16 on a GPU, else fp32
    compile: str = "off"  # blocks (quick to compile), segment (whole), graphs (CUDA graphs of it)
    checkpoint_every: int = 300
    keep: int = 0  # newest checkpoints that stay, 0: all
    log_every: int = 10
    threads: int = 2
    seed: int = 0


def read_settings(config: Mapping[str, Any], argv: Sequence[str] = ()) -> Settings:
    """Settings from a spec's [params] and `key=value` arguments, which win.

    Raises:
        ValueError: a key is unknown, or a value has the wrong type or makes no sense.
    """
    known = {field.name for field in fields(Settings)}
    given = dict(config)
    for argument in argv:
        key, equals, text = argument.partition("=")
        if not equals:
            raise ValueError(f"{argument!r}: write key=value")
        given[key] = text
    if unknown := sorted(given.keys() - known):
        near = get_close_matches(unknown[0], known, n=1)
        meant = f" (did you mean {near[0]}?)" if near else ""
        raise ValueError(
            f"no such setting: {', '.join(unknown)}{meant}; experiments/puzzles/settings.py has all"
        )
    defaults = asdict(Settings())
    typed = {k: _typed(k, v, type(defaults[k])) for k, v in given.items()}
    if not typed.get("eval_segments"):
        typed["eval_segments"] = (typed.get("segments", defaults["segments"]),)
    settings = Settings(**typed)
    _check(settings)
    return settings


CHOICES = {
    "stream": ("examples", "groups"),
    "model": ("hrm", "trm", "urm", "direct"),
    "mixer": ("attention", "mlp"),
    "mixer_norm": ("channels", "positions"),
    "positions": ("rotary_flat", "rotary_grid", "learned", "none"),
    "identity": ("whole", "parts"),
    "halting": ("halt", "halt_over_continue"),
    "exploration_drawn": ("segment", "row"),
    "votes": ("checkpoint", "pooled"),
    "loss": ("softmax", "stablemax", "stablemax64"),
    "optimizer": ("adamw", "adam_atan2", "muon", "muon_urm"),
    "precision": ("auto", "fp32", "bf16"),
    "compile": ("off", "blocks", "segment", "graphs"),
}
_AT_LEAST_ONE = ("width", "heads", "segments", "batch", "accumulate", "eval_batch")
_AT_LEAST_ONE += ("checkpoint_every", "log_every", "threads", "augmentations", "cycles", "inner")
_AT_LEAST_ONE += ("train_puzzles", "test_puzzles")
_AT_LEAST_ZERO = ("steps", "epochs", "eval_every", "keep", "warmup", "clip", "data_seed", "seed")
_AT_LEAST_ZERO += ("forward_only", "lr", "lr_end", "weight_decay")
_AT_LEAST_ZERO += ("identity_lr", "identity_weight_decay")


def _check(settings: Settings) -> None:
    _check_values(settings)
    if (settings.steps > 0) == (settings.epochs > 0):
        raise ValueError(
            f"steps={settings.steps} and epochs={settings.epochs}: say either steps or epochs;"
            " the other one is 0"
        )
    if settings.batch % settings.accumulate:
        raise ValueError(f"batch={settings.batch}: no multiple of accumulate={settings.accumulate}")
    if settings.best and not settings.eval_every:
        raise ValueError(f"best={settings.best}: nothing is evaluated while eval_every is 0")
    if settings.compile == "graphs" and settings.accumulate > 1:
        raise ValueError("compile=graphs keeps the results of one part only: set accumulate=1")
    if settings.best and not settings.best.startswith("val/"):
        raise ValueError(f"best={settings.best}: a metric of the validation, as in best=val/exact")


def _check_values(settings: Settings) -> None:
    for key, allowed in CHOICES.items():
        if getattr(settings, key) not in allowed:
            raise ValueError(f"{key}={getattr(settings, key)!r}: one of {', '.join(allowed)}")
    _check_numbers(settings)
    if min(settings.eval_segments) < 1:
        raise ValueError(f"eval_segments={list(settings.eval_segments)}: counts of at least 1")


def _check_numbers(settings: Settings) -> None:
    for key in _AT_LEAST_ONE:
        if getattr(settings, key) < 1:
            raise ValueError(f"{key}={getattr(settings, key)}: at least 1")
    for key in _AT_LEAST_ZERO:
        if not getattr(settings, key) >= 0:
            raise ValueError(f"{key}={getattr(settings, key)}: at least 0")
    if not 0 < settings.expansion < math.inf:
        raise ValueError(f"expansion={settings.expansion}: a number above 0")
    if not 0 < settings.hardest <= 1:
        raise ValueError(f"hardest={settings.hardest}: above 0 and up to 1, which keeps all")
    if not 0 < settings.eval_share <= 1:
        raise ValueError(f"eval_share={settings.eval_share}: above 0 and up to 1")


def _typed(key: str, value: Any, kind: type) -> Any:
    """`value` as `kind`: JSON and TOML know no difference between 1 and 1.0, argv only text."""
    if kind is tuple:
        several = value.split(",") if isinstance(value, str) else value
        several = several if isinstance(several, (list, tuple)) else [several]
        return tuple(_typed(key, one, int) for one in several)
    try:
        if kind is bool:
            return {"true": True, "1": True, "false": False, "0": False}[str(value).lower()]
        converted = kind(value)
    except (KeyError, ValueError, TypeError) as error:
        raise ValueError(f"{key}={value!r}: not {kind.__name__}") from error
    if kind is int and float(value) != converted:
        raise ValueError(f"{key}={value!r}: not int")
    return converted
