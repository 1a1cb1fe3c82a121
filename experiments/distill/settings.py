"""Settings of distillation: what a spec's [params] and the programs' arguments may say."""

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
from models.objective import read_weights

# Terms that compare with a teacher; "ce" needs none.
TAUGHT = ("kd", "hidden", "relations", "attention")
TERMS = ("ce", *TAUGHT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(TrainingSettings):
    """Every parameter; defaults of TrainingSettings hold."""

    # Text: models/corpus.py. `train_share` trains on a part of the blocks only.
    corpus: str = "grammar"  # docs, both
    documents: int = 20_000
    held_out: float = 0.03
    train_share: float = 1.0
    vocabulary: int = 1024
    context: int = 128
    layout: str = "packed"
    data_seed: int = 0

    # The model that is trained: models/lm.py, or "hf:FOLDER" to go on from.
    student: str = "own"
    width: int = 64
    layers: int = 2
    heads: int = 4

    # The teacher: a checkpoint of this program, "member:NAME" of a comparison, or "hf:FOLDER".
    teacher: str = ""
    align: bool = False  # a teacher of another vocabulary: compare the tokens of equal text

    # Objective: weights of the terms ce, kd, hidden, relations and attention.
    weights: dict[str, Any] = field(default_factory=lambda: {"ce": 1.0})
    temperature: float = 2.0
    kd: str = "top_k"  # full, top_k_renormalised, sampled
    k: int = 64  # tokens that are kept or drawn
    relation_heads: int = 4


CHOICES = {
    "corpus": ("grammar", "docs", "both"),
    "layout": ("packed", "padded"),
    "kd": ("full", "top_k", "top_k_renormalised", "sampled"),
}
_AT_LEAST_ONE = ("documents", "vocabulary", "context", "width", "layers", "heads", "k")
_AT_LEAST_ONE += ("relation_heads",)


def read_settings(config: Mapping[str, Any], argv: Sequence[str] = ()) -> Settings:
    """Settings from a spec's [params] and `key=value` arguments, which win.

    Raises:
        ValueError: a key is unknown, or a value has the wrong type or makes no sense.
    """
    settings = Settings(**read_typed(Settings, config, argv, "experiments/distill/settings.py"))
    check_training(settings)
    one_of(settings, CHOICES)
    at_least(settings, 1, _AT_LEAST_ONE)
    at_least(settings, 0, ("data_seed",))
    if not settings.temperature > 0:
        raise ValueError(f"temperature={settings.temperature}: above 0")
    if not 0 < settings.train_share <= 1:
        raise ValueError(f"train_share={settings.train_share}: above 0 and up to 1")
    _check_teacher(settings)
    return settings


def _check_teacher(settings: Settings) -> None:
    terms = read_weights(settings.weights, TERMS).terms
    taught = [name for name in terms if name in TAUGHT]
    if taught and not settings.teacher:
        raise ValueError(
            f"weights has {', '.join(taught)}, and there is no teacher: write teacher=CHECKPOINT,"
            " or weights=ce:1"
        )
    if settings.teacher and not taught:
        raise ValueError(
            f"teacher={settings.teacher}: no term of weights compares with it; give a weight to"
            f" {' or '.join(TAUGHT)}"
        )
    if settings.align and "kd" in terms and settings.kd != "top_k":
        raise ValueError(f"kd={settings.kd}: with align only top_k knows what is left over")
