"""Loop plans against the loops of the papers written out, and plans that are refused."""

from dataclasses import replace

import pytest
import torch
from small_cores import CPU, core, question

from models.direct import direct_plan
from models.hrm import hrm_plan
from models.plan import Call, LoopPlan, validate
from models.trm import trm_plan
from models.urm import urm_plan


def net(model, module, x):
    """The blocks of one module, one after the other."""
    rotary = (model.cos_LP, model.sin_LP)
    for block in model.nets[module]:
        x = block(x, rotary)
    return x


def literal_hrm(model, x, state, high, low):
    """MODELS.md par. 1.2: all but the last L and the last H call run without gradient."""
    y, z = state["y"], state["z"]
    with torch.no_grad():
        for cycle in range(high):
            for step in range(low):
                if (cycle, step) != (high - 1, low - 1):
                    z = net(model, "L", z + (y + x))
            if cycle != high - 1:
                y = net(model, "H", y + z)
    z = net(model, "L", z + (y + x))
    y = net(model, "H", y + z)
    return {"y": y, "z": z}, [y]


def literal_trm(model, x, state, times, n):
    """MODELS.md par. 1.3: all recursions but the last without gradient, that one with all of it."""

    def recursion(y, z):
        for _ in range(n):
            z = net(model, "net", z + (y + x))
        return net(model, "net", y + z), z

    y, z = state["y"], state["z"]
    with torch.no_grad():
        for _ in range(times - 1):
            y, z = recursion(y, z)
    y, z = recursion(y, z)
    return {"y": y, "z": z}, [y]


def literal_urm(model, x, state, loops, forward_only, read_each):
    """MODELS.md par. 1.3: one state; the first loops run without gradient."""
    h, read = state["y"], []
    with torch.no_grad():
        for _ in range(forward_only):
            h = net(model, "net", h + x)
    for _ in range(loops - forward_only):
        h = net(model, "net", h + x)
        read.append(h)
    return {"y": h}, (read if read_each else read[-1:])


def loss_of(logits, halt, going_on):
    return logits.square().sum() + halt.cos().sum() + going_on.sin().sum()


def told(predictions):
    """One number of all that was read, as a loss is: logits and both q-values."""
    return sum(loss_of(p.logits_BSV, p.halt_B, p.continue_B) for p in predictions)


def literal_told(model, states):
    """The same number from the states that the heads read."""
    tokens, total = model.config.identity_tokens, 0
    for y in states:
        q = model.q_head(y[:, 0]).float()
        total = total + loss_of(model.answer_head(y[:, tokens:]), q[:, 0], q[:, 1])
    return total


def gradients(model, loss, identity):
    named = dict(model.named_parameters())
    return dict(
        zip(
            [*named, "identity"],
            torch.autograd.grad(loss, [*named.values(), identity]),
            strict=True,
        )
    )


PLANS = {
    "hrm": (hrm_plan(2, 2), {"H": 2, "L": 1}, lambda *a: literal_hrm(*a, 2, 2)),
    "hrm-3-1": (hrm_plan(3, 1), {"H": 1, "L": 1}, lambda *a: literal_hrm(*a, 3, 1)),
    "trm": (trm_plan(3, 2), {"net": 2}, lambda *a: literal_trm(*a, 3, 2)),
    "trm-1-3": (trm_plan(1, 3), {"net": 1}, lambda *a: literal_trm(*a, 1, 3)),
    "urm": (urm_plan(4, 2), {"net": 2}, lambda *a: literal_urm(*a, 4, 2, False)),
    "urm-each": (
        urm_plan(5, 2, read_each=True),
        {"net": 1},
        lambda *a: literal_urm(*a, 5, 2, True),
    ),
}


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_is_the_loop_of_its_paper(name):
    """States, logits and every gradient are bit by bit those of the loop written out in float64."""
    plan, layers, literal = PLANS[name]
    model = core(plan=plan, layers=layers, identity_tokens=3).double()
    cells, identity = question()
    state = {key: torch.randn_like(v) for key, v in model.start(2, CPU, torch.float64).items()}
    states, predictions = model(cells, identity, state)
    expected, read = literal(model, model.embed(cells, identity), state)
    assert len(predictions) == len(read)
    assert all(torch.equal(states[name], expected[name]) for name in plan.states)
    assert torch.equal(predictions[-1].logits_BSV, model.answer_head(read[-1][:, 3:]))
    ours = gradients(model, told(predictions), identity)
    for parameter, gradient in gradients(model, literal_told(model, read), identity).items():
        assert gradient.abs().sum() > 0, parameter
        assert torch.equal(ours[parameter], gradient), parameter


def with_all_graded(plan):
    return replace(plan, calls=tuple(replace(call, graded=True) for call in plan.calls))


