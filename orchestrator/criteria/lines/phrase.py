"""Pieces in a row as the readers of claims ask for them: their words, and the name they make."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from orchestrator.criteria.lines.pieces import Piece
from orchestrator.criteria.lines.vocabulary import FILLERS, is_metric_like

_NAMING = frozenset({"word", "code", "time"})
_IN_NAMES = _NAMING | {"slash", "quoted"}
_SKIPPED = FILLERS | {"than"}


@dataclass(frozen=True, kw_only=True)  # no slots: they leave no place for what is cached
class Phrase:
    """A claim without a number: its pieces, and their words in order as they are looked up."""

    pieces: tuple[Piece, ...]
    words: tuple[str, ...]

    @cached_property
    def known(self) -> frozenset[str]:
        """The words without their order."""
        return frozenset(self.words)

    @cached_property
    def plain(self) -> frozenset[str]:
        """The words of letters and digits only."""
        return frozenset(word for word in self.words if word.isalnum())

    @cached_property
    def text(self) -> str:
        """The pieces as they were written."""
        return " ".join(piece.text for piece in self.pieces)


def phrase_of(pieces: Iterable[Piece]) -> Phrase:
    """The phrase that these pieces make."""
    row = tuple(pieces)
    return Phrase(pieces=row, words=tuple(piece.word for piece in row))


def bare(piece: Piece) -> str:
    """The text of a piece without the marks around it; a key in backticks keeps its own."""
    return piece.text.strip("`") if piece.kind == "code" else piece.text.strip("_\"'")


def name_of(pieces: Sequence[Piece]) -> str:
    """The words that can name something, without those that name nothing."""
    return " ".join(
        piece.text.strip("`*")
        for piece in pieces
        if piece.kind in _IN_NAMES and piece.word not in _SKIPPED
    )


def names_metric(pieces: Sequence[Piece]) -> bool:
    """Whether there is the name of a measurement in these pieces."""
    words = [piece.text for piece in pieces if piece.kind in _NAMING]
    return bool(words) and is_metric_like(" ".join(words).replace("`", ""))
