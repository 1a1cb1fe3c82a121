"""Distillation at the limits: extreme logits, low precision, memory, other vocabularies."""

import math

import pytest
import torch
from literal_distill import literal_kd

from models.distill import (
    cross_entropy,
    kd_full,
    kd_sampled,
    kd_top_k,
    kd_top_k_renormalised,
    sample,
    top_k,
)

INF = math.inf
# Logits of a student and a teacher for one token; the teacher's are not tied where it matters.
EXTREMES = {
    "agreeing at 1e4": ([1e4, 0, -1e4, -2], [1e4, 0, -1e4, -2]),
    "opposed at 1e4": ([-1e4, 1e4, 0, 1], [1e4, -1e4, 0, 1]),
    "close at 1e4": ([1e4 + 1, 1e4, 0, 0], [1e4, 1e4 + 1, 0, 0]),
    "both mask a token": ([1, 0, 2, -INF], [2, 1, 0, -INF]),
    "the teacher masks a token": ([0, 1, 2, 3], [2, 1, 0, -INF]),
    "one-hot teacher": ([0, 1, 2, 3], [-1e9, 0, -2e9, -INF]),
    "the student leaves exp(-200) over": ([200, 201, 0, 1], [2, 3, 1, 0]),
    "the teacher leaves exp(-200) over": ([2, 3, 1, 0], [200, 201, 0, 1]),
    "both leave exp(-200) over": ([200, 201, 0, 1], [201, 200, 1, 0]),
    "both mask all others": ([0, 1, -INF, -INF], [1, 0, -INF, -INF]),
    "the others are far from each other": ([1e4, 0, 1e4, -1e4], [2, 1, 0, -1]),
}


@pytest.mark.parametrize("name", EXTREMES)
@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_extreme_logits_have_exact_terms_and_finite_gradients(name, temperature):
    """In float32 the values are those of Python floats, and no gradient is infinite or NaN."""
    student, teacher = (torch.tensor([row], dtype=torch.float32) for row in EXTREMES[name])
    student.requires_grad_()
    kept = top_k(teacher, 2, temperature)
    literal = (student, teacher, temperature)
    for values, expected in (
        (kd_full(student, teacher, temperature), literal_kd(*literal)),
        (kd_top_k(student, top_k(teacher, 4, temperature)), literal_kd(*literal)),
        (kd_top_k(student, kept), literal_kd(*literal, k=2)),
        (kd_top_k_renormalised(student, kept), literal_kd(*literal, k=2, bucket=False)),
        (kd_sampled(student, sample(teacher, 3, temperature)), None),
    ):
        (grad,) = torch.autograd.grad(values.sum(), student)
        assert grad.isfinite().all()
        assert values.isfinite().all()
        if expected is not None:
            assert values.tolist() == pytest.approx(expected, rel=2e-6, abs=2e-6)


def test_mass_where_the_student_has_none_is_infinite_and_nan_is_seen():
    """A student that excludes what the teacher expects pays infinity; NaN in a row is NaN there."""
    student = torch.tensor([[0, 1, -INF], [0, 1, 2], [0, math.nan, 2]])
    teacher = torch.tensor([[2.0, 1.0, 0.0]]).expand(3, -1)
    for values in (kd_full(student, teacher, 1.0), kd_top_k(student, top_k(teacher, 2, 1.0))):
        assert values[0] == INF
        assert values[1].isfinite()
        assert values[2].isnan()
    values = cross_entropy(student, torch.tensor([2, 2, 2]))
    assert values[0] == INF
    assert values[1].isfinite()
    assert values[2].isnan()


def test_no_tokens_have_no_values():
    """A part of a batch may be all padding: no value, and a gradient of no rows."""
    student, teacher = torch.zeros(0, 5, requires_grad=True), torch.zeros(0, 5)
    for values in (
        kd_full(student, teacher, 1.0),
        kd_top_k(student, top_k(teacher, 2, 1.0)),
        kd_top_k_renormalised(student, top_k(teacher, 2, 1.0)),
        kd_sampled(student, sample(teacher, 2, 1.0)),
        cross_entropy(student, torch.zeros(0, dtype=torch.long)),
    ):
        assert values.shape == (0,)
        assert torch.autograd.grad(values.sum(), student)[0].shape == (0, 5)


def test_bfloat16_logits_are_lifted():
    """The terms of bfloat16 logits are those of the same numbers in float32; gradients are cast."""
    source = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(2, 5, 30, generator=source) * 4).bfloat16()
    labels = torch.arange(5)

    def terms(student, teacher):
        x = student.clone().requires_grad_()
        values = (
            kd_full(x, teacher, 2.0),
            kd_top_k(x, top_k(teacher, 6, 2.0)),
            kd_top_k_renormalised(x, top_k(teacher, 6, 2.0)),
            kd_sampled(x, sample(teacher, 6, 2.0, torch.Generator().manual_seed(1))),
            cross_entropy(x, labels),
        )
        return [(value, torch.autograd.grad(value.sum(), x)[0]) for value in values]

    coarse, fine = terms(student, teacher), terms(student.float(), teacher.float())
    for (value, grad), (exact, exact_grad) in zip(coarse, fine, strict=True):
        assert (value.dtype, grad.dtype) == (torch.float32, torch.bfloat16)
        assert torch.equal(value, exact)
        assert torch.equal(grad, exact_grad.bfloat16())


def test_nothing_of_the_size_of_the_logits_is_kept_for_the_backward_pass():
    """Of [N, V] only the logits themselves are held between forward and backward pass."""
    source = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(2, 40, 500, generator=source)
    student.requires_grad_()
    kept, drawn = top_k(teacher, 4, 2.0), sample(teacher, 4, 2.0)
    terms = {
        "full": lambda: kd_full(student, teacher, 2.0),
        "top-k": lambda: kd_top_k(student, kept),
        "renormalised": lambda: kd_top_k_renormalised(student, kept),
        "sampled": lambda: kd_sampled(student, drawn),
        "cross-entropy": lambda: cross_entropy(student, torch.arange(40)),
    }
    given = {student.data_ptr(), teacher.data_ptr()}
    for name, term in terms.items():
        held = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda x, held=held: held.append(x) or x, lambda x: x
        ):
            term().sum()
        large = [x for x in held if x.numel() >= 500 and x.data_ptr() not in given]
        assert held, name
        assert not large, name


def test_wrong_arguments_are_refused_by_name():
    """Other shapes, another vocabulary, no temperature, no token: the message says which."""
    student, teacher = torch.zeros(2, 5), torch.zeros(2, 6)
    with pytest.raises(ValueError, match=r"\[2, 5\].*\[2, 6\].*same vocabulary.*align"):
        kd_full(student, teacher, 1.0)
    for term, made in ((kd_top_k, top_k), (kd_top_k_renormalised, top_k), (kd_sampled, sample)):
        with pytest.raises(ValueError, match=r"of 5 tokens.*vocabulary of 6"):
            term(student, made(teacher, 2, 1.0))
    for temperature in (0.0, -1.0, math.nan):
        for made in (
            lambda t=temperature: kd_full(student, student, t),
            lambda t=temperature: top_k(teacher, 2, t),
            lambda t=temperature: sample(teacher, 2, t),
        ):
            with pytest.raises(ValueError, match=r"temperature=.*above 0"):
                made()
    for k in (0, 7):
        with pytest.raises(ValueError, match=f"k={k}: choose one from 1 to 6"):
            top_k(teacher, k, 1.0)
    with pytest.raises(ValueError, match="draws=0"):
        sample(teacher, 0, 1.0)
