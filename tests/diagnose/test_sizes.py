"""The size of an allocation, explained by the shapes of the model."""

import pytest

from orchestrator.diagnose.sizes import Kind, Shapes, readings_of

GIB = 1 << 30
SAGE = Shapes(batches=(8, 4), heads=(8,), sequences=(5164,), parameters=(44_100_000,))
GPT = Shapes(
    batches=(16,), heads=(12,), sequences=(1024,), vocabularies=(50_257,), parameters=(10**9,)
)


def gib(number):
    return round(number * GIB)


@pytest.mark.parametrize(
    ("size", "shapes", "said"),
    [
        (
            gib(3.18),
            SAGE,
            "3.18 GiB = 4 × 8 heads × 5164² × 4 B (batch × heads × sequence² × bytes)",
        ),
        (
            gib(6.36),
            SAGE,
            "6.36 GiB = 8 × 8 heads × 5164² × 4 B (batch × heads × sequence² × bytes)",
        ),
        (
            16 * 1024 * 50_257 * 4,
            GPT,
            "3.07 GiB = 16 × 1024 × 50,257 × 4 B (batch × sequence × vocabulary × bytes)",
        ),
        (16 * 1024 * 50_257 * 2, GPT, "1.53 GiB = 16 × 1024 × 50,257 × 2 B"),
        (16 * 12 * 1024**2 * 2, GPT, "0.38 GiB = 16 × 12 heads × 1024² × 2 B"),
        (4 * 10**9, GPT, "3.73 GiB = 1 × 1,000,000,000 × 4 B (copies × parameters × bytes)"),
        (16 * 10**9, GPT, "14.90 GiB = 4 × 1,000,000,000 × 4 B"),
    ],
)
def test_a_size_is_told_as_the_product_of_the_shapes(size, shapes, said):
    """Seeds' numbers and others: the factors stand in the sentence."""
    assert readings_of(size, shapes)[0].of(size).startswith(said)


@pytest.mark.parametrize("off", [-0.006, 0.006])
def test_half_a_percent_off_is_no_explanation(off):
    """Near is half a percent, on both sides."""
    size = 8 * 8 * 5164**2 * 4
    assert readings_of(round(size * (1 + off * 0.8)), SAGE)
    assert not readings_of(round(size * (1 + off)), SAGE)


def test_nothing_is_explained_without_shapes():
    """A factor that nobody told is not made up."""
    size = 8 * 8 * 5164**2 * 4
    assert readings_of(size, Shapes()) == ()
    assert readings_of(size, Shapes(batches=(8,), heads=(8,))) == ()
    assert readings_of(size, Shapes(batches=(8,), sequences=(5164,))) == ()


def test_the_smallest_blocks_are_the_allocators_own():
    """20 MiB is what PyTorch asks for whenever it needs a small block: it explains nothing."""
    shapes = Shapes(parameters=(5 << 20,))
    assert readings_of(20 << 20, shapes) == ()
    assert readings_of(40 << 20, shapes)


def test_attention_comes_before_logits_and_logits_before_parameters():
    """Of several readings the surest is the first."""
    size = 8 * 8 * 1024 * 1024 * 4
    shapes = Shapes(
        batches=(8,),
        heads=(8,),
        sequences=(1024,),
        vocabularies=(8 * 1024,),
        parameters=(8 * 8 * 1024 * 1024,),
    )
    kinds = list(dict.fromkeys(each.kind for each in readings_of(size, shapes)))
    assert kinds == [Kind.SCORES, Kind.LOGITS, Kind.PARAMETERS]


def test_another_reading_of_the_same_kind_is_told_too():
    """4 samples in fp32 are 8 in bf16: both are there, fp32 first."""
    factors = [each.factors for each in readings_of(gib(3.18), SAGE)]
    assert factors == ["4 × 8 heads × 5164² × 4 B", "8 × 8 heads × 5164² × 2 B"]
