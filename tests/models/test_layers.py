"""Each layer against a literal loop in float64, and its gradient against differences."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.layers import (
    Attention,
    Block,
    PlaneConvolution,
    ShortConvolution,
    SwiGLU,
    TokenMixer,
    inner_width,
    projection,
    rms_norm,
    rotary_tables,
    rotate,
    truncated_normal_,
)


def normal(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def flat(length):
    return torch.arange(length)[:, None]


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


def assert_close(tensor, array):
    np.testing.assert_allclose(tensor.detach().double().numpy(), array, rtol=2e-5, atol=2e-6)


def test_norm_scales_to_root_mean_square_one():
    """Each position is divided by its root mean square, and by nothing else."""
    x = normal(2, 3, 8)
    expected = [[literal_norm(vector) for vector in row] for row in x.double().numpy()]
    assert_close(rms_norm(x), expected)


def test_norm_of_half_precision_is_computed_in_float32():
    """Half precision goes in and comes out, rounded once: equal to the norm of the same floats."""
    x = (normal(2, 3, 512) * 100).bfloat16()
    assert torch.equal(rms_norm(x), rms_norm(x.float()).bfloat16())


def test_norm_survives_zero():
    """A position of zeros stays zero."""
    assert rms_norm(torch.zeros(1, 1, 4)).abs().sum() == 0


def test_swiglu_is_gate_times_value():
    """SwiGLU equals down(silu(gate) * value), vector by vector."""
    layer, x = SwiGLU(6, 5), normal(2, 3, 6)
    expected = [[literal_swiglu(layer, v) for v in row] for row in x.double().numpy()]
    assert_close(layer(x), expected)


def test_attention_equals_the_literal_sum():
    """Attention with rotary positions equals a softmax written out over all pairs of positions."""
    layer, x = Attention(8, 2), normal(2, 5, 8)
    expected = [literal_attention(layer, row) for row in x.double().numpy()]
    assert_close(layer(x, rotary_tables(flat(5), 4)), expected)


def test_token_mixer_is_swiglu_over_positions():
    """The mixer treats each channel as a vector over positions."""
    layer, x = TokenMixer(5, 4), normal(2, 5, 3)
    expected = [
        np.stack([literal_swiglu(layer.swiglu, channel) for channel in row.T], axis=1)
        for row in x.double().numpy()
    ]
    assert_close(layer(x, None), expected)


@pytest.mark.parametrize("kernel", [1, 2, 3])
def test_the_short_convolution_looks_back(kernel):
    """Position t is silu of a weighted sum of the positions t - k + 1 to t, zero before the row."""
    layer, x = ShortConvolution(3, kernel), normal(2, 5, 3)
    taps, bias = (p.detach().double().numpy() for p in (layer.taps, layer.bias))
    expected = np.zeros((2, 5, 3))
    for t in range(5):
        total = np.tile(bias, (2, 1))
        for back in range(min(kernel, t + 1)):
            total = total + taps[kernel - 1 - back] * x[:, t - back].double().numpy()
        expected[:, t] = total / (1 + np.exp(-total))
    assert_close(layer(x), expected)


def test_the_short_convolution_of_two_mixes_a_position_with_the_one_before():
    """A change at position 3 shows at 3 and 4, and nowhere else."""
    layer, x = ShortConvolution(4, 2), normal(1, 6, 4)
    moved = x.clone()
    moved[:, 3] += 1
    changed = (layer(moved) != layer(x)).any(-1)[0]
    assert changed.tolist() == [False, False, False, True, True, False]


def test_the_short_convolution_equals_that_of_pytorch():
    """The shifted products are a depthwise Conv1d, padded before and cut behind, as in URM."""
    layer, x = ShortConvolution(6, 2), normal(2, 7, 6)
    theirs = torch.nn.Conv1d(6, 6, 2, groups=6, padding=1)
    with torch.no_grad():
        theirs.weight.copy_(layer.taps.permute(2, 1, 0))
        theirs.bias.copy_(layer.bias)
    expected = torch.nn.functional.silu(theirs(x.transpose(1, 2))[..., :7]).transpose(1, 2)
    torch.testing.assert_close(layer(x), expected)


def test_the_short_convolution_starts_as_that_of_pytorch():
    """Taps and bias start uniformly within 1/sqrt(kernel)."""
    torch.manual_seed(0)
    layer = ShortConvolution(4000, 2)
    for values in (layer.taps.detach(), layer.bias.detach()):
        assert float(values.abs().max()) == pytest.approx(2**-0.5, rel=0.01)
        assert float(values.std()) == pytest.approx(2**-0.5 / 3**0.5, rel=0.05)


@pytest.mark.parametrize("tokens", [0, 1, 3])
def test_the_plane_convolution_sums_the_neighbourhood(tokens):
    """Each cell gains the weighted sum of its 3 x 3 neighbours, an identity token nothing."""
    layer, x = PlaneConvolution(2, 3, tokens, 3), normal(1, tokens + 9, 2)
    kernel = layer.weight.detach().double().numpy()[:, 0]
    plane = x[0, tokens:].double().numpy().reshape(3, 3, 2)
    expected = x[0].double().numpy().copy()
    for row in range(3):
        for column in range(3):
            for dr in (-1, 0, 1):
                for dc in (-1, 0, 1):
                    r, c = row + dr, column + dc
                    if 0 <= r < 3 and 0 <= c < 3:
                        near = kernel[:, dr + 1, dc + 1] * plane[r, c]
                        expected[tokens + 3 * row + column] += near
    assert_close(layer(x)[0], expected)


def test_the_plane_convolution_refuses_a_kernel_without_a_middle():
    """An even kernel is refused by name."""
    with pytest.raises(ValueError, match="kernel 2 is even"):
        PlaneConvolution(4, 3, 1, 2)


@pytest.mark.parametrize("norm", ["channels", "positions"])
def test_block_norms_after_each_sum(norm):
    """A block is norm(x + mixer(x)), then norm(x + swiglu(x)); the first over the chosen axis."""
    mixer, swiglu, x = TokenMixer(4, 4), SwiGLU(6, 4), normal(1, 4, 6)
    rows = x[0].double().numpy()
    mixed = np.stack([literal_swiglu(mixer.swiglu, channel) for channel in rows.T], axis=1)
    summed = rows + mixed
    first = np.stack([literal_norm(v) for v in (summed if norm == "channels" else summed.T)])
    first = first if norm == "channels" else first.T
    second = np.stack([literal_norm(v + literal_swiglu(swiglu, v)) for v in first])
    assert_close(Block(mixer, swiglu, norm=norm)(x, None)[0], second)


def block_with(place):
    torch.manual_seed(1)
    inside = place == "mlp_expansion"
    convolution = ShortConvolution(3 if inside else 4, 2)
    mixer, swiglu = TokenMixer(5, 4), SwiGLU(4, 3, convolution if inside else None)
    outside = None if inside else convolution
    return Block(mixer, swiglu, convolution=outside, place=place), convolution


def literal_block(block, convolution, place, x):
    """A block with `convolution` written at its place, everything else as without it."""
    at = {place: convolution}
    same = torch.nn.Identity()
    mixed = block.mixer(at.get("attention_input", same)(x), None)
    x = rms_norm(x + at.get("attention_output", same)(mixed))
    gate, value = block.swiglu.gate_value(at.get("mlp_input", same)(x)).chunk(2, -1)
    product = at.get("mlp_expansion", same)(torch.nn.functional.silu(gate) * value)
    return rms_norm(x + at.get("mlp_output", same)(block.swiglu.down(product)))


PLACES = ["attention_input", "attention_output", "mlp_input", "mlp_expansion", "mlp_output"]


@pytest.mark.parametrize("place", PLACES)
def test_a_convolution_stands_at_its_place_and_only_there(place):
    """Each place gives the block with the convolution written there; residual paths go around."""
    block, convolution = block_with(place)
    x = normal(2, 5, 4)
    torch.testing.assert_close(block(x, None), literal_block(block, convolution, place, x))
    others = [literal_block(block_with(p)[0], block_with(p)[1], p, x) for p in PLACES if p != place]
    assert not any(torch.allclose(block(x, None), other, atol=1e-3) for other in others)


def test_rotation_equals_the_literal_turn():
    """In float64 every head of every row is turned by its position, pair by pair."""
    x = normal(2, 6, 3, 8).double()
    expected = [
        [[literal_turn(head, position) for head in heads] for position, heads in enumerate(row)]
        for row in x.numpy()
    ]
    np.testing.assert_allclose(rotate(x, rotary_tables(flat(6), 8)), expected, atol=1e-6)


def test_rotation_of_half_precision_is_computed_in_float32():
    """Half precision goes in and comes out, rounded once: equal to turning the same floats."""
    x, tables = normal(1, 40, 2, 8).bfloat16(), rotary_tables(flat(40), 8)
    assert torch.equal(rotate(x, tables), rotate(x.float(), tables).bfloat16())


def test_rotation_keeps_lengths():
    """Turning changes no vector's length."""
    x = normal(1, 6, 2, 8)
    turned = rotate(x, rotary_tables(flat(6), 8))
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1))


