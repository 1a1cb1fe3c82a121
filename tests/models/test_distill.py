"""The terms of distillation on logits, against their definitions written out in Python floats."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from literal_distill import literal_kd, log_softmax

from models.distill import (
    cross_entropy,
    kd_full,
    kd_sampled,
    kd_top_k,
    kd_top_k_renormalised,
    sample,
    top_k,
)

CASES = st.tuples(st.integers(1, 4), st.integers(2, 12), st.integers(0, 2**31))
TEMPERATURES = st.sampled_from([0.5, 1.0, 2.0, 7.0])
quick = settings(deadline=None, max_examples=30)


def logits_of(case, dtype=torch.float64):
    """A student's and a teacher's logits of N tokens and V words."""
    tokens, words, seed = case
    source = torch.Generator().manual_seed(seed)
    student, teacher = torch.randn(2, tokens, words, generator=source, dtype=torch.float64) * 3
    return student.to(dtype).requires_grad_(), teacher.to(dtype)


@quick
@given(CASES, TEMPERATURES, st.data())
def test_the_terms_are_their_definitions(case, temperature, data):
    """Full, top-k with and without the bucket, and cross-entropy, of float32 within 1e-4."""
    student, teacher = logits_of(case, torch.float32)
    k = data.draw(st.integers(1, case[1]))
    kept = top_k(teacher, k, temperature)
    labels = torch.arange(case[0]) % case[1]
    at_one = [log_softmax(row, 1.0) for row in student.tolist()]
    compared = {
        "full": (kd_full(student, teacher, temperature), literal_kd(student, teacher, temperature)),
        "top-k": (kd_top_k(student, kept), literal_kd(student, teacher, temperature, k)),
        "renormalised": (
            kd_top_k_renormalised(student, kept),
            literal_kd(student, teacher, temperature, k, bucket=False),
        ),
        "cross-entropy": (
            cross_entropy(student, labels),
            [-row[label] for row, label in zip(at_one, labels.tolist(), strict=True)],
        ),
    }
    for name, (values, expected) in compared.items():
        assert values.tolist() == pytest.approx(expected, rel=1e-4, abs=1e-4), name


@pytest.mark.parametrize("temperature", [0.5, 2.0])
@pytest.mark.parametrize("case", [(3, 7, 0), (1, 2, 1), (2, 12, 2)])
def test_gradients_are_those_of_the_values(case, temperature):
    """Of each term the gradient is what finite differences in float64 give."""
    student, teacher = logits_of(case)
    kept = top_k(teacher, max(1, case[1] // 2), temperature)
    drawn = sample(teacher, 5, temperature, torch.Generator().manual_seed(case[2]))
    labels = torch.arange(case[0]) % case[1]
    for term in (
        lambda x: kd_full(x, teacher, temperature),
        lambda x: kd_top_k(x, kept),
        lambda x: kd_top_k_renormalised(x, kept),
        lambda x: kd_sampled(x, drawn),
        lambda x: cross_entropy(x, labels),
    ):
        assert torch.autograd.gradcheck(term, (student,))


@quick
@given(CASES, TEMPERATURES)
def test_the_bucket_bounds_the_full_term_from_below_and_tightens(case, temperature):
    """More kept tokens never lower the term; all of them make it the full one, gradient and all."""
    student, teacher = logits_of(case)
    full = kd_full(student, teacher, temperature)
    (full_grad,) = torch.autograd.grad(full.sum(), student)
    values = [
        kd_top_k(student, top_k(teacher, k, temperature)) for k in range(1, full_grad.shape[-1] + 1)
    ]
    ladder = torch.stack([*values, full])
    assert (ladder.diff(dim=0) >= -1e-12).all()
    (last_grad,) = torch.autograd.grad(values[-1].sum(), student)
    torch.testing.assert_close(values[-1], full)
    torch.testing.assert_close(last_grad, full_grad)


@quick
@given(CASES, TEMPERATURES, st.data())
def test_the_gradient_of_the_bucket_is_the_full_one_but_for_shares_of_the_others(
    case, temperature, data
):
    """Equal on the kept tokens; on the others the sum is, and the student's own shares stay."""
    student, teacher = logits_of(case)
    kept = top_k(teacher, data.draw(st.integers(1, case[1])), temperature)
    (full,) = torch.autograd.grad(kd_full(student, teacher, temperature).sum(), student)
    (grad,) = torch.autograd.grad(kd_top_k(student, kept).sum(), student)
    torch.testing.assert_close(grad.gather(-1, kept.ids_NK), full.gather(-1, kept.ids_NK))
    torch.testing.assert_close(grad.sum(-1), torch.zeros(case[0], dtype=grad.dtype))
    others = torch.ones_like(grad).scatter(-1, kept.ids_NK, 0)
    shares = (student.detach() / temperature).masked_fill(others == 0, -math.inf).softmax(-1)
    expected = shares * (full * others).sum(-1, keepdim=True)
    torch.testing.assert_close(grad * others, expected.nan_to_num() * others)


