"""What is trained: the student, with the projections that compare it with its teacher."""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from experiments.distill.settings import Settings
from experiments.distill.teachers import HF, Teacher
from models import distill
from models.alignment import Alignment
from models.distill_features import (
    HiddenStates,
    attention_losses,
    even_layers,
    relation_losses,
)
from models.hf import load_hf
from models.lm import Keep, LanguageModel, LmConfig, LmOutput
from models.objective import Weights
from models.puzzles import IGNORE
from models.text import Vocabulary

_KEPT: Mapping[str, frozenset[Keep]] = {
    "hidden": frozenset({"states"}),
    "relations": frozenset({"queries", "keys", "values"}),
    "attention": frozenset({"attentions"}),
}


def student_of(settings: Settings) -> tuple[nn.Module | None, Vocabulary | None]:
    """A Hugging Face student with its vocabulary, or neither: ours is made for its text.

    Raises:
        ValueError: there is no such folder, or `student` is no model.
    """
    if settings.student == "own":
        return None, None
    if settings.student.startswith(HF):
        return load_hf(Path(settings.student.removeprefix(HF)))
    raise ValueError(f"student={settings.student}: write own, or hf:FOLDER")


def own_student(settings: Settings, vocabulary: Vocabulary) -> LanguageModel:
    """A model of ours in the sizes of the settings.

    Raises:
        ValueError: sizes that do not go together.
    """
    return LanguageModel(
        LmConfig(
            vocabulary=len(vocabulary.texts),
            width=settings.width,
            layers=settings.layers,
            heads=settings.heads,
            context=settings.context,
        )
    )


class Taught(nn.Module):
    """A student, and per token how far it is from the text and from its teacher.

    All parameters are here, projections too, so none is left out of the optimizer.
    """

    def __init__(
        self,
        student: nn.Module,
        teacher: Teacher | None,
        alignment: Alignment | None,
        settings: Settings,
        weights: Weights,
    ) -> None:
        super().__init__()
        self.student = student
        self._teacher = [] if teacher is None else [teacher.model]  # a list: not a part of this
        self.alignment, self._settings, self._terms = alignment, settings, weights.terms
        self._keep = frozenset[Keep]().union(*(_KEPT.get(term, ()) for term in self._terms))
        _check(student, teacher, settings, weights.terms)
        self.hidden: HiddenStates | None = None
        self.pairs: tuple[tuple[int, int], ...] = ()
        if self._keep and teacher is not None:
            ours, theirs = (_shape(model) for model in (student, teacher.model))
            self.pairs = even_layers(ours[0], theirs[0])
            if "hidden" in self._terms:
                self.hidden = HiddenStates(self.pairs, ours[1], theirs[1])

    def forward(self, tokens_BL: Tensor, labels_BL: Tensor) -> dict[str, Tensor]:
        """Each term's value at every token with a label, [N], in nats where it is a divergence.

        Raises:
            ValueError: the teacher and the student cannot be compared.
        """
        said = self.student(tokens_BL, keep=self._keep)
        valid_BL = labels_BL != IGNORE
        student_NV = said.logits(said.hidden_BLD[valid_BL])
        taught = self._taught(tokens_BL, valid_BL, said, student_NV)
        made: dict[str, Callable[[], Tensor]] = {
            "ce": lambda: distill.cross_entropy(student_NV, labels_BL[valid_BL]),
            **taught,
        }
        return {term: made[term]() for term in self._terms}

    def _taught(
        self, tokens_BL: Tensor, valid_BL: Tensor, said: LmOutput, student_NV: Tensor
    ) -> dict[str, Callable[[], Tensor]]:
        """The terms that compare with the teacher; without one there are none."""
        if not self._teacher:
            return {}
        shown_BL = tokens_BL if self.alignment is None else self.alignment.for_teacher(tokens_BL)
        with torch.no_grad():
            theirs = self._teacher[0](shown_BL, keep=self._keep)
            teacher_NV = theirs.logits(theirs.hidden_BLD[valid_BL]) if "kd" in self._terms else None
        heads = self._settings.relation_heads
        return {
            "kd": lambda: self._kd(student_NV, teacher_NV),
            "hidden": lambda: self.hidden(said.states, theirs.states, valid_BL),
            "relations": lambda: relation_losses(_last(said), _last(theirs), heads, valid_BL),
            "attention": lambda: attention_losses(
                said.attentions, theirs.attentions, self.pairs, valid_BL
            ),
        }

    def _kd(self, student_NV: Tensor, teacher_NV: Tensor) -> Tensor:
        kind, k, temperature = self._settings.kd, self._settings.k, self._settings.temperature
        if kind == "full":
            return distill.kd_full(student_NV, teacher_NV, temperature)
        if kind == "sampled":
            return distill.kd_sampled(student_NV, distill.sample(teacher_NV, k, temperature))
        kept = distill.top_k(teacher_NV, k, temperature, self.alignment)
        if kind == "top_k":
            return distill.kd_top_k(student_NV, kept)
        return distill.kd_top_k_renormalised(student_NV, kept)


def _check(
    student: nn.Module, teacher: Teacher | None, settings: Settings, terms: tuple[str, ...]
) -> None:
    """Refuse before the first step what would be refused in it.

    Raises:
        ValueError: more tokens kept than there are, or heads that do not divide a width.
    """
    if teacher is None:
        return
    vocabulary = len(teacher.vocabulary.texts)
    if "kd" in terms and settings.kd.startswith("top_k") and settings.k > vocabulary:
        raise ValueError(f"k={settings.k}: the teacher has {vocabulary:,} tokens")
    for model in (student, teacher.model) if "relations" in terms else ():
        if _shape(model)[1] % settings.relation_heads:
            raise ValueError(
                f"relation_heads={settings.relation_heads}: does not divide a width of"
                f" {_shape(model)[1]}"
            )


def _last(said: LmOutput) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values of the last layer."""
    return said.queries[-1], said.keys[-1], said.values[-1]


@torch.no_grad()
def _shape(model: nn.Module) -> tuple[int, int]:
    """Layers and width, as a pass over two tokens shows them."""
    device = next(model.parameters()).device
    states = model(torch.zeros(1, 2, dtype=torch.long, device=device), keep=frozenset({"states"}))
    return len(states.states) - 1, states.states[-1].shape[-1]
