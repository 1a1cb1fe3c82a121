"""SAGE's network: sizes of the original, PyTorch's own layers as reference, what cannot matter."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from models.recurrent import count_parameters
from models.sage import (
    ORIGINAL,
    Layer,
    Sage,
    SageConfig,
    canvases,
    pad_tokens,
    pool_tokens,
    student,
)

SMALL = {"features": 6, "width": 16, "layers": 2, "heads": 2, "tokens": 12, "side": 4, "pool": 1}
DECODERS = ("pooled", "cells")


def small(**changes):
    """A network that every part of takes part in, in evaluation; weights large enough to matter."""
    torch.manual_seed(0)
    net = Sage(student(**SMALL | changes)).eval()
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    return net.double()


def draw(*size):
    return torch.randn(*size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def said(output):
    """All that is to be learned from: logits of cells and sizes."""
    return torch.cat((output.cells_BSC.flatten(1), output.height_BM, output.width_BM), 1)


def test_the_original_has_its_parameters():
    """44,101,928 in all, and what each part has, as the facts about the original say."""
    net = Sage(ORIGINAL)
    assert count_parameters(net) == 44_101_928
    assert count_parameters(net.projection) == 1_050_112
    assert count_parameters(net.positions) == 3_072_000
    assert count_parameters(net.encoder) == 18_914_304
    assert count_parameters(net.decoder) == 21_065_512


def test_the_projector_is_in_the_module():
    """The original's 1,050,624 of its loss stand among the parameters, so an optimizer has them."""
    net = Sage(replace(ORIGINAL, reconstruct=True))
    assert count_parameters(net) == 44_101_928 + 1_050_624


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("all_parts", [False, True])
def test_every_part_is_learned(decoder, all_parts):
    """Every parameter gets a gradient; what is switched off is not there at all."""
    net = small(decoder=decoder, shape_head=all_parts, reconstruct=all_parts)
    output = net(draw(2, 7, 6), VALID)
    parts = [output.height_BM, output.width_BM, output.reconstructed_BPF]
    assert [part is not None for part in parts] == [all_parts] * 3
    given = [output.cells_BSC, *(parts if all_parts else [])]
    sum(part.square().sum() for part in given).backward()
    for name, weight in net.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.any(), name


def test_weights_start_as_said():
    """The original's from 0.02; the student's so that what comes in keeps its size."""
    torch.manual_seed(0)
    sizes = {"features": 64, "width": 256, "layers": 1, "heads": 2, "tokens": 300, "side": 30}
    for net, (linear, vectors) in (
        (Sage(replace(ORIGINAL, **sizes)), (0.02, 0.02)),
        (Sage(student(**sizes)), (64**-0.5, 1.0)),
    ):
        assert net.projection[0].weight.std().item() == pytest.approx(linear, rel=0.05)
        assert net.positions.weight.std().item() == pytest.approx(vectors, rel=0.05)
        assert not net.projection[0].bias.any()


def copied(theirs, ours):
    """Our layer with the weights of PyTorch's."""
    pairs = [(ours.attention, theirs.self_attn)]
    norms = [ours.attention_norm, ours.cross_norm, ours.norm]
    if ours.cross is not None:
        pairs.append((ours.cross, theirs.multihead_attn))
    with torch.no_grad():
        for our, their in pairs:
            size = len(our.query.weight)
            for name in ("weight", "bias"):
                both = getattr(their, f"in_proj_{name}")
                getattr(our.query, name).copy_(both[:size])
                getattr(our.key_value, name).copy_(both[size:])
            our.out.load_state_dict(their.out_proj.state_dict())
    kept = [norm for norm in norms if norm is not None]
    for place, norm in enumerate(kept, start=1):
        norm.load_state_dict(getattr(theirs, f"norm{place}").state_dict())
    ours.up.load_state_dict(theirs.linear1.state_dict())
    ours.down.load_state_dict(theirs.linear2.state_dict())
    return ours


def scattered(layer):
    """Weights and biases that are all different from what they start as."""
    with torch.no_grad():
        for weight in layer.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return layer


CONFIG = SageConfig(width=16, heads=4, feedforward=24, dropout=0.0)
VALID = torch.tensor([[True] * 7, [True] * 3 + [False] * 4])


