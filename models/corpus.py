"""Text to train language models on, as blocks of tokens that are read by number.

    grammar   documents of models/grammar.py, by number; their surprisal bounds every model's loss
    docs      this repository's own: *.md, docs/*.md, benchmarks/*.md and the README.md of every
              experiment, by name. They change with the repository, and their identity with them
    both      the documents of both

Documents are held out whole. The vocabulary is learned from the others alone. All is made on the
spot, the same for the same settings and documents.

Shapes: N blocks, L tokens of a block, B rows.
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.grammar import Document, Grammar, Sizes
from models.puzzles import IGNORE
from models.stream import philox
from models.text import BpeVocabulary, Vocabulary

Source = Literal["grammar", "docs", "both"]
Layout = Literal["packed", "padded"]

ROOT = Path(__file__).resolve().parents[1]

_DOCUMENTS = ("*.md", "docs/*.md", "benchmarks/*.md", "experiments/*/README.md")


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusSettings:
    """What a corpus is made from.

    `documents` is how many the grammar writes, `held_out` the share of the documents of each source
    that is validated on, `vocabulary` the most ids (257 are the bytes and an end). "packed" puts
    document after document into blocks of `context` tokens; "padded" begins each in a block of its
    own.

    Raises:
        ValueError: a setting out of range.
    """

    source: Source = "grammar"
    documents: int = 20_000
    held_out: float = 0.03
    vocabulary: int = 1024
    context: int = 128
    layout: Layout = "packed"
    seed: int = 0

    def __post_init__(self) -> None:
        choices = {"source": get_args(Source), "layout": get_args(Layout)}
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}={getattr(self, name)!r}: choose {' or '.join(allowed)}")
        for name, least in (("documents", 2), ("context", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)}: must be at least {least}")
        if not 0 < self.held_out < 1:
            raise ValueError(f"held_out={self.held_out}: choose a share between 0 and 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """Blocks of tokens, each with the one that follows its last, padded on the right.

    Every token of the text but its first is the next of exactly one position of one block.
    """

    tokens_NL: NDArray[np.int32]  # L = context + 1
    lengths_N: NDArray[np.int32]

    @property
    def examples(self) -> int:
        """Number of blocks N."""
        return len(self.tokens_NL)

    @property
    def targets(self) -> int:
        """How many tokens are predicted in all blocks together."""
        return int((self.lengths_N - 1).sum())

    def read(self, rows_B: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Inputs and labels of these blocks, both [B, L] int64, as long as the longest of them.

        Labels are the next tokens, IGNORE where there is none: inputs there mean nothing.
        """
        lengths_B = self.lengths_N[rows_B]
        tokens_BL = self.tokens_NL[rows_B, : lengths_B.max()].astype(np.int64)
        inputs_BL, labels_BL = tokens_BL[:, :-1].copy(), tokens_BL[:, 1:].copy()
        beyond_BL = np.arange(labels_BL.shape[1]) >= lengths_B[:, None] - 1
        labels_BL[beyond_BL] = IGNORE
        return torch.from_numpy(inputs_BL), torch.from_numpy(labels_BL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """Two splits by document, and what can be said of them.

    `bound` is the surprisal of the held-out documents in nats a predicted token, which no model's
    mean loss on them can beat but by chance; None where the text has no known one. `val_bytes` are
    the bytes of the held-out text with one for each end: loss * val.targets / val_bytes compares
    vocabularies. `identity` is a hash of every document and its split.
    """

    vocabulary: Vocabulary
    train: Blocks
    val: Blocks
    bound: float | None
    val_bytes: int
    identity: str


def build(
    settings: CorpusSettings, *, vocabulary: Vocabulary | None = None, root: Path = ROOT
) -> Corpus:
    """The corpus of these settings, in a vocabulary of its own or in the one that is given.

    Raises:
        ValueError: too few documents to hold some out and train on others.
    """
    train: list[Document] = []
    val: list[Document] = []
    for source in _sources(settings, root):
        held = max(1, round(settings.held_out * len(source)))
        if held >= len(source):
            raise ValueError(
                f"{settings.source}: {len(source)} documents cannot be trained on with {held} held"
                f" out (held_out={settings.held_out}); take more documents"
            )
        order = philox(settings.seed, 0).permutation(len(source))
        val += [source[i] for i in np.sort(order[:held])]
        train += [source[i] for i in np.sort(order[held:])]
    if vocabulary is None:
        vocabulary = BpeVocabulary.train((d.text for d in train), settings.vocabulary)
    blocks = _blocks(val, vocabulary, settings)
    nats = [document.nats for document in val]
    known = [n for n in nats if n is not None]
    return Corpus(
        vocabulary=vocabulary,
        train=_blocks(train, vocabulary, settings),
        val=blocks,
        bound=math.fsum(known) / blocks.targets if len(known) == len(nats) else None,
        val_bytes=sum(len(document.text.encode()) + 1 for document in val),
        identity=_identity(train, val),
    )


def _sources(settings: CorpusSettings, root: Path) -> list[list[Document]]:
    made: dict[str, Callable[[], list[Document]]] = {
        "grammar": lambda: _written(settings),
        "docs": lambda: _found(root),
    }
    return [made[name]() for name in made if settings.source in (name, "both")]


def _written(settings: CorpusSettings) -> list[Document]:
    grammar = Grammar(Sizes(seed=settings.seed))
    return [grammar.document(number) for number in range(settings.documents)]


def _found(root: Path) -> list[Document]:
    paths = [path for pattern in _DOCUMENTS for path in sorted(root.glob(pattern))]
    if not paths:
        raise ValueError(f"{root}: none of {', '.join(_DOCUMENTS)} is there; name the repository")
    return [Document(text=path.read_text(encoding="utf-8"), nats=None) for path in paths]


def _blocks(
    documents: Sequence[Document], vocabulary: Vocabulary, settings: CorpusSettings
) -> Blocks:
    end = np.array([vocabulary.end], np.int32)
    encoded = vocabulary.encode([document.text for document in documents])
    # An end also stands before a document: its first token is predicted from it.
    if settings.layout == "padded":
        texts = [np.concatenate((end, ids, end)) for ids in encoded]
    else:
        texts = [np.concatenate((end, *(part for ids in encoded for part in (ids, end))))]
    context = settings.context
    pieces = [
        text[at : at + context + 1] for text in texts for at in range(0, len(text) - 1, context)
    ]
    tokens_NL = np.full((len(pieces), context + 1), vocabulary.end, np.int32)
    for row, piece in zip(tokens_NL, pieces, strict=True):
        row[: len(piece)] = piece
    return Blocks(tokens_NL=tokens_NL, lengths_N=np.array([len(p) for p in pieces], np.int32))


def _identity(*splits: Sequence[Document]) -> str:
    hashed = hashlib.sha256()
    for split in splits:
        hashed.update(len(split).to_bytes(8))
        for document in split:
            text = document.text.encode()
            hashed.update(len(text).to_bytes(8) + text)
    return hashed.hexdigest()
