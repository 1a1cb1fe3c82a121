"""Examples of SAGE with their features and labels: what the names in the settings stand for.

Four parts. `test`: the pairs of tasks that nothing trains on. Of the other tasks `asked`, the test
questions as ARC asks them; and of their demonstrations `val`, by which trainings are watched, and
`train`. Only questions reach the extractor.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from experiments.common.rehearsal import shown
from experiments.sage.settings import Settings
from models import groot
from models.arc import COLOURS, FIRST_COLOUR, encode
from models.arc_pairs import (
    Example,
    augmented,
    describe,
    divide,
    load_examples,
    permute_answers,
)
from models.feature_cache import Cached, extract, read
from models.features import FeatureExtractor, Rendered
from models.puzzles import IGNORE

Part = Literal["train", "val", "asked", "test"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """One part: N examples, their rows in the cache of features, and what is to be predicted.

    `labels_NS` are colours on the canvas, IGNORE around the answer (or 0: `padding=class_0`);
    `questions_NS` and `answers_NS` are token canvases of models/arc.py; `sizes_N2` rows and
    columns of the answers.
    """

    examples: tuple[Example, ...]
    rows_N: NDArray[np.int64]
    labels_NS: Tensor
    sizes_N2: Tensor
    questions_NS: NDArray[np.uint8]
    answers_NS: NDArray[np.uint8]

    def first(self, size: int) -> "Pairs":
        """The first examples only."""
        return Pairs(
            examples=self.examples[:size],
            rows_N=self.rows_N[:size],
            labels_NS=self.labels_NS[:size],
            sizes_N2=self.sizes_N2[:size],
            questions_NS=self.questions_NS[:size],
            answers_NS=self.answers_NS[:size],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """All parts and their features; `facts` tells these data from others.

    `aligned` is the extractor's: whether tokens are the cells of the canvas.
    """

    parts: dict[Part, Pairs]
    features: Cached
    aligned: bool
    facts: dict[str, Any]

    def colour_counts(self) -> Tensor:
        """Cells of each colour [C] among the labels of training."""
        labels = self.parts["train"].labels_NS
        return torch.bincount(labels[labels != IGNORE], minlength=COLOURS)

    def shortened(self, evaluated: Collection[Part]) -> "Data":
        """The data, in a rehearsal with fewer examples of these parts."""
        parts = {
            name: pairs.first(shown(len(pairs.examples))) if name in evaluated else pairs
            for name, pairs in self.parts.items()
        }
        return replace(self, parts=parts)


def load_data(settings: Settings) -> Data:
    """Divide the pairs, and extract the features that are not in the cache yet.

    Raises:
        ValueError: as the modules that do it say.
    """
    outer = divide(
        _answered(load_examples(settings.side), settings),
        by="task",
        share=settings.test_share,
        seed=settings.data_seed,
    )
    shown = [example for example in outer.train if example.part == "train"]
    inner = divide(shown, by=settings.divide, share=settings.val_share, seed=settings.data_seed + 1)
    trained_tasks = {example.task for example in inner.train}
    chosen: dict[Part, Sequence[Example]] = {
        "train": augmented(inner.train, settings.forms, settings.data_seed),
        "val": inner.held_out,
        "asked": [e for e in outer.train if e.part == "test" and e.task in trained_tasks],
        "test": outer.held_out,
    }
    chosen["train"] = _answered(chosen["train"], settings)  # the forms have other colours
    for part, some in chosen.items():
        if not some:
            raise ValueError(
                f"the {part} part is empty: side={settings.side}, test_share={settings.test_share},"
                f" val_share={settings.val_share} leave nothing for it; take a larger side"
            )
    if settings.permute:
        chosen["train"] = permute_answers(chosen["train"], settings.data_seed)
    extractor = make_extractor(settings)
    questions = {e.name: e.question for some in chosen.values() for e in some}
    folder = extract(extractor, questions, progress=_tell)
    features = read(folder)
    return Data(
        parts={name: _pairs(some, features, settings) for name, some in chosen.items()},
        features=features,
        aligned=extractor.aligned,
        facts={
            "features": folder.name,
            "tasks": describe(outer)["held_out_tasks"],
            "answers": settings.answers,
            "divide": settings.divide,
            "permute": settings.permute,
            "forms": settings.forms,
            "padding": settings.padding,
        },
    )


def _answered(examples: Sequence[Example], settings: Settings) -> Sequence[Example]:
    """With the answers of the settings: ARC's own, or each colour of the question by the next."""
    if settings.answers == "arc":
        return examples
    return [replace(e, answer=(e.question + 1) % COLOURS) for e in examples]


def make_extractor(settings: Settings) -> FeatureExtractor:
    """The extractor that the settings name.

    Raises:
        ValueError: it cannot be made; the error says what is missing.
    """
    if settings.extractor == "groot":
        return groot.load(Path(settings.groot), licence_accepted=settings.licence_accepted)
    return Rendered(side=settings.side, width=settings.features)


def _tell(done: int, of: int) -> None:
    if done % 500 == 0 or done == of:
        print(f"features: {done} of {of}", flush=True)


def _pairs(examples: Sequence[Example], features: Cached, settings: Settings) -> Pairs:
    answers_NS = np.stack([encode(example.answer, settings.side) for example in examples])
    labels_NS = torch.from_numpy(answers_NS.astype(np.int64)) - FIRST_COLOUR
    outside = 0 if settings.padding == "class_0" else IGNORE
    return Pairs(
        examples=tuple(examples),
        rows_N=features.rows(examples),
        labels_NS=labels_NS.masked_fill(labels_NS < 0, outside),
        sizes_N2=torch.tensor([example.answer.shape for example in examples]),
        questions_NS=np.stack([encode(example.question, settings.side) for example in examples]),
        answers_NS=answers_NS,
    )
