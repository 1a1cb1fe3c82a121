"""The averaged weights."""

import pytest
import torch

from models.ema import check_decay, follow, half_life, start_average


def drift(layer, step):
    generator = torch.Generator().manual_seed(step)
    with torch.no_grad():
        for p in layer.parameters():
            p.add_(torch.randn(p.shape, generator=generator, dtype=p.dtype))


@pytest.mark.parametrize("decay", [0.75, 0.995])
def test_the_average_is_the_literal_recursion(decay):
    """Over 300 steps it is d * average + (1 - d) * weight, with d written out."""
    layer = torch.nn.Linear(3, 2).double()
    average = start_average(layer)
    expected = {name: p.detach().flatten().tolist() for name, p in layer.named_parameters()}
    for step in range(1, 301):
        drift(layer, step)
        follow(average, layer, decay, step)
        d = min(decay, step / (step + 9))
        for name, p in layer.named_parameters():
            now = zip(expected[name], p.flatten().tolist(), strict=True)
            expected[name] = [d * old + (1 - d) * new for old, new in now]
    for name, values in average.items():
        torch.testing.assert_close(values.flatten(), values.new_tensor(expected[name]))


def test_the_average_starts_slowly():
    """The first update takes nine tenths of the weights over; late ones take 1 - decay."""
    layer = torch.nn.Linear(1, 1, bias=False)
    for step, taken in ((1, 0.9), (9, 0.5), (10_000, 0.01)):
        torch.nn.init.zeros_(layer.weight)
        average = start_average(layer)
        torch.nn.init.ones_(layer.weight)
        follow(average, layer, 0.99, step)
        assert float(average["weight"]) == pytest.approx(taken)


def test_the_average_of_a_saved_run_goes_on_bit_by_bit():
    """An average that was saved and loaded ends where one that was not ends."""
    ends = []
    for halfway in (None, 3):
        layer = torch.nn.Linear(3, 2)
        torch.nn.init.ones_(layer.weight)
        torch.nn.init.ones_(layer.bias)
        average = start_average(layer)
        for step in range(1, 7):
            drift(layer, step)
            follow(average, layer, 0.9, step)
            if step == halfway:
                average = {name: value.clone() for name, value in average.items()}
        ends.append(average)
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_the_average_is_a_copy_of_what_is_trained():
    """Changing the weights alone leaves the average as it was; buffers are not averaged."""
    layer = torch.nn.BatchNorm1d(2)
    average = start_average(layer)
    before = average["weight"].clone()
    with torch.no_grad():
        layer.weight.add_(1)
    torch.testing.assert_close(average["weight"], before)
    assert set(average) == {"weight", "bias"}


def test_half_life_halves():
    """After one half-life, decay to that power is a half."""
    assert 0.999 ** half_life(0.999) == pytest.approx(0.5)
    assert half_life(0.9999) == pytest.approx(6931, abs=1)


def test_an_average_that_remembers_too_long_is_refused():
    """A published run (4,676 steps, decay 0.9999) is refused with the largest decay allowed."""
    with pytest.raises(ValueError, match=r"6,931 steps.*at most 0\.99"):
        check_decay(0.9999, 4676)
    check_decay(0.999, 4676)


@pytest.mark.parametrize("decay", [1.0, -0.1, float("nan")])
def test_a_decay_that_is_none_is_refused(decay):
    """A decay that never moves the average, or is out of range, is refused by its name."""
    with pytest.raises(ValueError, match=f"ema={decay}"):
        check_decay(decay, 100)


def test_decay_zero_is_no_average():
    """Decay 0 is allowed and keeps the newest weights."""
    check_decay(0.0, 1)
    layer = torch.nn.Linear(3, 2)
    average = start_average(layer)
    drift(layer, 1)
    follow(average, layer, 0.0, 1)
    assert all(torch.equal(average[name], p) for name, p in layer.named_parameters())
