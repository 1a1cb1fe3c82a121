"""Losses against sums written out in float64."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.losses import IGNORE, grid_loss, halt_loss, log_stablemax, rows_exact


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


@pytest.mark.parametrize("kind", ["softmax", "stablemax"])
def test_grid_loss_is_the_mean_over_scored_cells(kind):
    """Each row's loss is the mean of its scored cells; ignored cells count neither way."""
    logits = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(1)) * 3
    labels = torch.tensor([[0, 1, 2, 3], [4, IGNORE, IGNORE, 0], [IGNORE] * 4])
    expected = literal_loss(logits.double().tolist(), labels.tolist(), kind)
    assert grid_loss(logits, labels, kind).tolist() == pytest.approx(expected, rel=1e-5)


@settings(max_examples=30)
@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=2, max_size=6))
def test_stablemax_is_a_distribution(values):
    """The probabilities sum to one, however large the logits."""
    logp = log_stablemax(torch.tensor(values)[None, None])
    assert float(logp.exp().sum()) == pytest.approx(1, rel=1e-9)
    assert bool(torch.isfinite(logp).all())


def test_stablemax_has_a_finite_gradient_everywhere():
    """The unused branch of the formula sends no NaN into the gradient, not even at x = 1."""
    logits = torch.tensor([[[-3.0, 0.0, 1.0, 50.0]]], requires_grad=True)
    grid_loss(logits, torch.tensor([[1]]), "stablemax").sum().backward()
    assert bool(torch.isfinite(logits.grad).all())
    assert float(logits.grad.abs().sum()) > 0


def test_small_grids_weigh_as_much_as_large_ones():
    """A row of one wrong cell and a row of four equally wrong cells have the same loss."""
    logits = torch.zeros(2, 4, 3)
    labels = torch.tensor([[1, IGNORE, IGNORE, IGNORE], [1, 1, 1, 1]])
    small, large = grid_loss(logits, labels).tolist()
    assert small == pytest.approx(large) == pytest.approx(math.log(3))


def test_a_row_is_exact_only_with_every_scored_cell():
    """One wrong scored cell makes a row inexact, a wrong ignored cell does not."""
    logits = torch.nn.functional.one_hot(torch.tensor([[1, 2], [1, 2], [1, 0]]), 3).float()
    labels = torch.tensor([[1, 2], [1, IGNORE], [1, 2]])
    assert rows_exact(logits, labels).tolist() == [True, True, False]


def test_halt_loss_is_binary_cross_entropy():
    """The halting head pays -log sigmoid for right rows and -log(1 - sigmoid) for wrong ones."""
    loss = halt_loss(torch.tensor([2.0, 2.0]), torch.tensor([True, False])).tolist()
    sigmoid = 1 / (1 + math.exp(-2))
    assert loss == pytest.approx([-math.log(sigmoid), -math.log(1 - sigmoid)], rel=1e-5)
