"""A language model as a task of the training loop, with a teacher or without one."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from experiments.common.checkpoints import seed_everything
from experiments.common.rehearsal import shown
from experiments.common.task import Part, computing
from experiments.common.world import World
from experiments.distill.settings import TERMS, Settings
from experiments.distill.student import Taught, own_student, student_of
from experiments.distill.teachers import load_teacher
from models import corpus
from models.alignment import Alignment, align, check_vocabularies
from models.distill import cross_entropy
from models.lm import LanguageModel
from models.objective import read_weights
from models.puzzles import IGNORE
from models.stream import Passes
from models.text import identity

_LARGEST = 700.0  # nats whose exponential is a number

Batch = tuple[Tensor, Tensor]  # tokens and labels, both [B, L]


class LanguageTask:
    """The student, its text, its teacher and the objective that the settings name.

    `ends` are the last checkpoints of the members that were trained before.

    Raises:
        ValueError: the settings, the text or the teacher cannot be used.
    """

    def __init__(self, settings: Settings, world: World, ends: Mapping[str, Path]) -> None:
        self.settings, self.device = settings, world.device
        self.weights = read_weights(settings.weights, TERMS)
        found, vocabulary = student_of(settings)
        chosen = _corpus(settings)
        own = vocabulary is None
        self.text = _own_text(chosen) if own else corpus.build(chosen, vocabulary=vocabulary)
        self.teacher = load_teacher(settings, ends, world.device) if settings.teacher else None
        alignment = self._alignment()
        seed_everything(settings.seed)
        student = own_student(settings, self.text.vocabulary) if found is None else found
        taught = Taught(student.to(world.device), self.teacher, alignment, settings, self.weights)
        self.module = taught.to(world.device)
        blocks = self.text.train.examples
        share = max(1, round(settings.train_share * blocks))
        self._rows: dict[Part, NDArray[np.int64]] = {
            "train": np.sort(Passes(blocks, settings.data_seed).window(0, share)),
            "val": np.arange(shown(self.text.val.examples)),
        }
        self.sizes = {part: len(rows) for part, rows in self._rows.items()}
        self.facts = {
            "corpus": self.text.identity,
            "vocabulary": identity(self.text.vocabulary),
            "train_share": settings.train_share,
            "model": asdict(student.config) if isinstance(student, LanguageModel) else {},
        }
        self.attached = {"vocabulary": self.text.vocabulary.to_json()} if own else {}
        self.lower_is_better = frozenset(
            {"cross_entropy", "perplexity", "bits_per_byte", "above_bound"}
        )
        self._baselines: dict[str, float] = {}

    def _alignment(self) -> Alignment | None:
        """How the teacher's tokens are the student's; None if they are the same.

        Raises:
            ValueError: they are not, and `align` is not set.
        """
        if self.teacher is None:
            return None
        ours, theirs = self.text.vocabulary.texts, self.teacher.vocabulary.texts
        if self.settings.align and ours != theirs:
            return align(ours, theirs)
        try:
            check_vocabularies(ours, theirs)
        except ValueError as error:
            raise ValueError(f"{error}; align=true does so, with kd=top_k") from error
        return None

    def batch(self, rows: NDArray[np.int64], part: Part) -> Batch:
        """These blocks of a part, on the processor."""
        split = self.text.train if part == "train" else self.text.val
        return split.read(self._rows[part][rows])

    def counts(self, batch: Batch) -> dict[str, float]:
        """Every term is a mean over the tokens that have a next one."""
        tokens = float((batch[1] != IGNORE).sum())
        return dict.fromkeys(self.weights.terms, tokens)

    def totals(self, batch: Batch) -> dict[str, Tensor]:
        """Sums of the terms over a batch."""
        tokens_BL, labels_BL = (tensor.to(self.device) for tensor in batch)
        return {term: values.sum() for term, values in self.module(tokens_BL, labels_BL).items()}

    def scores(self) -> dict[str, float]:
        """Scores of the student on the validation text, beside the teacher's and those of no model.

        cross_entropy: nats a token; above_bound: its distance from the text's own entropy, where
        that is known; accuracy: tokens whose likeliest next one is right; bits_per_byte: comparable
        over vocabularies.
        """
        found = self._scores(self.module.student)
        if not self._baselines:
            self._baselines = self._without_student()
        return found | self._baselines

    def _scores(self, model: nn.Module) -> dict[str, float]:
        loss = right = 0.0
        tokens = 0
        for logits_NV, labels_N in self._answers(model):
            loss += float(cross_entropy(logits_NV, labels_N).sum())
            right += float((logits_NV.argmax(-1) == labels_N).sum())
            tokens += len(labels_N)
        mean = loss / tokens
        scores = {
            "cross_entropy": mean,
            "perplexity": math.exp(mean) if mean < _LARGEST else math.inf,
            "accuracy": right / tokens,
            "bits_per_byte": loss / math.log(2) / self._bytes(tokens),
        }
        if self.text.bound is not None:
            scores["above_bound"] = mean - self.text.bound
        return scores

    def _bytes(self, tokens: int) -> float:
        """Bytes of the validation text that was scored: all, or in a rehearsal its share."""
        return self.text.val_bytes * tokens / self.text.val.targets

    def _answers(self, model: nn.Module) -> Iterator[tuple[Tensor, Tensor]]:
        """Logits [N, V] and labels [N] of the validation text, batch by batch."""
        step = self.settings.eval_batch
        for first in range(0, self.sizes["val"], step):
            rows = np.arange(first, min(first + step, self.sizes["val"]))
            tokens_BL, labels_BL = (tensor.to(self.device) for tensor in self.batch(rows, "val"))
            valid_BL = labels_BL != IGNORE
            with computing(self.settings, self.device):
                said = model(tokens_BL)
                logits_NV = said.logits(said.hidden_BLD[valid_BL])
            yield logits_NV.float(), labels_BL[valid_BL]

    def _without_student(self) -> dict[str, float]:
        """baseline/uniform, /unigram (frequencies of the training text) and /teacher."""
        size = len(self.text.vocabulary.texts)
        counts_V = np.ones(size)  # one more than there are: no token is impossible
        seen_N, asked_N = (self._labels(part) for part in ("train", "val"))
        counts_V += np.bincount(seen_N, minlength=size)
        nats_V = -np.log(counts_V / counts_V.sum())
        found = {
            "baseline/uniform/cross_entropy": math.log(size),
            "baseline/unigram/cross_entropy": float(nats_V[asked_N].mean()),
        }
        same = self.teacher is not None and self.module.alignment is None
        if same:
            theirs = self._scores(self.teacher.model)
            found |= {f"baseline/teacher/{k}": theirs[k] for k in ("cross_entropy", "accuracy")}
        return found

    def _labels(self, part: Part) -> NDArray[np.int64]:
        """All tokens of a part that are predicted."""
        _, labels_BL = self.batch(np.arange(self.sizes[part]), part)
        return labels_BL[labels_BL != IGNORE].numpy()


@lru_cache(maxsize=2)
def _own_text(chosen: corpus.CorpusSettings) -> corpus.Corpus:
    """Text with a vocabulary of its own; made once for all members of a comparison."""
    return corpus.build(chosen)


def _corpus(settings: Settings) -> corpus.CorpusSettings:
    return corpus.CorpusSettings(
        source=settings.corpus,
        documents=settings.documents,
        held_out=settings.held_out,
        vocabulary=settings.vocabulary,
        context=settings.context,
        layout=settings.layout,
        seed=settings.data_seed,
    )
