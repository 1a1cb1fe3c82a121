"""The averaged weights."""

import pytest
import torch

from models.ema import check_decay, follow, half_life, start_average


def test_the_average_is_the_literal_recursion():
    """After each step the average is decay * average + (1 - decay) * weight."""
    layer = torch.nn.Linear(2, 1, bias=False)
    average = start_average(layer)
    expected = layer.weight.detach().clone()
    for value in (1.0, -2.0, 5.0):
        with torch.no_grad():
            layer.weight.fill_(value)
        follow(average, layer, 0.75)
        expected = 0.75 * expected + 0.25 * value
    torch.testing.assert_close(average["weight"], expected)


def test_the_average_is_a_copy():
    """Changing the weights alone leaves the average as it was."""
    layer = torch.nn.Linear(2, 1)
    average = start_average(layer)
    before = average["weight"].clone()
    with torch.no_grad():
        layer.weight.add_(1)
    torch.testing.assert_close(average["weight"], before)


def test_half_life_halves():
    """After one half-life, decay to that power is a half."""
    assert 0.999 ** half_life(0.999) == pytest.approx(0.5)
    assert half_life(0.9999) == pytest.approx(6931, abs=1)


def test_an_average_that_remembers_too_long_is_refused():
    """A published run (4,676 steps, decay 0.9999) is refused with the largest decay allowed."""
    with pytest.raises(ValueError, match=r"6,931 steps.*at most 0\.99"):
        check_decay(0.9999, 4676)
    check_decay(0.999, 4676)
