"""The recurrent core: what it is asked, what it sees, in which types, and compiled."""

import math

import pytest
import torch
from small_cores import CPU, config, core, question

from models.direct import direct_plan
from models.recurrent import (
    Convolution,
    RecurrentCore,
    cast_weights,
    count_parameters,
    run,
)
from models.trm import trm_plan
from models.urm import urm_plan


def literal_embedding(model, cells, identity):
    """Identity vectors summed on the first token, zeros on the others, then the cells' tokens."""
    tokens = model.config.identity_tokens
    vectors = [[v.sum(0)] + [torch.zeros_like(v[0])] * (tokens - 1) for v in identity]
    rows = [
        torch.stack(first + [model.tokens[cell] for cell in row])
        for first, row in zip(vectors, cells.tolist(), strict=True)
    ]
    return torch.stack(rows) * math.sqrt(model.config.width)


@pytest.mark.parametrize("tokens", [1, 3])
def test_the_halting_heads_read_the_first_position(tokens):
    """Of the answer's state the q-head is given position 0, whatever the number of tokens."""
    model = core(plan=trm_plan(1, 1), layers={"net": 1}, identity_tokens=tokens)
    given = []
    model.q_head.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    latents, _ = model(*question(), model.start(2, CPU, torch.float32))
    assert len(given) == 1
    assert given[0].equal(latents["y"][:, 0])


def test_cast_weights_are_used_and_send_gradient_back():
    """States and logits have the type of the cast; q-values and gradients stay float32."""
    model = core(plan=trm_plan(1, 1), layers={"net": 1})
    cells, identity = question()
    results = {}
    for dtype in (torch.float32, torch.bfloat16):
        model.zero_grad()
        weights = cast_weights(model, dtype)
        state = model.start(2, CPU, dtype)
        states, read = run(model, weights, cells, identity.float(), state)
        assert states["y"].dtype == states["z"].dtype == read[-1].logits_BSV.dtype == dtype
        assert read[-1].halt_B.dtype == read[-1].continue_B.dtype == torch.float32
        read[-1].logits_BSV.float().square().mean().backward()
        results[dtype] = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    full, half = results.values()
    for name, gradient in full.items():
        assert half[name].dtype == torch.float32
        assert torch.cosine_similarity(half[name].flatten(), gradient.flatten(), 0) > 0.98, name


def test_run_without_weights_is_the_core_itself():
    """None means its own parameters; their own cast to their own type changes nothing."""
    model = core()
    cells, identity = question()
    arguments = cells, identity.float(), model.start(2, CPU, torch.float32)
    plain = run(model, None, *arguments)[1][-1].logits_BSV
    assert torch.equal(plain, model(*arguments)[1][-1].logits_BSV)
    cast = run(model, cast_weights(model, torch.float32), *arguments)[1][-1].logits_BSV
    assert torch.equal(plain, cast)


@pytest.mark.parametrize("tokens", [0, 1, 4])
def test_the_question_is_identity_then_cells(tokens):
    """The vectors of a puzzle are summed on the first token, the rest of the tokens is zero."""
    model = core(identity_tokens=tokens).double()
    cells, identity = question()
    expected = literal_embedding(model, cells, identity)
    expected = expected if tokens else expected[:, 1:]
    torch.testing.assert_close(model.embed(cells, identity), expected)
    assert model.start(3, CPU, torch.bfloat16)["z"].shape == (3, tokens + 4, 8)


def test_the_identity_may_reach_every_cell():
    """With identity_everywhere the summed vector is added to each cell as well."""
    model = core(identity_everywhere=True).double()
    cells, identity = question()
    vector = identity.sum(1) * math.sqrt(8)
    x = model.embed(cells, identity)
    torch.testing.assert_close(x[:, 0], vector)
    torch.testing.assert_close(x[:, 2], vector + model.tokens[cells[:, 1]] * math.sqrt(8))


def test_learned_positions_keep_the_variance():
    """Learned positions are added to all L positions, and the sum is scaled by 0.7071."""
    model = core(positions="learned").double()
    cells, identity = question()
    plain = literal_embedding(model, cells, identity)
    expected = (plain + model.learned_LD * math.sqrt(8)) * math.sqrt(0.5)
    torch.testing.assert_close(model.embed(cells, identity), expected)


def answer(model, cells, identity):
    state = model.start(len(cells), CPU, torch.float32)
    return model(cells, identity.float(), state)[1][-1]


def test_the_identity_names_the_task():
    """The same grid under another identity gets another answer."""
    model = core()
    cells, identity = question()
    one, other = (answer(model, cells[:1].expand(2, -1), identity).logits_BSV[i] for i in (0, 1))
    assert not torch.allclose(one, other, atol=1e-3)


