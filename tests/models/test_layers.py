"""Each layer against a literal loop in float64."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.layers import (
    Attention,
    Block,
    PlaneConvolution,
    SwiGLU,
    TokenMixer,
    inner_width,
    projection,
    rms_norm,
    rotary_angles,
    rotate,
    truncated_normal_,
)


def normal(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def weights(linear):
    return linear.weight.detach().double().numpy()


def literal_norm(vector):
    return vector / math.sqrt(sum(v * v for v in vector) / len(vector) + 1e-5)


def literal_swiglu(layer, vector):
    gate, value = np.split(weights(layer.gate_value) @ vector, 2)
    gated = [g / (1 + math.exp(-g)) * v for g, v in zip(gate, value, strict=True)]
    return weights(layer.down) @ np.array(gated)


def literal_turn(vector, position, base=10_000.0):
    """Rotate pairs (k, k + half) of one head by position / base^(k / half)."""
    half = len(vector) // 2
    out = np.empty(len(vector))
    for k in range(half):
        angle = position / base ** (k / half)
        a, b = vector[k], vector[k + half]
        out[k] = a * math.cos(angle) - b * math.sin(angle)
        out[k + half] = b * math.cos(angle) + a * math.sin(angle)
    return out


def literal_attention(layer, rows):
    length, width = rows.shape
    size = width // layer.heads
    q, k, v = np.split(rows @ weights(layer.qkv).T, 3, axis=1)
    out = np.zeros((length, width))
    for head in range(layer.heads):
        part = slice(head * size, (head + 1) * size)
        for i in range(length):
            query = literal_turn(q[i, part], i)
            scores = [
                math.exp(query @ literal_turn(k[j, part], j) / math.sqrt(size))
                for j in range(length)
            ]
            for j in range(length):
                out[i, part] += scores[j] / sum(scores) * v[j, part]
    return out @ weights(layer.out).T


def close(tensor, array):
    np.testing.assert_allclose(tensor.detach().double().numpy(), array, rtol=2e-5, atol=2e-6)


def test_norm_scales_to_root_mean_square_one():
    """Each position is divided by its root mean square, and by nothing else."""
    x = normal(2, 3, 8)
    expected = [[literal_norm(vector) for vector in row] for row in x.double().numpy()]
    close(rms_norm(x), expected)


def test_norm_keeps_the_type_and_survives_zero():
    """A position of zeros stays zero, and half precision stays half precision."""
    x = torch.zeros(1, 1, 4, dtype=torch.bfloat16)
    assert rms_norm(x).dtype == torch.bfloat16
    assert rms_norm(x).abs().sum() == 0


def test_swiglu_is_gate_times_value():
    """SwiGLU equals down(silu(gate) * value), vector by vector."""
    layer, x = SwiGLU(6, 5), normal(2, 3, 6)
    expected = [[literal_swiglu(layer, v) for v in row] for row in x.double().numpy()]
    close(layer(x), expected)


def test_attention_equals_the_literal_sum():
    """Attention with rotary positions equals a softmax written out over all pairs of positions."""
    layer, x = Attention(8, 2), normal(2, 5, 8)
    angles = rotary_angles(torch.arange(5)[:, None], 4)
    expected = [literal_attention(layer, row) for row in x.double().numpy()]
    close(layer(x, angles), expected)


def test_token_mixer_is_swiglu_over_positions():
    """The mixer treats each channel as a vector over positions."""
    layer, x = TokenMixer(5, 4), normal(2, 5, 3)
    expected = [
        np.stack([literal_swiglu(layer.swiglu, channel) for channel in row.T], axis=1)
        for row in x.double().numpy()
    ]
    close(layer(x, torch.empty(0)), expected)


def test_convolution_sums_the_neighbourhood():
    """Each cell gains the weighted sum of its 3 x 3 neighbours, the identity position nothing."""
    layer, x = PlaneConvolution(2, 3), normal(1, 10, 2)
    kernel = layer.weight.detach().double().numpy()[:, 0]
    plane = x[0, 1:].double().numpy().reshape(3, 3, 2)
    expected = x[0].double().numpy().copy()
    for row in range(3):
        for column in range(3):
            for dr in (-1, 0, 1):
                for dc in (-1, 0, 1):
                    r, c = row + dr, column + dc
                    if 0 <= r < 3 and 0 <= c < 3:
                        expected[1 + 3 * row + column] += kernel[:, dr + 1, dc + 1] * plane[r, c]
    close(layer(x)[0], expected)


def test_block_norms_after_each_sum():
    """A block is norm(x + mixer(x)), then norm(x + swiglu(x))."""
    mixer, swiglu, x = TokenMixer(4, 4), SwiGLU(6, 4), normal(1, 4, 6)
    rows = x[0].double().numpy()
    mixed = np.stack([literal_swiglu(mixer.swiglu, channel) for channel in rows.T], axis=1)
    first = np.stack([literal_norm(v) for v in rows + mixed])
    second = np.stack([literal_norm(v + literal_swiglu(swiglu, v)) for v in first])
    close(Block(mixer, swiglu)(x, torch.empty(0))[0], second)


def test_the_convolution_feeds_only_the_gated_layer():
    """With a convolution, the residual path still carries the state before it."""
    plane, swiglu, mixer = PlaneConvolution(4, 2), SwiGLU(4, 4), TokenMixer(5, 4)
    x = normal(1, 5, 4)
    mixed = rms_norm(x + mixer(x, torch.empty(0)))
    expected = rms_norm(mixed + swiglu(plane(mixed)))
    torch.testing.assert_close(Block(mixer, swiglu, plane)(x, torch.empty(0)), expected)


def test_rotation_keeps_lengths():
    """Turning changes no vector's length."""
    x = normal(1, 2, 6, 8)
    turned = rotate(x, rotary_angles(torch.arange(6)[:, None], 8))
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1))


