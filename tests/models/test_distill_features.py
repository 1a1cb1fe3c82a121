"""The terms of distillation on states, relations and attention maps, against literal loops."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.distill_features import (
    HiddenStates,
    attention_losses,
    even_layers,
    relation_losses,
)

ROWS, TOKENS = 3, 5
LENGTHS = [5, 2, 3]
VALID = torch.arange(TOKENS) < torch.tensor(LENGTHS)[:, None]
PAIRS = ((1, 2), (2, 3))
quick = settings(deadline=None, max_examples=10)
seeds = given(st.integers(0, 2**31))


def random(source, *shape):
    return torch.randn(*shape, generator=source, dtype=torch.float64)


def states_of(seed, width, layers=3):
    source = torch.Generator().manual_seed(seed)
    return [random(source, ROWS, TOKENS, width) for _ in range(layers + 1)]


def vectors_of(seed, heads, size):
    """Queries, keys and values of one layer."""
    source = torch.Generator().manual_seed(seed)
    return [random(source, ROWS, heads, TOKENS, size) for _ in range(3)]


def maps_of(seed, heads, layers=3):
    source = torch.Generator().manual_seed(seed)
    scores = [random(source, ROWS, heads, TOKENS, TOKENS) * 2 for _ in range(layers)]
    later = torch.ones(TOKENS, TOKENS, dtype=torch.bool).triu(1)
    return [x.masked_fill(later, -math.inf).softmax(-1) for x in scores]


def hidden_term(seed=0, student_width=4, teacher_width=6):
    torch.manual_seed(seed)
    return HiddenStates(PAIRS, student_width, teacher_width).double()


def places():
    return [(row, token) for row in range(ROWS) for token in range(LENGTHS[row])]


def unit(row):
    length = math.sqrt(math.fsum(value**2 for value in row))
    return [value / length for value in row]


def softmax(row):
    total = math.fsum(map(math.exp, row))
    return [math.exp(value) / total for value in row]


def dot(one, other):
    return math.fsum(a * b for a, b in zip(one, other, strict=True))


def literal_hidden(term, student, teacher):
    values = []
    for row, token in places():
        errors = []
        for (ours, theirs), projection in zip(PAIRS, term.projections, strict=True):
            state, target = student[ours][row, token].tolist(), teacher[theirs][row, token].tolist()
            scale = math.sqrt(math.fsum(value**2 for value in target) / len(target) + 1e-5)
            for weights, value in zip(projection.weight.tolist(), target, strict=True):
                errors.append((dot(weights, state) - value / scale) ** 2)
        values.append(math.fsum(errors) / len(errors))
    return values


def literal_relations(student, teacher, heads):
    """KL of a token's relations, mean over kinds and relation heads."""

    def relations(vectors, row, token, head):
        joined = vectors[row].transpose(0, 1).flatten(1).tolist()  # a vector of all heads a token
        size = len(joined[0]) // heads
        cut = [x[head * size : (head + 1) * size] for x in joined]
        return softmax(
            [dot(cut[token], cut[other]) / math.sqrt(size) for other in range(token + 1)]
        )

    values = []
    for row, token in places():
        parts = []
        for ours, theirs in zip(student, teacher, strict=True):
            for head in range(heads):
                q, p = (relations(side, row, token, head) for side in (ours, theirs))
                parts.append(math.fsum(b * math.log(b / a) for a, b in zip(q, p, strict=True)))
        values.append(math.fsum(parts) / len(parts))
    return values


def literal_attention(student, teacher):
    values = []
    for row, token in places():
        parts = []
        for ours, theirs in PAIRS:
            q = unit(student[ours - 1][row, :, token].mean(0).tolist())
            p = unit(teacher[theirs - 1][row, :, token].mean(0).tolist())
            parts.append(math.fsum((a - b) ** 2 for a, b in zip(q, p, strict=True)))
        values.append(math.fsum(parts) / len(parts))
    return values


