"""SAGE's losses against literal references, and what they must not depend on."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from models.sage_losses import (
    cell_losses,
    cell_weights,
    colour_weights,
    feature_losses,
    shape_losses,
)


def draw(*size, seed=0):
    return torch.randn(*size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


WEIGHTS = torch.tensor([0.5, 1, 2, 3], dtype=torch.float64)
LABELS = torch.tensor([[0, 1, -100, 3, -100], [2, -100, -100, 0, 1]])


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0])
def test_cells_cost_what_a_literal_reference_says(gamma):
    """Cell by cell: -(1 - p)^gamma log p of the label, and the label's weight."""
    logits = draw(2, 5, 4)
    values, weights = cell_losses(logits, LABELS, WEIGHTS, gamma)
    expected = []
    for row in range(2):
        for cell in range(5):
            label = int(LABELS[row, cell])
            if label >= 0:
                raised = [math.exp(x) for x in logits[row, cell].tolist()]
                p = raised[label] / sum(raised)
                expected.append((-((1 - p) ** gamma) * math.log(p), float(WEIGHTS[label])))
    torch.testing.assert_close(torch.stack((values, weights), 1), torch.tensor(expected).double())


def test_the_weighted_mean_is_pytorchs():
    """Sum of value * weight over sum of weights is weighted cross-entropy that ignores padding."""
    logits = draw(2, 5, 4)
    values, weights = cell_losses(logits, LABELS, WEIGHTS, 0.0)
    expected = cross_entropy(logits.flatten(0, 1), LABELS.flatten(), WEIGHTS)
    torch.testing.assert_close((values * weights).sum() / weights.sum(), expected)


def test_the_count_is_known_from_labels_alone():
    """What `cell_losses` weighs its values with, without a forward pass."""
    assert cell_weights(LABELS, WEIGHTS).tolist() == [0.5, 1, 3, 2, 0.5, 1]


def test_padding_has_no_gradient_and_cells_have():
    """Logits where there is no answer are not learned from."""
    logits = draw(2, 5, 4).requires_grad_()
    values, weights = cell_losses(logits, LABELS, WEIGHTS, 2.0)
    (values * weights).sum().backward()
    scored = LABELS != -100
    assert (logits.grad[~scored] == 0).all()
    assert (logits.grad[scored] != 0).all()


def test_a_batch_without_answers_costs_nothing():
    """No element and no weight, and no NaN in between."""
    values, weights = cell_losses(draw(2, 5, 4), torch.full((2, 5), -100), WEIGHTS)
    assert values.sum() == weights.sum() == len(values) == 0


def test_focal_keeps_the_hard_cells():
    """A cell known by 0.9 keeps a hundredth at gamma 2, and the gradient at certainty is finite."""
    logits = torch.tensor([[[math.log(9.0), 0.0], [200.0, 0.0]]], requires_grad=True)
    labels, alike = torch.zeros(1, 2, dtype=torch.long), torch.ones(2)
    plain, _ = cell_losses(logits, labels, alike)
    focal, _ = cell_losses(logits, labels, alike, 2.0)
    assert (focal[0] / plain[0]).item() == pytest.approx(0.01)
    focal.sum().backward()
    assert logits.grad.isfinite().all()
    with pytest.raises(ValueError, match=r"gamma=0\.5: choose 0"):
        cell_losses(logits, labels, alike, 0.5)


def test_focal_is_learned_from_as_it_is_written():
    """The gradient is that of the whole product, the factor (1 - p)^gamma included."""
    logits = draw(2, 5, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: cell_losses(x, LABELS, WEIGHTS, 2.0)[0], logits)


def test_half_precision_logits_are_widened():
    """Logits of bfloat16 cost what the same numbers in float32 do."""
    logits = draw(2, 5, 4).bfloat16()
    ours, _ = cell_losses(logits, LABELS, WEIGHTS)
    assert ours.dtype == torch.float32
    torch.testing.assert_close(ours, cell_losses(logits.float(), LABELS, WEIGHTS)[0])


COUNTS = torch.tensor([10_000, 1_000, 100, 1, 0])


@pytest.mark.parametrize("kind", ["inverse", "effective"])
@pytest.mark.parametrize("cap", [1.0, 5.0, 1e9])
def test_weights_are_capped_and_of_mean_one(kind, cap):
    """Rarer weighs no less, at most `cap` times the commonest; the mean over the cells is 1."""
    weights = colour_weights(COUNTS, kind, cap, 0.999)
    assert weights.diff().ge(0).all()
    assert float(weights.max() / weights.min()) <= cap * (1 + 1e-6)
    assert float((weights * COUNTS).sum() / COUNTS.sum()) == pytest.approx(1)
    assert weights.dtype == torch.float32


