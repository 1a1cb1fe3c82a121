"""AdamATan2, Muon, the pair of optimizers of a model, and the schedule."""

import io
import math

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from models.optimizers import (
    JORDAN,
    URM,
    AdamATan2,
    Muon,
    make_optimizers,
    orthogonal,
    schedule,
    set_lr,
)

KINDS = ["adam_atan2", "adamw", "muon", "muon_urm"]
SHAPES = [(6, 4), (4, 6), (6, 4), (5,), (3, 1, 2)]


def random(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def weights(shapes=SHAPES, dtype=torch.float64):
    return [nn.Parameter(random(*shape, seed=i, dtype=dtype)) for i, shape in enumerate(shapes)]


def give_gradients(parameters, step, scale=1.0):
    for i, p in enumerate(parameters):
        p.grad = random(*p.shape, seed=1000 * step + i, dtype=p.dtype) * scale


def literal_atan2(p, gradients, rates, betas, decay):
    """The method written out for one number, in Python's floats."""
    m = v = 0.0
    for t, (g, lr) in enumerate(zip(gradients, rates, strict=True), start=1):
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g * g
        root = math.sqrt(v / (1 - betas[1] ** t))
        p *= 1 - lr * decay
        p -= lr / (1 - betas[0] ** t) * math.atan2(m, root)
    return p


@pytest.mark.parametrize("betas", [(0.9, 0.95), (0.0, 0.999)])
def test_adam_atan2_is_the_literal_recursion(betas):
    """Forty steps at a changing rate end where the method written out for one number ends."""
    parameters = weights()
    begun = [p.detach().clone() for p in parameters]
    optimizer = AdamATan2(parameters, lr=0.0, betas=betas, weight_decay=0.1)
    rates = [0.01 * (1 + t % 3) for t in range(40)]
    history = []
    for t, lr in enumerate(rates):
        give_gradients(parameters, t)
        history.append([p.grad for p in parameters])
        set_lr([optimizer], lr)
        optimizer.step()
    for i, p in enumerate(parameters):
        gradients = torch.stack([grads[i] for grads in history]).flatten(1).T.tolist()
        expected = [
            literal_atan2(number, of_it, rates, betas, 0.1)
            for number, of_it in zip(begun[i].flatten().tolist(), gradients, strict=True)
        ]
        torch.testing.assert_close(p.detach().flatten(), p.new_tensor(expected))


def test_adam_atan2_in_float32_is_close_to_float64():
    """A thousand steps in float32 stay within rounding of the same steps in float64."""
    exact, rounded = weights(), weights(dtype=torch.float32)
    with torch.no_grad():
        for a, b in zip(exact, rounded, strict=True):
            a.copy_(b)
    optimizers = [AdamATan2(ps, lr=1e-3, weight_decay=0.1) for ps in (exact, rounded)]
    for t in range(1000):
        give_gradients(rounded, t)
        for a, b in zip(exact, rounded, strict=True):
            a.grad = b.grad.double()
        for optimizer in optimizers:
            optimizer.step()
    for a, b in zip(exact, rounded, strict=True):
        torch.testing.assert_close(b.double(), a, rtol=0, atol=1e-4)


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_adam_atan2_does_not_see_the_size_of_gradients(scale):
    """Gradients of any size give the same steps, and zeros give none: there is no eps."""
    ends = []
    for factor in (1.0, scale):
        parameters = weights(dtype=torch.float32)
        optimizer = AdamATan2(parameters, lr=0.01, weight_decay=0.0)
        for t in range(5):
            give_gradients(parameters, t, factor)
            optimizer.step()
        ends.append(parameters)
    for a, b in zip(*ends, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-6)
    still = weights()
    give_gradients(still, 0, scale=0.0)
    AdamATan2(still, lr=0.01, weight_decay=0.0).step()
    for p, before in zip(still, weights(), strict=True):
        assert torch.equal(p, before)


def test_the_first_step_has_the_length_of_the_originals():
    """It is 10 * atan(0.1) lr, whatever the gradient."""
    p = nn.Parameter(torch.zeros(3, dtype=torch.float64))
    p.grad = torch.tensor([2.0, -3.0, 1e-9], dtype=torch.float64)
    AdamATan2([p], lr=0.5, weight_decay=0.0).step()
    torch.testing.assert_close(p.detach(), -5 * math.atan(0.1) * p.grad.sign())


def newton_schulz(x, coefficients):
    """The iteration written out for one matrix."""
    if x.shape[0] > x.shape[1]:
        return newton_schulz(x.T, coefficients).T
    x = x / x.square().sum().sqrt()
    for a, b, c in coefficients:
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x


@pytest.mark.parametrize("coefficients", [JORDAN, URM])
def test_orthogonal_keeps_directions_and_evens_out_sizes(coefficients):
    """Singular vectors stay; each singular value goes through the polynomials."""
    batch = torch.stack([random(4, 7, seed=s) for s in (1, 2)])
    for x, got in zip(batch, orthogonal(batch, coefficients), strict=True):
        u, sizes, vh = torch.linalg.svd(x, full_matrices=False)
        sizes = sizes / sizes.square().sum().sqrt()
        for a, b, c in coefficients:
            sizes = a * sizes + b * sizes**3 + c * sizes**5
        torch.testing.assert_close(got, u @ torch.diag(sizes) @ vh)
        assert 0.4 < float(sizes.min()) <= float(sizes.max()) < 1.9


@pytest.mark.parametrize("coefficients", [JORDAN, URM])
def test_muon_is_the_literal_method(coefficients):
    """Thirty steps of matrices of three shapes end where the method, one by one, ends."""
    parameters = weights([(6, 4), (4, 6), (6, 4), (5, 5)])
    expected = [p.detach().clone() for p in parameters]
    momenta = [torch.zeros_like(p) for p in expected]
    optimizer = Muon(parameters, lr=0.01, weight_decay=0.1, coefficients=coefficients)
    for t in range(30):
        give_gradients(parameters, t)
        for p, m, given in zip(expected, momenta, parameters, strict=True):
            m.mul_(0.95).add_(0.05 * given.grad)
            u = newton_schulz(0.95 * m + 0.05 * given.grad, coefficients)
            p.mul_(1 - 0.01 * 0.1).sub_(0.01 * 0.2 * max(p.shape) ** 0.5 * u)
        optimizer.step()
    torch.testing.assert_close([p.detach() for p in parameters], expected)


def test_muon_agrees_with_the_one_of_torch():
    """With Jordan's coefficients steps are those of torch.optim.Muon, which rounds to bfloat16."""
    if not hasattr(torch.optim, "Muon"):
        pytest.skip("torch before 2.9 has no Muon")
    ours, theirs = (weights([(16, 8), (8, 16)], torch.float32) for _ in range(2))
    optimizers = [
        Muon(ours, lr=0.02, weight_decay=0.1),
        torch.optim.Muon(theirs, lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
    ]
    for t in range(10):
        for parameters, optimizer in zip((ours, theirs), optimizers, strict=True):
            give_gradients(parameters, t)
            optimizer.step()
    for a, b, begun in zip(ours, theirs, weights([(16, 8), (8, 16)], torch.float32), strict=True):
        assert (a - b).norm() < 0.02 * (a - begun).norm()


def test_the_model_is_shared_out_as_urm_does():
    """Muon has every matrix, AdamW the rest; what is not trained has neither."""
    model = nn.Sequential(nn.Embedding(5, 4), nn.Conv1d(4, 4, 2, groups=4), nn.Linear(4, 2))
    model[2].bias.requires_grad_(False)
    muon, adamw = make_optimizers(model.parameters(), "muon", lr=1e-3, weight_decay=0.1)
    assert muon.param_groups[0]["params"] == [model[0].weight, model[2].weight]
    assert adamw.param_groups[0]["params"] == [model[1].weight, model[1].bias]
    assert [type(o) for o in (muon, adamw)] == [Muon, torch.optim.AdamW]
    (urm,) = make_optimizers([model[2].weight], "muon_urm", lr=1e-3, weight_decay=0.1)
    assert urm.param_groups[0]["coefficients"] == URM
    assert muon.param_groups[0]["coefficients"] == JORDAN


def run(kind, steps, parameters, optimizers):
    for t in steps:
        give_gradients(parameters, t)
        set_lr(optimizers, 0.01 / (1 + t))
        for optimizer in optimizers:
            optimizer.step()


@pytest.mark.parametrize("as_tensor", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_restored_optimizer_goes_on_bit_by_bit(kind, as_tensor):
    """Ten steps equal five, a save to a file, a load into new optimizers, and five more."""

    def fresh():
        lr = torch.tensor(0.0) if as_tensor else 0.0
        parameters = weights(dtype=torch.float32)
        return parameters, make_optimizers(parameters, kind, lr=lr, weight_decay=0.1)

    whole, first, second = fresh(), fresh(), fresh()
    run(kind, range(10), *whole)
    run(kind, range(5), *first)
    file = io.BytesIO()
    torch.save([first[0], [o.state_dict() for o in first[1]]], file)
    file.seek(0)
    saved, states = torch.load(file, weights_only=True)
    with torch.no_grad():
        for p, value in zip(second[0], saved, strict=True):
            p.copy_(value)
    for optimizer, state in zip(second[1], states, strict=True):
        optimizer.load_state_dict(state)
    run(kind, range(5, 10), *second)
    for a, b in zip(whole[0], second[0], strict=True):
        assert torch.equal(a, b)
    assert isinstance(second[1][0].param_groups[0]["lr"], torch.Tensor) == as_tensor


class Reads(TorchDispatchMode):
    """Counts the operations that wait for the device and hand a value to the host."""

    WAITING = ("_local_scalar_dense", "nonzero", "is_nonzero", "equal", "unique", "item")

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        self.seen += [name] if name in self.WAITING else []
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("kind", ["adam_atan2", "muon"])
def test_a_step_reads_nothing_back(kind):
    """With rate and count as tensors a step asks for no value, so a CUDA graph can hold it."""
    parameters = weights([(6, 4), (4, 6)], torch.float32)
    lr = torch.tensor(0.01)
    (optimizer,) = make_optimizers(parameters, kind, lr=lr, weight_decay=0.1)
    give_gradients(parameters, 0)
    places = [t.data_ptr() for p in parameters for t in optimizer.state[p].values()]
    with Reads() as reads:
        set_lr([optimizer], 0.02)
        optimizer.step()
    assert reads.seen == []
    with reads:
        float(lr)
    assert reads.seen == ["_local_scalar_dense"]
    assert optimizer.param_groups[0]["lr"] is lr
    assert places == [t.data_ptr() for p in parameters for t in optimizer.state[p].values()]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("kind", KINDS)
def test_a_cuda_graph_holds_a_step(kind):
    """A captured step, replayed with other gradients and rates, is the step called each time."""
    ends = []
    for captured in (False, True):
        parameters = [nn.Parameter(p.detach().cuda()) for p in weights(dtype=torch.float32)]
        lr = torch.tensor(0.0, device="cuda")
        optimizers = make_optimizers(parameters, kind, lr=lr, weight_decay=0.1)
        places = [torch.zeros_like(p) for p in parameters]
        for p, place in zip(parameters, places, strict=True):
            p.grad = place
        go = take_steps(optimizers)
        go()  # At rate 0: what is made on first use is made here.
        if captured:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                go()
            go = graph.replay
        for t in range(5):
            for i, place in enumerate(places):
                place.copy_(random(*place.shape, seed=1000 * t + i))
            set_lr(optimizers, 0.01 / (1 + t))
            go()
        ends.append([p.detach() for p in parameters])
    torch.testing.assert_close(*ends, rtol=0, atol=1e-6)


def take_steps(optimizers):
    def go():
        for optimizer in optimizers:
            optimizer.step()

    return go


def test_a_tensor_and_a_number_are_the_same_rate():
    """A rate as a tensor gives the steps that the number gives."""
    for kind in KINDS:
        ends = []
        for lr in (0.0, torch.tensor(0.0)):
            parameters = weights(dtype=torch.float32)
            optimizers = make_optimizers(parameters, kind, lr=lr, weight_decay=0.1)
            run(kind, range(5), parameters, optimizers)
            ends.append([p.detach() for p in parameters])
        torch.testing.assert_close(*ends)


def test_parameters_without_gradient_stay():
    """A parameter that took no part in a step is not moved, nor decayed."""
    for kind, build in (("adam_atan2", AdamATan2), ("muon", Muon)):
        used, idle = weights([(4, 3), (4, 3)])
        before = idle.detach().clone()
        optimizer = build([used, idle], lr=0.1, weight_decay=0.5)
        give_gradients([used], 0)
        optimizer.step()
        assert torch.equal(idle, before), kind
        assert not torch.equal(used, weights([(4, 3)])[0]), kind


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"lr": -1.0, "weight_decay": 0.0}, "lr=-1.0"),
        ({"lr": 1.0, "weight_decay": math.nan}, "weight_decay=nan"),
        ({"lr": torch.zeros(1), "weight_decay": 0.0}, "without dimensions"),
    ],
)
@pytest.mark.parametrize("build", [AdamATan2, Muon])
def test_settings_out_of_range_are_refused(build, settings, words):
    """A rate or decay that cannot be meant is refused by its name."""
    with pytest.raises(ValueError, match=words):
        build(weights([(2, 2)]), **settings)


