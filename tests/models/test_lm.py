"""The language model: causal, unmoved by padding, equal to a slow literal reference."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from models.lm import LanguageModel, LmConfig, attention_maps

ALL = frozenset({"states", "queries", "keys", "values", "attentions"})
TINY = {"vocabulary": 11, "width": 16, "layers": 2, "heads": 2, "context": 12}


def model_of(**changed):
    torch.manual_seed(0)
    return LanguageModel(LmConfig(**TINY | changed))


def tokens_of(rows=2, length=9, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(11, (rows, length), generator=generator)


def literal_norm(vector):
    return vector / math.sqrt(np.mean(vector**2) + 1e-5)


def literal_turn(vector, position):
    half, out = len(vector) // 2, np.empty(len(vector))
    for pair in range(half):
        angle = position / 10_000 ** (pair / half)
        a, b = vector[pair], vector[pair + half]
        out[pair] = a * math.cos(angle) - b * math.sin(angle)
        out[pair + half] = b * math.cos(angle) + a * math.sin(angle)
    return out


def literal_attention(layer, normed, heads):
    """The sums that are added to the stream, token by token and head by head."""
    width = len(normed[0])
    size = width // heads
    qkv = [layer.qkv.weight.double().detach().numpy() @ vector for vector in normed]
    sums = [np.zeros(width) for _ in normed]
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        turned = [
            [literal_turn(row[k * width :][part], at) for k in (0, 1)] for at, row in enumerate(qkv)
        ]
        for at in range(len(normed)):
            scores = [turned[at][0] @ turned[to][1] / math.sqrt(size) for to in range(at + 1)]
            weights = np.exp(scores) / np.exp(scores).sum()
            for to, weight in enumerate(weights):
                sums[at][part] += weight * qkv[to][2 * width :][part]
    return [layer.out.weight.double().detach().numpy() @ vector for vector in sums]


def literal(model, tokens):
    """Logits and states of one row, by loops over tokens in float64."""
    table = model.embedding.weight.double().detach().numpy()
    stream = [literal_norm(table[token]) for token in tokens]
    states = [np.stack(stream)]
    for layer in model.layers:
        added = literal_attention(layer, [literal_norm(x) for x in stream], model.config.heads)
        stream = [x + a for x, a in zip(stream, added, strict=True)]
        up, down = (
            w.weight.double().detach().numpy() for w in (layer.swiglu.gate_value, layer.swiglu.down)
        )
        for at, x in enumerate(stream):
            gate, value = np.split(up @ literal_norm(x), 2)
            stream[at] = x + down @ (gate / (1 + np.exp(-gate)) * value)
        states.append(np.stack(stream))
    head = model.head.weight.double().detach().numpy()
    return np.stack([head @ literal_norm(x) for x in stream]), states


@pytest.mark.parametrize("tied", [True, False])
def test_the_model_equals_a_slow_literal_one(tied):
    """Logits and every state are those of loops over tokens, heads and pairs in float64."""
    model, tokens = model_of(tied=tied).double(), tokens_of()
    output = model(tokens, keep=frozenset({"states"}))
    logits = output.logits(output.hidden_BLD)
    for row in range(len(tokens)):
        expected, states = literal(model, tokens[row].tolist())
        assert np.allclose(logits[row].detach(), expected, rtol=1e-5, atol=1e-6)
        assert len(output.states) == len(states) == 3
        for kept, state in zip(output.states, states, strict=True):
            assert np.allclose(kept[row].detach(), state, rtol=1e-5, atol=1e-6)


@settings(max_examples=30)
@given(cut=st.integers(1, 8), seed=st.integers(0, 1000))
def test_a_token_is_unmoved_by_later_ones(cut, seed):
    """Changing the tokens from a place on changes every state from there on and none before."""
    model, tokens = model_of(), tokens_of(seed=seed)
    other = tokens.clone()
    other[:, cut:] = (tokens[:, cut:] + 1) % 11
    first, second = (model(t, keep=ALL) for t in (tokens, other))
    for name in ALL - {"attentions"}:
        for a, b in zip(getattr(first, name), getattr(second, name), strict=True):
            axis = 1 if name == "states" else 2
            assert torch.equal(a.narrow(axis, 0, cut), b.narrow(axis, 0, cut))
    assert torch.equal(first.hidden_BLD[:, :cut], second.hidden_BLD[:, :cut])
    assert not torch.isclose(first.hidden_BLD[:, cut], second.hidden_BLD[:, cut]).all()


@settings(max_examples=20)
@given(length=st.integers(1, 9), padding=st.integers(1, 3), filler=st.integers(0, 10))
def test_padding_on_the_right_changes_nothing(length, padding, filler):
    """A row has the states that it has alone, whatever stands behind it."""
    model, tokens = model_of(), tokens_of(rows=1, length=length)
    padded = functional.pad(tokens, (0, padding), value=filler)
    alone, among = (model(t).hidden_BLD for t in (tokens, padded))
    assert torch.allclose(alone, among[:, :length], atol=1e-5)


def test_a_token_is_moved_by_earlier_ones():
    """The last hidden state depends on the first token: attention reaches back."""
    model, tokens = model_of(), tokens_of()
    other = tokens.clone()
    other[:, 0] = (tokens[:, 0] + 1) % 11
    assert not torch.allclose(
        model(tokens).hidden_BLD[:, -1], model(other).hidden_BLD[:, -1], atol=1e-3
    )


def test_what_is_kept_is_what_was_used():
    """Each layer's step follows from its state and the queries, keys and values kept of it."""
    model, tokens = model_of().double(), tokens_of()
    output = model(tokens, keep=ALL)
    for k, layer in enumerate(model.layers):
        q, key, v = (getattr(output, name)[k] for name in ("queries", "keys", "values"))
        assert q.shape == key.shape == v.shape == (2, 2, 9, 8)
        assert output.attentions[k].shape == (2, 2, 9, 9)
        assert torch.allclose(output.attentions[k], attention_maps(q, key, 8**-0.5))
        mixed = (output.attentions[k].double() @ v).transpose(1, 2).flatten(2)
        middle = output.states[k] + layer.out(mixed)
        after = middle + layer.swiglu(functional.rms_norm(middle, (16,), eps=1e-5))
        assert torch.allclose(after, output.states[k + 1], rtol=1e-4, atol=1e-5)