def test_weights_below_the_cap_are_those_of_the_formula():
    """Ratios of 1 / count, and of (1 - beta) / (1 - beta^count)."""
    inverse = colour_weights(COUNTS, "inverse", cap=1e9)
    assert float(inverse[2] / inverse[0]) == pytest.approx(100)
    effective = colour_weights(COUNTS, "effective", cap=1e9, beta=0.99)
    expected = (1 - 0.99**1_000) / (1 - 0.99**1)
    assert float(effective[3] / effective[1]) == pytest.approx(expected, rel=1e-5)
    assert colour_weights(COUNTS, "none").tolist() == [1] * 5


def test_a_colour_never_seen_weighs_what_the_cap_allows():
    """Not infinitely much."""
    for kind in ("inverse", "effective"):
        weights = colour_weights(torch.tensor([50, 0]), kind, cap=7.0)
        assert weights.tolist() == pytest.approx([1, 7])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((torch.zeros(3), "none"), "give those of cells"),
        ((torch.tensor([1, -1]), "none"), "give those of cells"),
        ((COUNTS, "inverse", 0.5), r"cap=0\.5: choose at least 1"),
        ((COUNTS, "effective", 5.0, 1.0), r"beta=1\.0"),
        ((COUNTS, "square"), 'choose "none", "inverse" or "effective"'),
    ],
)
def test_weights_that_mean_nothing_are_refused(arguments, said):
    """Each says what to choose."""
    with pytest.raises(ValueError, match=said):
        colour_weights(*arguments)


def test_sizes_cost_the_mean_of_both_sides():
    """Size 1 is the first logit; rows and columns count alike."""
    height, width = draw(3, 4), draw(3, 4, seed=1)
    sizes = torch.tensor([[1, 4], [2, 2], [4, 1]])
    expected = [
        -(height[row].log_softmax(0)[rows - 1] + width[row].log_softmax(0)[columns - 1]) / 2
        for row, (rows, columns) in enumerate(sizes.tolist())
    ]
    found = shape_losses(height, width, sizes)
    torch.testing.assert_close(found.double(), torch.stack(expected), rtol=1e-5, atol=1e-6)


VALID = torch.tensor([[True, True, True], [True, False, False]])


def test_features_cost_what_a_literal_reference_says():
    """Token by token: squares' mean or sum over dimensions, and half of 1 - cosine."""
    predicted, target = draw(2, 3, 5), draw(2, 3, 5, seed=1)
    for normalise, divisor in (("dimension", 5), ("token", 1)):
        found = feature_losses(predicted, target, VALID, normalise)
        expected = []
        for row, token in VALID.nonzero().tolist():
            p, t = predicted[row, token], target[row, token]
            cosine = (p @ t) / (p.norm() * t.norm())
            expected.append(((p - t) ** 2).sum() / divisor + (1 - cosine) / 2)
        torch.testing.assert_close(found, torch.stack(expected))
    assert len(feature_losses(predicted, target)) == 6


def test_width_does_not_change_the_cost_of_features():
    """Every dimension twice costs the same; "token" costs twice the squares, the original's way."""
    predicted, target = draw(2, 3, 5), draw(2, 3, 5, seed=1)
    twice = [torch.cat((x, x), -1) for x in (predicted, target)]
    once = feature_losses(predicted, target, VALID)
    torch.testing.assert_close(feature_losses(*twice, VALID), once)
    cosines = feature_losses(twice[0], twice[1], VALID, "token") - 10 * squares(predicted, target)
    torch.testing.assert_close(once - squares(predicted, target), cosines)


def squares(predicted, target):
    return ((predicted - target) ** 2)[VALID].mean(-1)


def test_tokens_do_not_change_the_cost_of_features():
    """The mean over tokens is the same with every token twice, and with padding behind."""
    predicted, target = draw(1, 3, 5), draw(1, 3, 5, seed=1)
    once = feature_losses(predicted, target).mean()
    twice = feature_losses(predicted.repeat(1, 2, 1), target.repeat(1, 2, 1)).mean()
    torch.testing.assert_close(twice, once)
    padded = [torch.cat((x, draw(1, 2, 5, seed=3)), 1) for x in (predicted, target)]
    valid = torch.tensor([[True] * 3 + [False] * 2])
    torch.testing.assert_close(feature_losses(*padded, valid).mean(), once)


def test_only_the_student_learns_from_features():
    """No gradient to the target, none to padding, one to every other token."""
    predicted, target = draw(2, 3, 5).requires_grad_(), draw(2, 3, 5, seed=1).requires_grad_()
    feature_losses(predicted, target, VALID).sum().backward()
    assert target.grad is None
    assert ((predicted.grad != 0).any(-1) == VALID).all()


def test_features_of_another_width_are_refused():
    """Nothing is broadcast."""
    with pytest.raises(ValueError, match="project them"):
        feature_losses(draw(2, 3, 1), draw(2, 3, 5))
    with pytest.raises(ValueError, match='choose "dimension" or "token"'):
        feature_losses(draw(2, 3, 5), draw(2, 3, 5), None, "batch")
