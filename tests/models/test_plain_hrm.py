"""The seed's plain network: its size, its cycles and its halt."""

import pytest
import torch

from models.plain_hrm import PlainHRM, sinusoids
from models.recurrent import count_parameters


def network():
    torch.manual_seed(0)
    return PlainHRM(vocabulary=5, cells=6).eval()


def literal(model, cells):
    """MODELS.md par. 1.2, stopping where the original does; also the number of cycles."""
    high = low = model.tokens(cells) + model.position_SD
    cycles = 0
    while cycles < 8:
        cycles += 1
        for layer in model.high:
            high = layer(high)
        high = model.high_norm(high)
        low = low + model.high_to_low(high)
        for layer in model.low:
            low = layer(low)
        low = model.low_norm(low)
        high = high + model.low_to_high(low)
        halt = torch.sigmoid(model.halt(torch.cat((high.mean(1), low.mean(1)), -1)))[:, 0]
        if halt.mean() > 0.9:
            break
    return model.output(low), halt, cycles


def test_it_has_the_logged_size():
    """5,667,597 parameters with the 12 tokens of ARC."""
    assert count_parameters(PlainHRM()) == 5_667_597


@pytest.mark.parametrize(("bias", "halts_in"), [(-9.0, {8}), (1.5, set(range(2, 8))), (9.0, {1})])
def test_answers_are_those_of_the_cycle_it_halts_in(bias, halts_in):
    """Logits and halting equal those of a loop that breaks, whichever cycle it breaks in."""
    model = network()
    with torch.no_grad():
        model.halt.bias.fill_(bias)
        cells = torch.arange(18).reshape(3, 6) % 5
        logits, halt, cycles = literal(model, cells)
        ours = model(cells)
    assert cycles in halts_in
    torch.testing.assert_close(ours, (logits, halt))


def test_the_penalty_of_its_training_lowers_the_halting_probability():
    """One step down the gradient of 0.01 * mean(halt), which should shorten it, lengthens it."""
    model, cells = network(), torch.arange(18).reshape(3, 6) % 5
    before = model(cells)[1].mean()
    (0.01 * before).backward()
    with torch.no_grad():
        for parameter in model.halt.parameters():
            parameter.sub_(parameter.grad)
        assert model(cells)[1].mean() < before


def test_positions_are_sinusoids():
    """Channel 2k of position p is sin(p / 10000^(2k/D)), channel 2k + 1 its cosine."""
    table = sinusoids(7, 8).double()
    for p in range(7):
        for k in range(4):
            angle = torch.tensor(p / 10_000 ** (2 * k / 8), dtype=torch.float64)
            assert float(table[p, 2 * k]) == pytest.approx(float(angle.sin()), abs=1e-6)
            assert float(table[p, 2 * k + 1]) == pytest.approx(float(angle.cos()), abs=1e-6)