def product(first, second):
    """Product of one query turned at `first` and one key turned at `second`."""
    q, k = normal(1, 1, 1, 8), normal(1, 1, 1, 8).flip(-1) + 1
    turned = [rotate(v, rotary_tables(torch.tensor([p]), 8)) for v, p in ((q, first), (k, second))]
    return float((turned[0] * turned[1]).sum())


@settings(max_examples=20)
@given(shift=st.integers(0, 40), first=st.integers(0, 10), second=st.integers(0, 10))
def test_rotary_products_depend_on_distance_only(shift, first, second):
    """The product of a turned query and key is the same after both positions move by `shift`."""
    moved = product([first + shift], [second + shift])
    assert product([first], [second]) == pytest.approx(moved, abs=1e-3)


def test_grid_angles_depend_on_offsets_in_the_plane():
    """With (row, column) coordinates a move of both cells by the same offset changes no product."""
    assert product([1, 2], [3, 1]) == pytest.approx(product([4, 7], [6, 6]), abs=1e-4)
    assert product([1, 2], [3, 1]) != pytest.approx(product([1, 2], [1, 3]), abs=1e-3)


def test_attention_without_positions_ignores_order():
    """Without rotary, permuting the positions permutes the output in the same way."""
    layer, x = Attention(8, 2), normal(1, 6, 8)
    order = torch.tensor([3, 1, 5, 0, 4, 2])
    torch.testing.assert_close(layer(x[:, order], None), layer(x, None)[:, order])