def test_weights_that_cannot_be_trained_are_refused():
    """Weights in low precision, mixed groups, wrong betas and vectors for Muon are refused."""
    low = [nn.Parameter(torch.zeros(2, 2, dtype=torch.bfloat16))]
    with pytest.raises(ValueError, match=r"bfloat16.*float32 ones"):
        AdamATan2(low, lr=1.0, weight_decay=0.0)
    mixed = weights([(2, 2)]) + weights([(2, 2)], torch.float32)
    with pytest.raises(ValueError, match="group of its own"):
        Muon(mixed, lr=1.0, weight_decay=0.0)
    with pytest.raises(ValueError, match=r"\(5,\) to AdamW"):
        Muon(weights([(5,)]), lr=1.0, weight_decay=0.0)
    with pytest.raises(ValueError, match="betas"):
        AdamATan2(weights(), lr=1.0, betas=(0.9, 1.0), weight_decay=0.0)
    with pytest.raises(ValueError, match="optimizer='adam': write one of adam_atan2, adamw, muon"):
        make_optimizers(weights(), "adam", lr=1.0, weight_decay=0.0)
    with pytest.raises(ValueError, match="momentum"):
        Muon(weights([(2, 2)]), lr=1.0, momentum=1.0, weight_decay=0.0)


def test_the_schedule_rises_and_falls():
    """The rate rises in proportion, is whole after the warm-up, and ends at its least."""
    sizes = {"warmup": 10, "total": 110, "lr_min_ratio": 0.1}
    assert schedule(1, **sizes) == pytest.approx(0.1)
    assert schedule(10, **sizes) == 1.0
    assert schedule(60, **sizes) == pytest.approx(0.55)
    assert schedule(110, **sizes) == pytest.approx(0.1)
    assert schedule(200, **sizes) == pytest.approx(0.1)
    rates = [schedule(step, **sizes) for step in range(10, 111)]
    assert rates == sorted(rates, reverse=True)


def test_the_schedule_of_the_originals_is_constant():
    """With lr_min_ratio 1 the rate stays after the warm-up."""
    assert [schedule(step, warmup=5, total=20) for step in range(5, 21)] == [1.0] * 16
    assert schedule(1, warmup=0, total=3) == 1.0