def test_maps_are_causal_and_add_up_to_one():
    """No token looks to its right, and what it looks at adds up to one."""
    (first, second) = model_of()(tokens_of(), keep=frozenset({"attentions"})).attentions
    for maps in (first, second):
        assert maps.triu(1).count_nonzero() == 0
        assert torch.allclose(maps.sum(-1), torch.ones(2, 2, 9))
    assert first[:, :, 3:, 1].min() > 0


def test_maps_follow_a_mask_of_either_kind():
    """A window of two tokens, as booleans or as what is added, is all that is looked at."""
    q, k = (torch.randn(1, 2, 5, 4, generator=torch.Generator().manual_seed(n)) for n in (0, 1))
    window = torch.ones(5, 5, dtype=torch.bool).tril() & ~torch.ones(5, 5, dtype=torch.bool).tril(
        -2
    )
    added = torch.zeros(5, 5).masked_fill(~window, -torch.inf)
    first, second = (attention_maps(q, k, 0.5, mask) for mask in (window, added))
    assert torch.equal(first, second)
    assert torch.equal(first > 0, window.expand(1, 2, 5, 5))
    assert torch.allclose(
        first @ k, functional.scaled_dot_product_attention(q, k, k, attn_mask=window), atol=1e-6
    )


def test_keeping_changes_no_result():
    """What is kept is extra: the hidden states are the same bits, and nothing else is left."""
    model, tokens = model_of(), tokens_of()
    bare, full = model(tokens), model(tokens, keep=ALL)
    assert torch.equal(bare.hidden_BLD, full.hidden_BLD)
    assert (bare.states, bare.queries, bare.keys, bare.values, bare.attentions) == ((),) * 5