def test_without_positions_a_permuted_grid_gets_the_permuted_answer():
    """Attention with positions "none" treats cells as a set; with rotary positions it does not."""
    order, (cells, identity) = torch.tensor([2, 0, 3, 1]), question()
    for positions, same in (("none", True), ("rotary_flat", False), ("rotary_grid", False)):
        model = core(positions=positions)
        moved = answer(model, cells[:, order], identity).logits_BSV
        told = answer(model, cells, identity).logits_BSV[:, order]
        assert torch.allclose(moved, told, atol=1e-4) == same, positions


def test_transposing_the_grid_transposes_the_answer_in_the_plane():
    """Rows and columns differ for rotary_grid only in the channels that carry them."""
    model = core(positions="rotary_grid", side=3, heads=1)
    other = core(positions="rotary_grid", side=3, heads=1)
    turned = model.cos_LP.unflatten(1, (2, 2)).flip(1).flatten(1)
    cells = torch.randint(0, 5, (1, 9), generator=torch.Generator().manual_seed(0))
    transposed = cells.reshape(3, 3).T.reshape(1, 9)
    swap = torch.arange(9).reshape(3, 3).T.flatten()
    other.cos_LP.copy_(turned)
    other.sin_LP.copy_(model.sin_LP.unflatten(1, (2, 2)).flip(1).flatten(1))
    identity = torch.zeros(1, 1, 8)
    told = answer(model, cells, identity).logits_BSV[:, swap]
    torch.testing.assert_close(answer(other, transposed, identity).logits_BSV, told)


def test_the_start_says_not_right_yet():
    """Before training both q-values are -5 for every row."""
    torch.manual_seed(0)
    said = answer(RecurrentCore(config()), *question())
    assert said.halt_B.tolist() == said.continue_B.tolist() == [-5.0, -5.0]


def test_start_vectors_are_saved_but_not_trained():
    """They are part of the saved weights and no parameter; the tables of positions are neither."""
    model = core()
    assert "start_ND" in model.state_dict()
    assert "start_ND" not in dict(model.named_parameters())
    assert not any("cos" in name or "sin" in name for name in model.state_dict())
    assert torch.equal(model.start(2, CPU, torch.float32)["z"][1, 3], model.start_ND[1])


def test_start_weights_follow_the_table():
    """Embedding and start vectors have the deviation that the table of initialise names."""
    torch.manual_seed(0)
    sizes = {"width": 512, "vocabulary": 40, "layers": {"net": 1}, "positions": "learned"}
    model = RecurrentCore(config(side=6, **sizes))
    for weight in (model.tokens, model.learned_LD):
        assert float(weight.detach().std()) == pytest.approx(512**-0.5, rel=0.02)
    assert float(model.start_ND.std()) == pytest.approx(1, rel=0.05)


CONVOLUTIONS = [
    None,
    Convolution(),
    Convolution(kind="plane", place="mlp_input", kernel=3),
    Convolution(kind="plane", place="mlp_expansion", kernel=3),
]


@pytest.mark.parametrize(("mixer", "positions"), [("attention", "rotary_grid"), ("mlp", "none")])
@pytest.mark.parametrize("convolution", CONVOLUTIONS)
@pytest.mark.parametrize("plan", [trm_plan(2, 1), direct_plan()], ids=["trm", "direct"])
def test_every_choice_answers_every_cell(mixer, positions, convolution, plan):
    """Each mixer, convolution and plan gives finite logits for every cell."""
    model = core(mixer=mixer, positions=positions, convolution=convolution, plan=plan)
    said = answer(model, *question()).logits_BSV
    assert said.shape == (2, 4, 5)
    assert bool(torch.isfinite(said).all())


def test_parameters_are_counted_by_hand():
    """Embedding, one block and heads add up to the literal count."""
    width, inner = 8, 24
    block = 4 * width**2 + 3 * width * inner
    expected = 5 * width + block + 5 * width + 2 * width + 2
    assert count_parameters(core(layers={"net": 1})) == expected


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of PyTorch's own, as its compiler loads
def test_a_compiled_segment_equals_the_plain_one():
    """torch.compile takes the segment in one graph, casts and the way back included."""
    model = core(plan=urm_plan(2, 1), layers={"net": 1}, convolution=Convolution())
    cells, identity = question()
    start = model.start(2, CPU, torch.float32)

    def segment(cells, identity, state):
        weights = cast_weights(model, torch.float32)
        states, read = run(model, weights, cells, identity, state)
        return read[-1].logits_BSV.square().mean() + read[-1].halt_B.mean(), states

    results = []
    for call in (segment, torch.compile(segment, fullgraph=True, backend="aot_eager")):
        model.zero_grad()
        loss, states = call(cells, identity.detach().float(), start)
        loss.backward()
        results.append((loss.detach(), states, [p.grad for p in model.parameters()]))
    torch.testing.assert_close(results[0], results[1], rtol=1e-3, atol=1e-4)