@quick
@seeds
def test_the_terms_are_their_definitions(seed):
    """Value by value, with other widths and heads on either side and rows of other lengths."""
    term, student, teacher = hidden_term(seed), states_of(seed, 4), states_of(seed + 1, 6)
    ours, theirs = vectors_of(seed, 2, 6), vectors_of(seed + 1, 4, 2)
    maps = maps_of(seed, 2), maps_of(seed + 1, 4)
    for values, expected in (
        (term(student, teacher, VALID), literal_hidden(term, student, teacher)),
        (relation_losses(ours, theirs, 4, VALID), literal_relations(ours, theirs, 4)),
        (attention_losses(*maps, PAIRS, VALID), literal_attention(*maps)),
    ):
        assert values.tolist() == pytest.approx(expected, rel=1e-4, abs=1e-5)


def all_terms(seed, valid=VALID, change=lambda x: x):
    """The three terms, each tensor of either side changed first."""
    states = [[change(x) for x in states_of(seed + n, width)] for n, width in enumerate((4, 6))]
    vectors = [[change(x) for x in vectors_of(seed + n, 2, 4)] for n in range(2)]
    maps = [[change(x) for x in maps_of(seed + n, 2)] for n in range(2)]
    return (
        hidden_term()(*states, valid),
        relation_losses(*vectors, 4, valid),
        attention_losses(*maps, PAIRS, valid),
    )


@quick
@seeds
def test_rows_do_not_know_each_other(seed):
    """Each row alone gives the values that it has among others."""
    together = all_terms(seed)
    alone = [all_terms(seed, VALID[[row]], lambda x, row=row: x[[row]]) for row in range(ROWS)]
    for values, parts in zip(together, zip(*alone, strict=True), strict=True):
        torch.testing.assert_close(values, torch.cat(parts))


def axis_of(x):
    """Of the tokens that look: states are [B, L, D], vectors and maps [B, H, L, ...]."""
    return 1 if x.ndim == 3 else 2


@quick
@seeds
def test_what_stands_in_the_padding_does_not_count(seed):
    """Other numbers at the padded tokens leave every value as it was."""
    source = torch.Generator().manual_seed(seed)

    def spoil(x):
        shape = [ROWS, *[1] * (x.ndim - 1)]
        shape[axis_of(x)] = TOKENS
        return torch.where(VALID.view(shape), x, 9 * random(source, *x.shape))

    for values, spoiled in zip(all_terms(seed), all_terms(seed, VALID, spoil), strict=True):
        assert torch.equal(values, spoiled)


@quick
@seeds
def test_padding_may_as_well_not_be_there(seed):
    """The last row, cut to its length and without a mask, has the values that it had padded."""
    length = LENGTHS[-1]

    def cut(x):
        x = x[-1:].narrow(axis_of(x), 0, length)
        return x.narrow(3, 0, length) if x.shape[-1] == TOKENS else x

    for values, short in zip(all_terms(seed), all_terms(seed, None, cut), strict=True):
        torch.testing.assert_close(values[-length:], short)


@quick
@seeds
def test_gradients_reach_the_valid_tokens_of_the_student_alone(seed):
    """And the projections: not a padded token, and nothing of the teacher."""
    sides = [states_of(seed + n, 4) + vectors_of(seed + n, 2, 4) for n in range(2)]
    sides = [[x.requires_grad_() for x in side] for side in sides]
    (ours, our_vectors), (theirs, their_vectors) = [(side[:4], side[4:]) for side in sides]
    maps = [[(v @ v.transpose(-1, -2)).tril().exp() for v in side[4:]] for side in sides]
    term = hidden_term(teacher_width=4)
    for values in (
        term(ours, theirs, VALID),
        relation_losses(our_vectors, their_vectors, 2, VALID),
        attention_losses(*maps, PAIRS, VALID),
    ):
        values.sum().backward()
    assert all(x.grad is None for x in sides[1])
    assert all(p.grad.abs().sum() > 0 for p in term.parameters())
    paired = {index for pair in PAIRS for index in pair[:1]}
    for place, x in enumerate(ours):
        assert (x.grad is not None) == (place in paired)
    for x in (ours[1], ours[2], *our_vectors):
        grad = x.grad.movedim(axis_of(x), 1)
        assert not grad[~VALID].any()
        assert grad[VALID].flatten(1).any(-1).sum() >= len(VALID[VALID]) - ROWS