def test_attention_with_positions_sees_order():
    """With rotary positions the same permutation changes what a position gets."""
    layer, x = Attention(8, 2), normal(1, 6, 8)
    order = torch.tensor([3, 1, 5, 0, 4, 2])
    tables = rotary_tables(flat(6), 4)
    assert not torch.allclose(layer(x[:, order], tables), layer(x, tables)[:, order], atol=1e-3)


def test_rows_of_a_batch_do_not_see_each_other():
    """Every layer gives a row what it gives it alone."""
    x = normal(3, 10, 8)
    tables = rotary_tables(flat(10), 4)
    layers = [
        partial(Attention(8, 2), rotary=tables),
        partial(TokenMixer(10, 4), _rotary=None),
        ShortConvolution(8, 2),
        PlaneConvolution(8, 3, 1, 3),
        SwiGLU(8, 4),
    ]
    for layer in layers:
        torch.testing.assert_close(layer(x)[1:2], layer(x[1:2]))


@pytest.mark.parametrize(
    "build",
    [
        lambda: rms_norm,
        lambda: lambda x: rotate(x[:, :, None], rotary_tables(flat(5), 4)),
        lambda: SwiGLU(4, 3),
        lambda: partial(Attention(4, 2).double(), rotary=rotary_tables(flat(5), 2)),
        lambda: partial(TokenMixer(5, 3).double(), _rotary=None),
        lambda: ShortConvolution(4, 2),
        lambda: PlaneConvolution(4, 2, 1, 3),
    ],
    ids=["norm", "rotate", "swiglu", "attention", "mixer", "short", "plane"],
)
def test_gradients_equal_differences(build):
    """In float64 the gradient of each piece is that of finite differences."""
    torch.manual_seed(0)
    layer = build()
    layer = layer.double() if isinstance(layer, torch.nn.Module) else layer
    x = normal(2, 5, 4).double().requires_grad_()
    assert torch.autograd.gradcheck(layer, (x,))


@pytest.mark.parametrize(("coordinates", "size"), [(1, 5), (2, 6)])
def test_angles_refuse_a_head_that_cannot_be_shared(coordinates, size):
    """A head whose channels do not divide into pairs per coordinate is refused."""
    with pytest.raises(ValueError, match="cannot be shared"):
        rotary_tables(torch.zeros(3, coordinates), size)


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