@pytest.mark.parametrize("valid", [None, VALID], ids=["full", "padded"])
def test_an_encoder_layer_is_that_of_pytorch(valid):
    """The same weights give the same numbers and the same gradients, with and without padding."""
    theirs = nn.TransformerEncoderLayer(16, 4, 24, 0.0, batch_first=True, norm_first=True)
    theirs = scattered(theirs).double()
    ours = copied(theirs, Layer(CONFIG).double())
    assert count_parameters(ours) == count_parameters(theirs)
    x = draw(2, 7, 16)
    keep = torch.ones(2, 7, dtype=torch.bool) if valid is None else valid
    results = []
    for given in (x.clone().requires_grad_(), x.clone().requires_grad_()):
        if results:
            said = ours(given, None if valid is None else valid[:, None, None])
        else:
            said = theirs(given, src_key_padding_mask=None if valid is None else ~valid)
        said[keep].square().sum().backward()
        results.append((said[keep], given.grad[keep]))
    for theirs_, ours_ in zip(*results, strict=True):
        torch.testing.assert_close(ours_, theirs_)


def test_a_decoder_layer_is_that_of_pytorch():
    """Attention among the queries, then to the memory without its padding, then the mlp."""
    theirs = nn.TransformerDecoderLayer(16, 4, 24, 0.0, batch_first=True, norm_first=True)
    theirs = scattered(theirs).double()
    ours = copied(theirs, Layer(CONFIG, cross=True).double())
    assert count_parameters(ours) == count_parameters(theirs)
    queries, memory = draw(2, 5, 16), draw(2, 7, 16) * 2
    expected = theirs(queries, memory, memory_key_padding_mask=~VALID)
    torch.testing.assert_close(ours(queries, None, memory, VALID[:, None, None]), expected)


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("pool", [1, 3])
def test_padding_changes_nothing(decoder, pool):
    """A row alone and the same row before padding of any content, even NaN, give the same."""
    net = small(decoder=decoder, pool=pool)
    alone = draw(1, 5, 6)
    expected = net(alone)
    behind = torch.full((1, 4, 6), torch.nan, dtype=torch.float64)
    rows = torch.cat((torch.cat((alone, behind), 1), draw(1, 9, 6)))
    valid = torch.arange(9) < torch.tensor([[5], [9]])
    found = net(rows, valid)
    torch.testing.assert_close(said(found)[:1], said(expected))
    tokens = expected.tokens_BPF.shape[1]
    assert found.valid_BP[0].tolist() == [place < tokens for place in range(-(-9 // pool))]
    for name in ("reconstructed_BPF", "tokens_BPF"):
        torch.testing.assert_close(getattr(found, name)[:1, :tokens], getattr(expected, name))


@pytest.mark.parametrize("decoder", DECODERS)
def test_padding_gets_no_gradient(decoder):
    """What stands behind a row's tokens is not learned from."""
    net, valid = small(decoder=decoder), VALID
    features = draw(2, 7, 6).requires_grad_()
    said(net(features, valid)).sum().backward()
    assert (features.grad[~valid] == 0).all()
    assert (features.grad[valid] != 0).any(-1).all()


@pytest.mark.parametrize("decoder", DECODERS)
def test_rows_do_not_see_each_other(decoder):
    """Another second row changes the second answer and not the first."""
    net = small(decoder=decoder)
    first, second = draw(2, 7, 6), draw(2, 7, 6)
    second[1] += 1
    one, other = said(net(first, VALID)), said(net(second, VALID))
    torch.testing.assert_close(one[0], other[0], rtol=0, atol=1e-12)
    assert not torch.allclose(one[1], other[1])


@pytest.mark.parametrize("decoder", DECODERS)
def test_the_order_of_tokens_matters(decoder):
    """Positions tell tokens apart: the same tokens in another order are another question."""
    net, features = small(decoder=decoder), draw(1, 7, 6)
    assert not torch.allclose(said(net(features)), said(net(features.flip(1))))


class Largest(TorchDispatchMode):
    """The most elements that any tensor made meanwhile had."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        found = made if isinstance(made, (tuple, list)) else [made]
        sizes = [one.numel() for one in found if isinstance(one, torch.Tensor)]
        self.elements = max([self.elements, *sizes])
        return made


@pytest.mark.parametrize("masked", [False, True], ids=["full", "padded"])
def test_no_matrix_of_scores_is_made(masked):
    """In training, with dropout, forward and backward make nothing of the size tokens x tokens."""
    length = 1024
    net = Sage(student(**SMALL | {"tokens": length, "dropout": 0.1})).train()
    valid = torch.arange(length) < torch.tensor([[length], [length - 9]]) if masked else None
    features = torch.randn(2, length, 6)
    with Largest() as largest:
        output = net(features, valid)
        (said(output).sum() + output.reconstructed_BPF.sum()).backward()
    assert 0 < largest.elements < length**2 / 4


def test_a_matrix_of_scores_would_be_seen():
    """The test above finds one where there is one: PyTorch's layer with dropout of its weights."""
    layer = nn.TransformerEncoderLayer(16, 2, 16, 0.1, batch_first=True)
    with Largest() as largest:
        layer(torch.randn(1, 256, 16))
    assert largest.elements >= 2 * 256**2


def test_neighbours_are_averaged():
    """Groups of three, the last of fewer; padding does not count in a mean."""
    features = torch.arange(10.0)[None, :, None].repeat(2, 1, 1)
    pooled, valid = pool_tokens(features, None, 3)
    assert valid is None
    assert pooled[0, :, 0].tolist() == [1, 4, 7, 9]
    mask = torch.arange(10) < torch.tensor([[10], [5]])
    pooled, valid = pool_tokens(features, mask, 3)
    assert pooled[..., 0].tolist() == [[1, 4, 7, 9], [1, 3.5, 0, 0]]
    assert valid.tolist() == [[True] * 4, [True, True, False, False]]


def test_reconstruction_is_of_the_pooled_tokens():
    """One vector of features for each pooled token, beside what it stands for."""
    output = small(pool=2)(draw(1, 7, 6))
    assert output.reconstructed_BPF.shape == output.tokens_BPF.shape == (1, 4, 6)
    torch.testing.assert_close(output.tokens_BPF, pool_tokens(draw(1, 7, 6), None, 2)[0])


def test_half_precision_features_are_read_as_what_they_are():
    """Features kept in bfloat16 give what the same numbers in float32 do."""
    net = small().float()
    features = draw(1, 7, 6).bfloat16()
    torch.testing.assert_close(said(net(features)), said(net(features.float())), rtol=0, atol=0)


def test_rows_are_padded_to_the_longest():
    """Zeros behind the shorter ones and a mask; none where all are equally long."""
    rows = [torch.ones(2, 3), torch.ones(4, 3)]
    features, valid = pad_tokens(rows)
    assert features.sum((1, 2)).tolist() == [6, 12]
    assert valid.tolist() == [[True, True, False, False], [True] * 4]
    assert pad_tokens(rows[:1] * 2)[1] is None


def test_predictions_are_canvases_of_the_predicted_size():
    """Colours inside of the predicted rectangle, PAD outside; without a shape head no outside."""
    output = small(side=3)(draw(1, 7, 6))
    cells, height, width = torch.zeros(1, 9, 10), torch.zeros(1, 3), torch.zeros(1, 3)
    cells[..., 7] = height[0, 1] = width[0, 0] = 1
    shaped = output._replace(cells_BSC=cells, height_BM=height, width_BM=width)
    assert canvases(shaped).tolist() == [[9, 0, 0, 9, 0, 0, 0, 0, 0]]
    unshaped = shaped._replace(height_BM=None, width_BM=None)
    assert canvases(unshaped).tolist() == [[9] * 9]


def test_a_cell_of_aligned_tokens_starts_from_its_own():
    """With nothing added by attention, a token changes its own cell's colours and no other's."""
    net = small(tokens=16, aligned=True)
    with torch.no_grad():
        for layer in [*net.encoder, *net.decoder.layers]:
            for mixer in (layer.attention, layer.cross):
                if mixer is not None:
                    mixer.out.weight.zero_()
    features = draw(1, 16, 6)
    changed = features.clone()
    changed[0, 5] += 1.0
    before, after = (net(x).cells_BSC[0] for x in (features, changed))
    moved = (before != after).any(-1)
    assert moved.nonzero().flatten().tolist() == [5]
