"""Why an allocation was that large: a product of the shapes of a model that gives its bytes.

What fits is a reading, not a proof. Bytes of a message are rounded to two decimals, and PyTorch
rounds large allocations up, so half a percent is left to them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

_NEAR = 0.005  # relative difference of bytes that counts as equal
_SMALLEST = 32 << 20  # bytes: PyTorch asks for 20 MiB whenever it needs any small block
_BYTES = (4, 2)  # of a number: fp32, and fp16 or bf16
_COPIES = (1, 2, 3, 4)  # of all parameters: weights, gradients, two moments


class Kind(StrEnum):
    """What a tensor of such a size is, the surest reading first."""

    SCORES = "attention scores"
    LOGITS = "logits"
    PARAMETERS = "parameters"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shapes:
    """What is known of a model and its batches; the surest of each first, empty if unknown.

    `batches` are all counts of samples that one pass may hold, in training or in evaluation.
    """

    batches: tuple[int, ...] = ()
    heads: tuple[int, ...] = ()
    sequences: tuple[int, ...] = ()
    vocabularies: tuple[int, ...] = ()
    parameters: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A product that gives the size: `factors` in words, `legend` what they are."""

    kind: Kind
    bytes: int
    factors: str
    legend: str

    def of(self, size: int) -> str:
        """`3.18 GiB = 4 × 8 heads × 5164² × 4 B (batch × heads × sequence² × bytes)`."""
        return f"{_gib(size)} GiB = {self.factors} ({self.legend})"


def readings_of(size: int, shapes: Shapes) -> tuple[Reading, ...]:
    """Every product of the shapes that gives `size` bytes: attention scores, logits, parameters."""
    if size < _SMALLEST:
        return ()
    products = (*_scores(shapes), *_logits(shapes), *_copies(shapes))
    return tuple(each for each in products if abs(each.bytes - size) <= _NEAR * size)


def _scores(shapes: Shapes) -> Iterator[Reading]:
    for width in _BYTES:
        for batch in shapes.batches:
            for heads in shapes.heads:
                for length in shapes.sequences:
                    yield Reading(
                        kind=Kind.SCORES,
                        bytes=batch * heads * length**2 * width,
                        factors=f"{batch} × {heads} heads × {length}² × {width} B",
                        legend="batch × heads × sequence² × bytes",
                    )


def _logits(shapes: Shapes) -> Iterator[Reading]:
    for width in _BYTES:
        for batch in shapes.batches:
            for length in shapes.sequences:
                for words in shapes.vocabularies:
                    yield Reading(
                        kind=Kind.LOGITS,
                        bytes=batch * length * words * width,
                        factors=f"{batch} × {length} × {words:,} × {width} B",
                        legend="batch × sequence × vocabulary × bytes",
                    )


def _copies(shapes: Shapes) -> Iterator[Reading]:
    for count in shapes.parameters:
        for copies in _COPIES:
            for width in _BYTES:
                yield Reading(
                    kind=Kind.PARAMETERS,
                    bytes=copies * count * width,
                    factors=f"{copies} × {count:,} × {width} B",
                    legend="copies × parameters × bytes",
                )


def _gib(size: int) -> str:
    return f"{size / (1 << 30):.2f}"
