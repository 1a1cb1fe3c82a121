"""Losses against sums written out in float64."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.losses import (
    IGNORE,
    LossConfig,
    cell_loss,
    grid_loss,
    head_loss,
    log_stablemax,
    rows_exact,
    rows_scored,
    stablemax,
)

KINDS = ["softmax", "stablemax"]


def literal_loss(rows, labels, kind):
    """Mean over scored cells of -log p(label), per row."""

    def mass(x):
        if kind == "softmax":
            return math.exp(x)
        return x + 1 if x >= 0 else 1 / (1 - x)

    losses = []
    for cells, wanted in zip(rows, labels, strict=True):
        terms = [
            -math.log(mass(cell[label]) / sum(map(mass, cell)))
            for cell, label in zip(cells, wanted, strict=True)
            if label != IGNORE
        ]
        losses.append(sum(terms) / max(len(terms), 1))
    return losses


def random_case(scale, dtype=torch.float64, seed=1):
    """Logits of several sizes and labels of which some are not scored; the last row is padding."""
    generator = torch.Generator().manual_seed(seed)
    logits = (torch.randn(6, 7, 11, generator=generator, dtype=torch.float64) * scale).to(dtype)
    labels = torch.randint(0, 11, (6, 7), generator=generator)
    labels[torch.rand(6, 7, generator=generator) < 0.3] = IGNORE
    labels[:5, 0] = 3
    labels[5] = IGNORE
    return logits, labels


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
def test_grid_loss_is_the_mean_over_scored_cells(kind, precision):
    """Each row's loss is the mean of its scored cells; ignored cells count neither way."""
    logits, labels = random_case(3, torch.float32)
    expected = literal_loss(logits.double().tolist(), labels.tolist(), kind)
    loss = grid_loss(logits, labels, LossConfig(kind=kind, precision=precision))
    assert loss.dtype == getattr(torch, precision)
    assert loss.tolist() == pytest.approx(expected, rel=1e-5 if precision == "float32" else 1e-12)


@settings(max_examples=30)
@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=2, max_size=6))
def test_stablemax_is_a_distribution(values):
    """The probabilities of all labels sum to one, however large the logits."""
    logits = torch.tensor(values)[None, None].expand(1, len(values), -1)
    nll = cell_loss(logits, torch.arange(len(values))[None], LossConfig(precision="float64"))
    assert float((-nll).exp().sum()) == pytest.approx(1, rel=1e-9)


@settings(max_examples=60)
@given(st.floats(-1e30, 1e30))
def test_the_logarithm_of_stablemax_is_that_of_its_value(value):
    """`log_stablemax` is log(stablemax), also for huge logits and close to zero."""
    x = torch.tensor(value, dtype=torch.float64)
    assert float(log_stablemax(x)) == pytest.approx(math.log(stablemax(x)), rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0, 1e3, 1e5])
