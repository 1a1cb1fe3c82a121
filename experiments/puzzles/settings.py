"""Settings of the puzzle studies: what a spec's [params] and the programs' arguments may say."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from experiments.common.settings import (
    TrainingSettings,
    at_least,
    check_training,
    one_of,
    read_typed,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(TrainingSettings):
    """Every parameter. An optimizer step is one segment; defaults of TrainingSettings hold."""

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

    # Optimization of the identity table.
    identity_lr: float = 1e-2
    identity_weight_decay: float = 0.1

    # Evaluation. `eval_segments` may name several counts, of which the first one is the headline;
    # none: as many as in training.
    eval_segments: tuple[int, ...] = ()
    votes: str = "checkpoint"  # or "pooled": beside, with those of earlier checkpoints, as pooled/…
    eval_share: float = 0.1  # of the test puzzles, at random, while training

    compile: str = "off"  # blocks (quick to compile), segment (whole), graphs (CUDA graphs of it)


def read_settings(config: Mapping[str, Any], argv: Sequence[str] = ()) -> Settings:
    """Settings from a spec's [params] and `key=value` arguments, which win.

    Raises:
        ValueError: a key is unknown, or a value has the wrong type or makes no sense.
    """
    typed = read_typed(Settings, config, argv, "experiments/puzzles/settings.py")
    if not typed.get("eval_segments"):
        typed["eval_segments"] = (typed.get("segments", Settings().segments),)
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
    "compile": ("off", "blocks", "segment", "graphs"),
}
_AT_LEAST_ONE = ("width", "heads", "segments", "augmentations", "cycles", "inner")
_AT_LEAST_ONE += ("train_puzzles", "test_puzzles")
_AT_LEAST_ZERO = ("data_seed", "forward_only", "identity_lr", "identity_weight_decay")


def _check(settings: Settings) -> None:
    one_of(settings, CHOICES)
    check_training(settings)
    at_least(settings, 1, _AT_LEAST_ONE)
    at_least(settings, 0, _AT_LEAST_ZERO)
    if min(settings.eval_segments) < 1:
        raise ValueError(f"eval_segments={list(settings.eval_segments)}: counts of at least 1")
    if not 0 < settings.expansion < math.inf:
        raise ValueError(f"expansion={settings.expansion}: a number above 0")
    if not 0 < settings.hardest <= 1:
        raise ValueError(f"hardest={settings.hardest}: above 0 and up to 1, which keeps all")
    if not 0 < settings.eval_share <= 1:
        raise ValueError(f"eval_share={settings.eval_share}: above 0 and up to 1")
    if settings.compile == "graphs" and settings.accumulate > 1:
        raise ValueError("compile=graphs keeps the results of one part only: set accumulate=1")