def graded_gradient(plan, layers):
    model = core(plan=plan, layers=layers).double()
    cells, identity = question()
    _, read = model(cells, identity, model.start(2, CPU, torch.float64))
    return read[-1].logits_BSV, gradients(model, told(read), identity)


@pytest.mark.parametrize("name", ["hrm", "trm", "urm"])
def test_truncation_changes_gradients_and_no_value(name):
    """With every call graded the answers are the same, and the gradients are not."""
    plan, layers, _ = PLANS[name]
    said, cut = graded_gradient(plan, layers)
    also, full = graded_gradient(with_all_graded(plan), layers)
    assert torch.equal(said, also)
    module = "nets.L.0" if "L" in layers else "nets.net.0"
    weight = f"{module}.swiglu.down.weight"
    assert not torch.allclose(cut[weight], full[weight], rtol=1e-2)


def test_the_gradient_of_hrm_is_one_step():
    """It is that of H(y + L(y + x + z)) with y and z constants: the paper's approximation."""
    model = core(plan=hrm_plan(2, 3), layers={"H": 1, "L": 1}).double()
    cells, identity = question()
    state = model.start(2, CPU, torch.float64)
    _, read = model(cells, identity, state)
    with torch.no_grad():
        x, y, z = model.embed(cells, identity), state["y"], state["z"]
        for _ in range(3):
            z = net(model, "L", z + (y + x))
        y = net(model, "H", y + z)
        for _ in range(2):
            z = net(model, "L", z + (y + x))
    x = model.embed(cells, identity)
    once = net(model, "H", y + net(model, "L", z + (y + x)))
    ours = gradients(model, told(read), identity)
    theirs = gradients(model, literal_told(model, [once]), identity)
    torch.testing.assert_close(ours, theirs)


def test_states_that_come_in_get_no_gradient_from_forward_only_calls():
    """A state that a forward-only call reads first gets no gradient from the loss."""
    model = core(plan=urm_plan(3, 1)).double()
    cells, identity = question()
    start = model.start(2, CPU, torch.float64)["y"].requires_grad_()
    _, read = model(cells, identity, {"y": start})
    (gradient,) = torch.autograd.grad(read[-1].logits_BSV.sum(), [start], allow_unused=True)
    assert gradient is None


def test_a_call_that_repeats_is_read_once():
    """A Call that stands in a plan several times is read after the last time only."""
    call = Call(module="net", target="y", sources=("x", "y"), graded=True)
    model = core(plan=LoopPlan(states=("y",), answer="y", calls=(call,) * 3))
    cells, identity = question()
    _, read = model(cells, identity.float(), model.start(2, CPU, torch.float32))
    assert len(read) == 1


def call(module="net", target="y", sources=("y", "x"), *, graded=True, read=False):
    return Call(module=module, target=target, sources=sources, graded=graded, read=read)


def plan(*calls, states=("y", "z"), answer="y"):
    return LoopPlan(states=states, answer=answer, calls=calls)


SCRATCH = call(target="z", sources=("z", "y"))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (plan(), "has no calls"),
        (plan(call(), states=("y", "x")), "'x' is taken"),
        (plan(call(), states=("y", "y")), "must differ"),
        (plan(call(), answer="h"), "answer 'h' is none of"),
        (plan(call(module="H")), "no call of the modules .'net'."),
        (plan(call(), call(module="H")), "call 1 names the module 'H', none of .'net'."),
        (plan(SCRATCH, call(sources=("y", "z"))), "no call has the question 'x'"),
        (plan(call(target="w"), call()), "call 0 has the target 'w'"),
        (plan(call(sources=("x", "w"))), "call 0 has .'w'. as source"),
        (plan(call(), call(sources=())), "call 1 has nothing as source"),
        (plan(call(graded=False)), "after call 0 the heads read 'y', which no graded"),
        (plan(call(), call(graded=False), SCRATCH), "after call 2 the heads read 'y'"),
        (plan(call(graded=False, read=True), call()), "after call 0 the heads read 'y'"),
        (plan(call(target="z")), "after call 0 the heads read 'y'"),
    ],
)
def test_a_plan_that_cannot_work_is_refused(wrong, says):
    """The message names the call, state or module that is wrong."""
    with pytest.raises(ValueError, match=says):
        validate(wrong, ["net"])


@pytest.mark.parametrize(
    ("built", "calls", "graded"),
    [
        (hrm_plan(2, 2), 6, 2),
        (trm_plan(3, 6), 21, 7),
        (urm_plan(12, 6), 12, 6),
        (urm_plan(8, 2), 8, 6),
        (direct_plan(), 1, 1),
    ],
)
def test_plans_have_the_published_numbers_of_calls(built, calls, graded):
    """Calls of a segment, and how many of them are graded, as the papers and scripts say."""
    assert len(built.calls) == calls
    assert sum(call.graded for call in built.calls) == graded