@pytest.mark.parametrize("kind", KINDS)
def test_float32_follows_float64(kind, scale):
    """Losses and gradients in float32 are those in float64 to 1e-5, whatever the logits' size."""
    outcomes = []
    for precision in ("float32", "float64"):
        logits, labels = random_case(scale, torch.float32)
        logits.requires_grad_()
        loss = grid_loss(logits, labels, LossConfig(kind=kind, precision=precision))
        loss.sum().backward()
        outcomes.append((loss.detach().double(), logits.grad.double()))
    (loss32, grad32), (loss64, grad64) = outcomes
    torch.testing.assert_close(loss32, loss64, rtol=2e-6, atol=2e-6)
    torch.testing.assert_close(grad32, grad64, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_differences(kind):
    """The gradient of the grid's loss agrees with finite differences on both sides of zero."""
    logits, labels = random_case(2)
    logits = logits[:2, :3, :4].clone().requires_grad_()
    labels = labels[:2, :3].clamp(max=3)
    assert torch.autograd.gradcheck(lambda x: grid_loss(x, labels, LossConfig(kind=kind)), logits)


def test_the_gradient_of_a_halting_head_is_that_of_differences():
    """The halting heads' loss has the right gradient for truths and for probabilities."""
    logits = torch.tensor([-30.0, -0.5, 0.0, 4.0], dtype=torch.float64, requires_grad=True)
    for target in (torch.tensor([True, False, True, False]), torch.rand(4, dtype=torch.float64)):
        assert torch.autograd.gradcheck(lambda x, t=target: head_loss(x, t), logits)


def test_the_gradient_of_stablemax_is_right_at_zero_and_at_one():
    """Where the formula changes branch and where the unused one is singular, the slope is 1."""
    x = torch.tensor([0.0, -0.0, 1.0], dtype=torch.float64, requires_grad=True)
    stablemax(x).sum().backward()
    assert x.grad.tolist() == [1, 1, 1]
    x.grad = None
    log_stablemax(x).sum().backward()
    assert x.grad.tolist() == [1, 1, 0.5]


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_without_a_valid_label_costs_nothing(kind):
    """Padding rows have loss 0 and gradient 0, not 0 / 0."""
    logits = torch.randn(2, 4, 3, requires_grad=True)
    labels = torch.full((2, 4), IGNORE)
    loss = grid_loss(logits, labels, LossConfig(kind=kind))
    loss.sum().backward()
    assert loss.tolist() == [0, 0]
    assert not logits.grad.any()
    assert not rows_scored(labels).any()
    assert not rows_exact(logits, labels).any()


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_does_not_hear_of_the_others(kind):
    """A row's loss is bit for bit the same alone, in another order and among other rows."""
    logits, labels = random_case(5, torch.float32)
    loss = LossConfig(kind=kind)
    together = grid_loss(logits, labels, loss)
    order = torch.tensor([4, 0, 5, 2, 1, 3])
    assert torch.equal(grid_loss(logits[order], labels[order], loss), together[order])
    for row in range(len(logits)):
        alone = grid_loss(logits[row : row + 1], labels[row : row + 1], loss)
        assert torch.equal(alone[0], together[row])


@pytest.mark.parametrize("kind", KINDS)
def test_small_grids_weigh_as_much_as_large_ones(kind):
    """A row of one undecided cell and a row of four have the same loss, log of the vocabulary."""
    labels = torch.tensor([[1, IGNORE, IGNORE, IGNORE], [1, 1, 1, 1]])
    small, large = grid_loss(torch.zeros(2, 4, 3), labels, LossConfig(kind=kind)).tolist()
    assert small == pytest.approx(large) == pytest.approx(math.log(3))


def test_low_precision_logits_are_lifted():
    """Logits in bfloat16 give the loss of their float32 values, not one rounded to bfloat16."""
    logits, labels = random_case(4, torch.bfloat16)
    for kind in KINDS:
        loss = grid_loss(logits, labels, LossConfig(kind=kind))
        assert loss.dtype == torch.float32
        assert torch.equal(loss, grid_loss(logits.float(), labels, LossConfig(kind=kind)))
    assert head_loss(logits[:, 0, 0], labels[:, 0] == 3).dtype == torch.float32


def test_a_logit_that_is_not_finite_shows_in_the_loss():
    """NaN in a scored cell's logits is NaN in the loss of that row and of no other."""
    logits, labels = random_case(1, torch.float32)
    logits[2, 0, 4] = math.nan
    for kind in KINDS:
        lost = torch.isnan(grid_loss(logits, labels, LossConfig(kind=kind)))
        assert lost.tolist() == [False, False, True, False, False, False]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("label", [11, -1])
def test_a_label_outside_of_the_vocabulary_shows_in_the_loss(kind, label):
    """It makes the loss of its row NaN, instead of passing as a label that nothing is asked of."""
    logits, labels = random_case(1)
    labels[1, 2] = label
    lost = torch.isnan(grid_loss(logits, labels, LossConfig(kind=kind)))
    assert lost.tolist() == [False, True, False, False, False, False]


def test_a_row_is_exact_only_with_every_scored_cell():
    """One wrong scored cell makes a row inexact, a wrong ignored cell does not."""
    logits = torch.nn.functional.one_hot(torch.tensor([[1, 2], [1, 2], [1, 0]]), 3).float()
    labels = torch.tensor([[1, 2], [1, IGNORE], [1, 2]])
    assert rows_exact(logits, labels).tolist() == [True, True, False]


def test_the_halting_heads_pay_binary_cross_entropy():
    """A head pays -log sigmoid for right rows and -log(1 - sigmoid) for wrong ones."""
    loss = head_loss(torch.tensor([2.0, 2.0]), torch.tensor([True, False])).tolist()
    sigmoid = 1 / (1 + math.exp(-2))
    assert loss == pytest.approx([-math.log(sigmoid), -math.log(1 - sigmoid)], rel=1e-5)