@settings(max_examples=20)
@given(
    layers=st.integers(1, 3),
    heads=st.integers(1, 3),
    pairs=st.integers(1, 4),
    vocabulary=st.integers(2, 40),
    tied=st.booleans(),
)
def test_the_number_of_parameters_is_a_formula(layers, heads, pairs, vocabulary, tied):
    """V D for the embedding, again for an untied head; 4 D D + 3 D F a layer; nothing else."""
    width = 2 * heads * pairs
    inner = math.ceil(round(4 * width * 2 / 3) / 16) * 16
    config = LmConfig(
        vocabulary=vocabulary, width=width, layers=layers, heads=heads, context=4, tied=tied
    )
    count = sum(p.numel() for p in LanguageModel(config).parameters())
    heads_of_vocabulary = 1 if tied else 2
    layer = 4 * width**2 + 3 * width * inner
    assert count == heads_of_vocabulary * vocabulary * width + layers * layer


def test_the_first_loss_is_near_that_of_guessing():
    """A new model of any depth knows little and is not sure of anything."""
    for layers in (1, 8):
        model = model_of(vocabulary=500, width=64, heads=4, layers=layers)
        tokens = torch.randint(500, (8, 12), generator=torch.Generator().manual_seed(1))
        output = model(tokens)
        logits = output.logits(output.hidden_BLD[:, :-1].flatten(0, 1))
        loss = functional.cross_entropy(logits, tokens[:, 1:].flatten())
        assert abs(loss - math.log(500)) < 0.1


@pytest.mark.parametrize("layers", [1, 4, 16])
def test_the_stream_does_not_grow_with_depth(layers):
    """What all layers of a new model add to the stream together is of the size of an embedding."""
    model = model_of(width=64, heads=4, layers=layers)
    states = model(tokens_of(rows=8), keep=frozenset({"states"})).states
    assert len(states) == layers + 1
    added = (states[-1] - states[0]).square().mean() / states[0].square().mean()
    assert 0.02 < added < 0.6


def test_a_model_learns_a_sequence_that_has_one_continuation():
    """After a few steps every token of a fixed cycle follows, which its predecessor does not tell.

    The cycle 0 1 0 2 0 3 needs the token before the last: attention must be used.
    """
    model = model_of(width=32, layers=2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    cycle = torch.tensor([0, 1, 0, 2, 0, 3])
    tokens = torch.stack([cycle.roll(-k).repeat(3)[:13] for k in range(6)])
    inputs, labels = tokens[:, :-1], tokens[:, 1:]
    for _ in range(40):
        output = model(inputs)
        logits = output.logits(output.hidden_BLD.flatten(0, 1))
        loss = functional.cross_entropy(
            logits.unflatten(0, labels.shape)[:, 2:].flatten(0, 1), labels[:, 2:].flatten()
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.05
    output = model(inputs)
    guessed = output.logits(output.hidden_BLD[:, 2:].flatten(0, 1)).argmax(-1)
    assert torch.equal(guessed, labels[:, 2:].flatten())


def test_gradients_reach_every_parameter():
    """Nothing in the module is beside the loss."""
    model = model_of(tied=False)
    output = model(tokens_of())
    output.logits(output.hidden_BLD).logsumexp(-1).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"width": 15}, r"width=15 is no multiple of 2 \* heads=4"),
        ({"width": 6, "heads": 2}, r"width=6 is no multiple of 2 \* heads=4"),
        ({"layers": 0}, "layers=0: must be above 0"),
        ({"vocabulary": -1}, "vocabulary=-1: must be above 0"),
        ({"expansion": float("nan")}, "expansion=nan: must be above 0"),
    ],
)
def test_sizes_that_make_no_model_are_refused(changed, message):
    """The size is named, with what it must be."""
    with pytest.raises(ValueError, match=message):
        LmConfig(**TINY | changed)


def test_rows_beyond_the_context_are_refused():
    """Positions have no angle there."""
    with pytest.raises(ValueError, match="rows of 13 tokens: the context is 12"):
        model_of()(tokens_of(length=13))


@pytest.mark.parametrize("keep", [frozenset({"logits"}), "states"])
def test_what_cannot_be_kept_is_refused(keep):
    """A misspelt name would otherwise be an empty tuple, found much later."""
    with pytest.raises(ValueError, match="a set of states, queries, keys, values, attentions"):
        model_of()(tokens_of(), keep=keep)