@quick
@seeds
def test_more_of_the_same_dimensions_heads_and_layers_change_nothing(seed):
    """Doubled, whichever side it is, they leave the values: everything inside is a mean."""
    term, student, teacher = hidden_term(seed), states_of(seed, 4), states_of(seed + 1, 6)
    wide = HiddenStates(PAIRS, 4, 12).double()
    deep = HiddenStates([*PAIRS, *PAIRS], 4, 6).double()
    with torch.no_grad():
        for place, projection in enumerate(term.projections):
            wide.projections[place].weight.copy_(projection.weight.repeat(2, 1))
            for copy in (place, place + len(PAIRS)):
                deep.projections[copy].weight.copy_(projection.weight)
    values = term(student, teacher, VALID)
    torch.testing.assert_close(wide(student, [x.repeat(1, 1, 2) for x in teacher], VALID), values)
    torch.testing.assert_close(deep(student, teacher, VALID), values)

    ours, theirs = vectors_of(seed, 2, 4), vectors_of(seed + 1, 2, 4)
    twice = [[x.repeat(1, 2, 1, 1) for x in side] for side in (ours, theirs)]
    values = relation_losses(ours, theirs, 2, VALID)
    torch.testing.assert_close(relation_losses(*twice, 4, VALID), values)
    torch.testing.assert_close(relation_losses(ours * 2, theirs * 2, 2, VALID), values)

    maps = maps_of(seed, 2), maps_of(seed + 1, 3)
    values = attention_losses(*maps, PAIRS, VALID)
    twice = [x.repeat(1, 2, 1, 1) for x in maps[0]]
    torch.testing.assert_close(attention_losses(twice, maps[1], PAIRS, VALID), values)
    torch.testing.assert_close(attention_losses(*maps, PAIRS * 2, VALID), values)


def test_the_scale_of_the_terms_is_known():
    """To predict no state costs 1 at any scale of the teacher; maps that share nothing cost 2."""
    student, teacher = states_of(0, 4), [1000 * x for x in states_of(1, 6)]
    term = hidden_term()
    with torch.no_grad():
        for projection in term.projections:
            projection.weight.zero_()
    torch.testing.assert_close(term(student, teacher, VALID), torch.ones(10))
    apart = torch.eye(TOKENS).expand(1, 1, -1, -1)
    values = attention_losses([apart], [apart.roll(1, -1)], [(1, 1)])
    torch.testing.assert_close(values, torch.full((TOKENS,), 2.0))


def test_equal_sides_cost_nothing():
    """Relations and maps of the teacher itself, and states that the projection makes equal."""
    vectors, maps = vectors_of(0, 2, 4), maps_of(0, 2)
    assert relation_losses(vectors, vectors, 4, VALID).abs().max() < 1e-6
    assert attention_losses(maps, maps, ((1, 1), (3, 3)), VALID).abs().max() < 1e-12
    term = HiddenStates(((1, 1),), 4, 4).double()
    with torch.no_grad():
        term.projections[0].weight.copy_(torch.eye(4))
    states = [torch.nn.functional.rms_norm(x, [4]) for x in states_of(0, 4)]
    assert term(states, states, VALID).max() < 1e-6


def test_layers_are_paired_evenly():
    """Ends with the last and the last, for more or fewer layers on either side."""
    assert even_layers(3, 6) == ((1, 2), (2, 4), (3, 6))
    assert even_layers(3, 4) == ((1, 2), (2, 3), (3, 4))
    assert even_layers(4, 2) == ((1, 1), (2, 1), (3, 2), (4, 2))


def test_layers_and_heads_that_do_not_fit_are_refused():
    """A layer that was not kept, no pairs, other kinds of vectors, heads that do not divide."""
    states, maps, vectors = states_of(0, 4), maps_of(0, 2), vectors_of(0, 2, 4)
    with pytest.raises(ValueError, match=r"pair \(2, 3\): the student has layers 0 to 1"):
        hidden_term(teacher_width=4)(states[:2], states)
    with pytest.raises(ValueError, match=r"pair \(0, 1\): the student has layers 1 to 3"):
        attention_losses(maps, maps, [(0, 1)])
    with pytest.raises(ValueError, match="no pairs of layers"):
        attention_losses(maps, maps, [])
    for theirs in (vectors[:2], []):
        with pytest.raises(ValueError, match="kinds of vectors of the student"):
            relation_losses(vectors[: len(theirs) * 2], theirs, 2)
    with pytest.raises(ValueError, match="3 relation heads do not divide a width of 8"):
        relation_losses(vectors, vectors, 3)