def test_a_step_down_the_bucket_comes_nearer_to_the_teacher():
    """Descent on the term of 4 of 50 tokens lowers the full divergence by more than half."""
    student, teacher = logits_of((8, 50, 3))
    kept, before = top_k(teacher, 4, 1.0), kd_full(student, teacher, 1.0).sum()
    moved = student.detach().clone().requires_grad_()
    for _ in range(200):
        (grad,) = torch.autograd.grad(kd_top_k(moved, kept).sum(), moved)
        moved = (moved - grad).detach().requires_grad_()
    assert kd_full(moved, teacher, 1.0).sum() < before / 2


def test_the_renormalised_variant_is_biased():
    """It is 0, with no gradient, for a student that puts most mass where the teacher has little."""
    teacher = torch.tensor([[4.0, 3.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
    student = torch.tensor([[4.0, 3.0, 6.0, 6.0, 6.0]], dtype=torch.float64, requires_grad=True)
    kept = top_k(teacher, 2, 1.0)
    biased = kd_top_k_renormalised(student, kept)
    (grad,) = torch.autograd.grad(biased.sum(), student)
    assert biased.item() == pytest.approx(0, abs=1e-12)
    assert grad.abs().max() < 1e-12
    assert kd_full(student, teacher, 1.0).item() > 2
    with_bucket = kd_top_k(student, kept)
    (grad,) = torch.autograd.grad(with_bucket.sum(), student)
    assert with_bucket.item() > 2
    assert (grad[0, 2:] > 0.2).all()


@pytest.mark.parametrize("draws", [1, 4])
def test_the_sampled_term_is_unbiased(draws):
    """Over 40,000 tokens alike, its mean and mean gradient are the full ones' within 5 sigma."""
    student, teacher = logits_of((1, 10, 5))
    many, temperature = 40_000, 2.0
    (full_grad,) = torch.autograd.grad(kd_full(student, teacher, temperature).sum(), student)
    copies = student.detach().expand(many, -1).clone().requires_grad_()
    drawn = sample(
        teacher.expand(many, -1), draws, temperature, torch.Generator().manual_seed(draws)
    )
    values = kd_sampled(copies, drawn)
    (grads,) = torch.autograd.grad(values.sum(), copies)
    for seen, expected in (
        (values, kd_full(student, teacher, temperature)),
        (grads, full_grad[0]),
    ):
        error = seen.std(0) / many**0.5
        assert (error > 0).all()
        assert (error < 0.2).all()
        assert ((seen.mean(0) - expected).abs() < 5 * error).all()


def test_temperature_keeps_the_scale_of_the_gradient():
    """It tends to the difference of the centred logits over V, neither growing nor fading."""
    student, teacher = logits_of((3, 9, 1))
    centred = [x.detach() - x.detach().mean(-1, keepdim=True) for x in (student, teacher)]
    limit = (centred[0] - centred[1]) / 9
    for temperature in (1e2, 1e4):
        (grad,) = torch.autograd.grad(kd_full(student, teacher, temperature).sum(), student)
        torch.testing.assert_close(grad, limit, rtol=0, atol=20 / temperature)


def test_the_teacher_gets_no_gradient():
    """Not even where its logits are part of the graph, and the student's stay the same."""
    student, teacher = logits_of((3, 7, 2))
    alone = torch.autograd.grad(kd_full(student, teacher, 2.0).sum(), student)[0]
    scale = torch.ones((), dtype=torch.float64, requires_grad=True)
    graded = teacher * scale
    for values in (
        kd_full(student, graded, 2.0),
        kd_top_k(student, top_k(graded, 3, 2.0)),
        kd_sampled(student, sample(graded, 3, 2.0)),
        kd_top_k_renormalised(student, top_k(graded, 3, 2.0)),
    ):
        grad, none = torch.autograd.grad(values.sum(), (student, scale), allow_unused=True)
        assert none is None
        assert grad.abs().sum() > 0
    torch.testing.assert_close(
        torch.autograd.grad(kd_full(student, graded, 2.0).sum(), student)[0], alone
    )


def test_tokens_do_not_know_each_other():
    """A token's value and gradient are those it has alone, also where rows go through in parts."""
    student, teacher = logits_of((25, 60_000, 4), torch.float32)
    weight = torch.linspace(0.5, 2, 25)
    labels = torch.arange(25)
    kept = top_k(teacher, 8, 2.0)

    def terms(rows):
        x = student.detach()[rows].clone().requires_grad_()
        values = (
            kd_full(x, teacher[rows], 2.0),
            kd_top_k(x, top_k(teacher[rows], 8, 2.0)),
            cross_entropy(x, labels[rows]),
        )
        return [(v, torch.autograd.grad(v @ weight[rows], x)[0]) for v in values]

    assert torch.equal(kept.ids_NK[[24]], top_k(teacher[[24]], 8, 2.0).ids_NK)
    together = terms(slice(None))
    for row in (0, 8, 24):
        for (values, grads), (value, grad) in zip(together, terms([row]), strict=True):
            torch.testing.assert_close(values[[row]], value)
            torch.testing.assert_close(grads[[row]], grad)
