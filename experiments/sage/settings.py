"""Settings of SAGE: what a spec's [params] and the programs' arguments may say."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
    """Every parameter; defaults of TrainingSettings hold."""

    # Data: pairs of the training tasks of ARC-1 whose grids fit in side x side. `test_share` of the
    # tasks is never trained on; of the others `val_share` is kept for validation.
    side: int = 10
    test_share: float = 0.15
    val_share: float = 0.15
    divide: str = "task"  # how validation is kept apart; "pair" is the original's mistake
    answers: str = "arc"  # "recoloured": each colour by the next, a rule that needs no other pair
    forms: int = 8  # of each training pair: turned, reflected, recoloured
    permute: bool = False  # train on answers of other questions: what is learned without a question
    data_seed: int = 0

    # Features: "rendered", or "groot" with the folder of its weights, whose licence you accept.
    extractor: str = "rendered"
    groot: str = ""
    groot_licence: bool = False
    features: int = 256  # width of rendered ones

    # Model: models/sage.py.
    model: str = "student"  # or "original"
    width: int = 64
    heads: int = 4
    layers: int = 2
    decoder_layers: int = 2
    pool: int = 1
    dropout: float = 0.1

    # Objective: weights of the terms cells, shape and feature.
    weights: dict[str, Any] = field(
        default_factory=lambda: {"cells": 1.0, "shape": 0.2, "feature": 0.1}
    )
    class_weights: str = "none"  # inverse, effective (number of samples)
    cap: float = 10.0  # the greatest class weight over the smallest
    beta: float = 0.99999  # of the effective number: near 1 - 1 / (cells of a common colour)
    gamma: float = 0.0  # of the focal loss; 0 is cross-entropy
    padding: str = "masked"  # "class_0" is the original's mistake: cells around the answer count
    feature_norm: str = "dimension"  # "token" is the original's mistake: summed over the dimensions


CHOICES = {
    "answers": ("arc", "recoloured"),
    "divide": ("task", "pair"),
    "extractor": ("rendered", "groot"),
    "model": ("student", "original"),
    "class_weights": ("none", "inverse", "effective"),
    "padding": ("masked", "class_0"),
    "feature_norm": ("dimension", "token"),
}
_AT_LEAST_ONE = (
    "side",
    "forms",
    "features",
    "width",
    "heads",
    "layers",
    "decoder_layers",
    "pool",
    "cap",
)


def read_settings(config: Mapping[str, Any], argv: Sequence[str] = ()) -> Settings:
    """Settings from a spec's [params] and `key=value` arguments, which win.

    Raises:
        ValueError: a key is unknown, or a value has the wrong type or makes no sense.
    """
    settings = Settings(**read_typed(Settings, config, argv, "experiments/sage/settings.py"))
    check_training(settings)
    one_of(settings, CHOICES)
    at_least(settings, 1, _AT_LEAST_ONE)
    at_least(settings, 0, ("data_seed", "gamma"))
    if not 0 <= settings.dropout < 1:
        raise ValueError(f"dropout={settings.dropout}: from 0 to below 1")
    if 0 < settings.gamma < 1:
        raise ValueError(f"gamma={settings.gamma}: 0 (cross-entropy) or at least 1 (focal)")
    if settings.cap == math.inf:
        raise ValueError("cap=inf: a finite one, or class_weights=none")
    if settings.extractor == "groot" and not settings.groot:
        raise ValueError("extractor=groot: write groot=FOLDER too, the folder of its weights")
    return settings
