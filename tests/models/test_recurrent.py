"""The recurrent core: its loop plan, what gets gradient, and what it sees."""

import pytest
import torch

from models.recurrent import (
    Call,
    LoopPlan,
    RecurrentConfig,
    RecurrentCore,
    count_parameters,
)


def core(**changes):
    torch.manual_seed(0)
    sizes = {"vocabulary": 5, "side": 2, "identifiers": 4, "width": 8, "heads": 2}
    return RecurrentCore(RecurrentConfig(**(sizes | changes)))


def question(model, rows=2):
    cells = torch.arange(rows * 4).reshape(rows, 4) % 5
    return model.embed(cells, torch.ones(rows, 1, dtype=torch.long))


def test_a_plan_lists_its_calls_in_order():
    """Two cycles of two updates: only the last cycle keeps its graph."""
    z = ("z", "y", "x")
    expected = [
        Call(target="z", sources=z, graded=False),
        Call(target="z", sources=z, graded=False),
        Call(target="y", sources=("y", "z"), graded=False),
        Call(target="z", sources=z, graded=True),
        Call(target="z", sources=z, graded=True),
        Call(target="y", sources=("y", "z"), graded=True),
    ]
    assert list(LoopPlan(cycles=2, inner=2).calls()) == expected


def test_the_one_step_plan_grades_two_calls():
    """HRM's approximation keeps the graph of the last z and the last y update only."""
    plan = LoopPlan(cycles=2, inner=3, gradient="step")
    assert [call.graded for call in plan.calls()] == [False] * 6 + [True, True]


def test_the_single_state_plan_has_no_z():
    """Without inner updates there is one state, fed with the question at every loop."""
    plan = LoopPlan(cycles=4, inner=0, graded=2)
    assert {call.target for call in plan.calls()} == {"y"}
    assert {call.sources for call in plan.calls()} == {("y", "x")}
    assert [call.graded for call in plan.calls()] == [False, False, True, True]


def test_a_segment_is_its_plan_written_out():
    """One cycle of two updates is z, z, y with the sums of the method."""
    model = core(plan=LoopPlan(cycles=1, inner=2))
    x, start = question(model), model.start(2)
    net = model._net
    z = net(start.z_BLD + start.y_BLD + x)
    z = net(z + start.y_BLD + x)
    y = net(start.y_BLD + z)
    latents, prediction = model.segment(x, start)
    torch.testing.assert_close(latents.y_BLD, y)
    torch.testing.assert_close(latents.z_BLD, z)
    torch.testing.assert_close(prediction.logits_BSV, model.answer(y[:, 1:]))


def gradient_of(plan):
    model = core(plan=plan)
    _, prediction = model.segment(question(model).detach(), model.start(2))
    prediction.logits_BSV.square().sum().backward()
    return model.blocks[0].swiglu.down.weight.grad.clone()


def test_gradient_flows_through_the_last_cycle_only():
    """The gradient of two cycles is that of one cycle begun where the first one ended."""
    model = core(plan=LoopPlan(cycles=1, inner=2))
    with torch.no_grad():
        middle, _ = model.segment(question(model), model.start(2))
    _, prediction = model.segment(question(model).detach(), middle)
    prediction.logits_BSV.square().sum().backward()
    expected = model.blocks[0].swiglu.down.weight.grad
    torch.testing.assert_close(gradient_of(LoopPlan(cycles=2, inner=2)), expected)


def test_plans_that_grade_less_have_other_gradients():
    """One-step and full-cycle plans compute the same values but not the same gradient."""
    full, step = LoopPlan(inner=3), LoopPlan(inner=3, gradient="step")
    model, other = core(plan=full), core(plan=step)
    said, also = (m.segment(question(m), m.start(2))[1].logits_BSV for m in (model, other))
    torch.testing.assert_close(said, also)
    assert not torch.allclose(gradient_of(full), gradient_of(step), rtol=1e-3)


def test_earlier_segments_get_no_gradient():
    """Detached latents carry values and no graph."""
    model = core()
    latents, _ = model.segment(question(model), model.start(2))
    assert latents.y_BLD.requires_grad
    assert not latents.detach().y_BLD.requires_grad
    torch.testing.assert_close(latents.detach().y_BLD, latents.y_BLD)


def test_the_identity_names_the_task():
    """The same grid under another trained identity gets another answer."""
    model = core()
    with torch.no_grad():
        model.identity.weight.normal_(generator=torch.Generator().manual_seed(3))
    cells = torch.ones(1, 4, dtype=torch.long)
    one, other = (
        model.segment(model.embed(cells, torch.tensor([[i]])), model.start(1))[1].logits_BSV
        for i in (1, 2)
    )
    assert not torch.allclose(one, other, atol=1e-3)


def test_identity_rows_are_summed():
    """A puzzle that names two rows has the sum of both as its identity, also at every cell."""
    model = core(identity_everywhere=True)
    with torch.no_grad():
        model.identity.weight.normal_(generator=torch.Generator().manual_seed(3))
    cells = torch.ones(1, 4, dtype=torch.long)
    both = model.embed(cells, torch.tensor([[1, 2]]))
    vector = (model.identity.weight[1] + model.identity.weight[2]) * 8**0.5
    torch.testing.assert_close(both[0, 0], vector)
    torch.testing.assert_close(both[0, 1], vector + model.tokens.weight[1] * 8**0.5)


def test_the_start_says_not_right_yet():
    """Before training the halting logit is -5 for every row, and the identity is zero."""
    model = core()
    _, prediction = model.segment(question(model), model.start(2))
    assert prediction.halt_B.tolist() == [-5.0, -5.0]
    assert not model.identity.weight.any()


def test_start_vectors_are_saved_but_not_trained():
    """The start of y and z is part of the saved weights and no parameter."""
    model = core()
    assert "start_2D" in model.state_dict()
    assert "start_2D" not in dict(model.named_parameters())
    assert model.start(3).y_BLD.shape == (3, 5, 8)


@pytest.mark.parametrize("mixer", ["attention", "mlp"])
@pytest.mark.parametrize("rotary", ["flat", "grid"])
@pytest.mark.parametrize("convolution", [True, False])
def test_every_mixer_answers_every_cell(mixer, rotary, convolution):
    """Each choice of mixer, positions and convolution gives finite logits for every cell."""
    model = core(mixer=mixer, rotary=rotary, convolution=convolution, layers=2)
    _, prediction = model.segment(question(model), model.start(2))
    assert prediction.logits_BSV.shape == (2, 4, 5)
    assert bool(torch.isfinite(prediction.logits_BSV).all())


def test_parameters_are_counted_by_hand():
    """Embeddings, one block and heads add up to the literal count."""
    width, inner = 8, 32
    block = 4 * width**2 + 3 * width * inner
    expected = 5 * width + 4 * width + block + 5 * width + width + 1
    assert count_parameters(core()) == expected
