"""Where a teacher comes from: a checkpoint of this program, or a Hugging Face folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from experiments.common.fit import read_state
from experiments.common.task import put
from experiments.distill.settings import Settings
from models.hf import load_hf
from models.lm import LanguageModel, LmConfig
from models.text import BpeVocabulary, Vocabulary

HF = "hf:"
MEMBER = "member:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Teacher:
    """A model that is not trained, and the vocabulary of its ids."""

    model: nn.Module
    vocabulary: Vocabulary


def load_teacher(settings: Settings, ends: Mapping[str, Path], device: torch.device) -> Teacher:
    """The teacher that the settings name, on the device; of a checkpoint the averaged weights.

    `ends` are the last checkpoints of the members that were trained before.

    Raises:
        ValueError: it cannot be read, or is no language model.
    """
    if settings.teacher.startswith(HF):
        model, vocabulary = load_hf(Path(settings.teacher.removeprefix(HF)))
        return Teacher(model=_frozen(model, device), vocabulary=vocabulary)
    path = _checkpoint(settings.teacher, ends)
    saved = read_state(path)
    if "vocabulary" not in saved["attached"]:
        raise ValueError(
            f"{path}: no checkpoint of experiments/distill with a model of ours; of a Hugging Face"
            " model give the folder, teacher=hf:FOLDER"
        )
    model = LanguageModel(LmConfig(**saved["facts"]["model"]))
    put(model, of_student(saved["average"]))
    vocabulary = BpeVocabulary.from_json(saved["attached"]["vocabulary"])
    return Teacher(model=_frozen(model, device), vocabulary=vocabulary)


def of_student(weights: Mapping[str, Any]) -> dict[str, Any]:
    """The weights of the language model alone: a checkpoint also has the projections."""
    return {
        name.removeprefix("student."): value
        for name, value in weights.items()
        if name.startswith("student.")
    }


def _frozen(model: nn.Module, device: torch.device) -> nn.Module:
    return model.requires_grad_(requires_grad=False).eval().to(device)


def _checkpoint(teacher: str, ends: Mapping[str, Path]) -> Path:
    if not teacher.startswith(MEMBER):
        return Path(teacher)
    name = teacher.removeprefix(MEMBER)
    found = [path for label, path in ends.items() if label.rpartition("/")[0] == name]
    if not found:
        before = ", ".join(ends) or "none"
        raise ValueError(f"teacher={teacher}: no such member was trained before (there: {before})")
    return found[0]