@settings(max_examples=20)
@given(shift=st.integers(0, 40), first=st.integers(0, 10), second=st.integers(0, 10))
def test_rotary_products_depend_on_distance_only(shift, first, second):
    """The product of a turned query and key is the same after both positions move by `shift`."""
    q, k = normal(1, 1, 1, 8), normal(1, 1, 1, 8) + 1

    def product(i, j):
        turned = [rotate(v, rotary_angles(torch.tensor([[p]]), 8)) for v, p in ((q, i), (k, j))]
        return float((turned[0] * turned[1]).sum())

    assert product(first, second) == pytest.approx(product(first + shift, second + shift), abs=1e-3)


def test_grid_angles_depend_on_offsets_in_the_plane():
    """With (row, column) coordinates a move of both cells by the same offset changes no product."""
    q, k = normal(1, 1, 1, 8), normal(1, 1, 1, 8) - 1

    def product(one, other):
        a = rotate(q, rotary_angles(torch.tensor([one]), 8))
        b = rotate(k, rotary_angles(torch.tensor([other]), 8))
        return float((a * b).sum())

    assert product([1, 2], [3, 1]) == pytest.approx(product([4, 7], [6, 6]), abs=1e-4)
    assert product([1, 2], [3, 1]) != pytest.approx(product([1, 2], [1, 3]), abs=1e-3)


def test_attention_without_positions_ignores_order():
    """With all angles zero, permuting the positions permutes the output in the same way."""
    layer, x = Attention(8, 2), normal(1, 6, 8)
    order = torch.tensor([3, 1, 5, 0, 4, 2])
    angles = torch.zeros(6, 2)
    torch.testing.assert_close(layer(x[:, order], angles), layer(x, angles)[:, order])


def test_attention_with_positions_sees_order():
    """With rotary positions the same permutation changes what a position gets."""
    layer, x = Attention(8, 2), normal(1, 6, 8)
    order = torch.tensor([3, 1, 5, 0, 4, 2])
    angles = rotary_angles(torch.arange(6)[:, None], 4)
    assert not torch.allclose(layer(x[:, order], angles), layer(x, angles)[:, order], atol=1e-3)


@pytest.mark.parametrize(("coordinates", "size"), [(1, 5), (2, 6)])
def test_angles_refuse_a_head_that_cannot_be_shared(coordinates, size):
    """A head whose channels do not divide into pairs per coordinate is refused."""
    with pytest.raises(ValueError, match="cannot be shared"):
        rotary_angles(torch.zeros(3, coordinates), size)


def test_attention_refuses_an_uneven_width():
    """A width that the heads do not divide is refused by name."""
    with pytest.raises(ValueError, match="width 10"):
        Attention(10, 4)


def test_start_weights_have_the_asked_deviation():
    """The cut normal has the asked standard deviation after the cut, and no outliers."""
    torch.manual_seed(0)
    weight = torch.empty(400, 400)
    truncated_normal_(weight, 0.05)
    assert float(weight.std()) == pytest.approx(0.05, rel=0.01)
    assert float(weight.abs().max()) <= 2 * 0.05 / 0.8796 + 1e-6
    assert projection(100, 7).bias is None


@pytest.mark.parametrize(
    ("width", "expansion", "multiple", "inner"),
    [(512, 4, 256, 1536), (64, 4, 32, 192), (97, 4, 256, 512)],
)
def test_inner_width_follows_the_originals(width, expansion, multiple, inner):
    """Two thirds of the expansion, rounded up: the published sizes come out."""
    assert inner_width(width, expansion, multiple) == inner


def test_the_published_block_has_its_published_size():
    """A block of width 512 with 8 heads has the 3,407,872 parameters of HRM and TRM."""
    block = Block(Attention(512, 8), SwiGLU(512, inner_width(512, 4, 256)))
    assert sum(p.numel() for p in block.parameters()) == 3_407_872
