"""Values on an accelerator: nobody waits for them, and none is lost.

There is no GPU here. `Device` is a real device to torch (its `privateuseone` backend, written in
Python): its copies land when the test runs its queue, and reading a value on it is an error. What
it cannot show is CUDA itself: pinned memory, streams, and the cost of a copy.
"""

import json
import threading
from contextlib import contextmanager

import pytest

from orchestrator import track
from orchestrator.track import queue
from orchestrator.track.queue import Arriving, Queue

torch = pytest.importorskip("torch")


class Device:
    """A module as torch.cuda is one, over a queue of work that runs when told to."""

    def __init__(self):
        self.work = []
        self.capturing = False
        self.lost = False

    def run(self):
        """Do all that was asked for."""
        while self.work:
            self.work.pop(0)()

    def is_current_stream_capturing(self):
        return self.capturing

    def is_available(self):
        return True

    def is_initialized(self):
        return True

    def current_device(self):
        return 0

    def device_count(self):
        return 1

    def _is_in_bad_fork(self):
        return False

    def manual_seed_all(self, seed):
        pass

    def Event(self):  # noqa: N802 - torch's name
        return Event(self)


class Event:
    """Fires when the device has done what was asked before it."""

    def __init__(self, device):
        self.device, self.fired = device, False

    def record(self):
        self.device.work.append(lambda: setattr(self, "fired", True))

    def query(self):
        if self.device.lost:
            raise RuntimeError("device-side assert")
        assert not self.device.capturing, "a question spoils the graph"
        return self.fired

    def synchronize(self):
        if self.device.lost:
            raise RuntimeError("device-side assert")
        assert self.fired, "somebody waited for the device"


class Late(torch.Tensor):
    """A tensor on the device; the only thing to do with it is to copy it without waiting."""

    @staticmethod
    def __new__(cls, inner, _device):
        options = {"dtype": inner.dtype, "requires_grad": inner.requires_grad}
        return torch.Tensor._make_wrapper_subclass(cls, inner.shape, device="late:0", **options)

    def __init__(self, inner, device):
        self.inner, self.owner = inner.detach(), device

    @classmethod
    def __torch_dispatch__(cls, function, _types, args, named=None):
        name = function.overloadpacket.__name__
        if name == "detach":
            return cls(args[0].inner, args[0].owner)
        assert (name, (named or {}).get("non_blocking")) == ("_to_copy", True), f"{name} waits"
        copy = torch.full_like(args[0].inner, 77)
        args[0].owner.work.append(lambda: copy.copy_(args[0].inner))
        return copy


@pytest.fixture(scope="module")
def registered():
    """The device, made known to torch once."""
    setup = pytest.importorskip("torch.utils.backend_registration")
    if not hasattr(setup, "_setup_privateuseone_for_python_backend"):
        pytest.skip("this torch has no backend in Python")
    device = Device()
    setup._setup_privateuseone_for_python_backend("late", backend_module=device)
    return device


@pytest.fixture
def device(registered):
    registered.__init__()
    return registered


@pytest.fixture
def loss(device):
    """Make a tensor of one value on the device."""
    return lambda value: Late(torch.tensor(value, requires_grad=True), device)


@contextmanager
def soon(device):
    """The device does its work while the program is already waiting for it."""
    timer = threading.Timer(0.2, device.run)
    timer.start()
    yield
    timer.join()


def test_a_value_on_the_device_is_copied_and_never_waited_for(home, device, loss):
    """`log` returns with the copy under way; the line follows, in order, when it has landed."""
    run = track.init()
    run.log({"loss": loss(0.75), "lr": 0.5}, step=1)
    run.log({"lr": 0.25}, step=2)
    assert home.points() == []
    device.run()
    run.log({"lr": 0.125}, step=3)
    assert [(point["step"], point["metrics"]) for point in home.points()] == [
        (1, {"loss": 0.75, "lr": 0.5}),
        (2, {"lr": 0.25}),
        (3, {"lr": 0.125}),
    ]


def test_values_that_have_landed_come_out_at_any_call(home, device, loss):
    """`should_stop`, which training asks each step, and every event write what has landed."""
    run = track.init()
    run.log({"loss": loss(1.0)}, step=1)
    device.run()
    run.should_stop()
    assert [point["step"] for point in home.points()] == [1]
    run.log({"loss": loss(2.0)}, step=2)
    device.run()
    run.summary({"best": 1})
    assert [point["step"] for point in home.points()] == [1, 2]
    assert home.lines()[-1]["event"] == "summary"


def test_a_checkpoint_waits_for_what_was_logged_before(home, device, loss):
    """Whoever finds the checkpoint finds the points that led to it."""
    run = track.init()
    run.log({"loss": loss(1.0)}, step=5)
    folder = run.checkpoint_dir(5)
    (folder / "model.pt").write_text("weights")
    with soon(device):
        run.checkpoint(folder, 5)
    kinds = [line.get("event", "point") for line in home.lines()]
    assert kinds[-2:] == ["point", "checkpoint"]


def test_finish_waits_for_the_last_values(home, device, loss):
    """They are not left behind in memory."""
    run = track.init()
    run.log({"loss": loss(1.0)}, step=5)
    with soon(device):
        run.finish()
    assert home.points()[0]["metrics"] == {"loss": 1.0}


def test_values_that_never_land_cost_bounded_memory_only(home, device, loss, monkeypatch):
    """Behind a dead device at most so many points wait; then they go out without its values."""
    monkeypatch.setattr(queue, "MOST_WAITING", 10)
    run = track.init()
    for step in range(50):
        run.log({"loss": loss(1.0), "lr": 0.5}, step=step)
        assert len(run._queue.waiting) <= 10
    assert [(point["step"], point["metrics"]) for point in home.points()] == [
        (step, {"lr": 0.5}) for step in range(40)
    ]
    device.run()
    run.finish()
    assert [point["metrics"] for point in home.points()[40:]] == [{"loss": 1.0, "lr": 0.5}] * 10


def test_finish_gives_up_a_dead_device_and_keeps_the_rest(home, loss, monkeypatch, capsys):
    """The last wait is bounded; the other values of the waiting points are written."""
    monkeypatch.setattr("orchestrator.track.session.LAST_WAIT", 0.05)
    run = track.init()
    for step in range(3):
        run.log({"loss": loss(1.0), "lr": 0.5}, step=step)
    run.finish()
    assert [point["metrics"] for point in home.points()] == [{"lr": 0.5}] * 3
    assert capsys.readouterr().err.count('never came from its device: "loss"') == 1


def test_a_failed_device_costs_its_own_values_only(home, device, loss, capsys):
    """A device error loses the value on it, not the others of the point nor the later points."""
    run = track.init()
    run.log({"loss": loss(1.0), "lr": 1.0}, step=1)
    device.lost = True
    run.log({"lr": 2.0}, step=2)
    assert [point["metrics"] for point in home.points()] == [{"lr": 1.0}, {"lr": 2.0}]
    assert "device-side assert" in capsys.readouterr().err


def test_a_value_that_landed_early_waits_for_its_place():
    """Lines come in the order logged, whichever copy lands first."""
    written = []
    device, points = Device(), Queue(written.append)
    first, second = Event(device), Event(device)
    points.add(1, 0.0, [('"loss":', Arriving(torch.tensor(0.5), first, device))])
    points.add(2, 0.0, [('"loss":', Arriving(torch.tensor(0.25), second, device))])
    second.fired = True
    points.drain()
    assert written == []
    first.fired = True
    points.drain()
    assert [json.loads(line)["step"] for line in written] == [1, 2]


def test_a_grid_on_the_device_is_described_without_waiting(home, device, capsys):
    """A tensor of many values is warned of by its shape; neither read nor printed."""
    run = track.init()
    run.log({"grid": Late(torch.ones(2, 3), device), "lr": 0.5})
    assert home.points()[0]["metrics"] == {"lr": 0.5}
    assert home.events("text")[0]["data"] == {"grid": "Late of shape (2, 3), torch.float32"}
    assert "no number (Late of shape (2, 3)" in capsys.readouterr().err
    assert device.work == []


def test_a_graph_under_capture_is_not_disturbed(home, device, loss, capsys):
    """While a CUDA graph is captured the device is asked nothing; earlier values come later."""
    run = track.init()
    run.log({"loss": loss(1.0)}, step=1)
    device.run()
    device.capturing = True
    run.log({"loss": loss(2.0), "lr": 0.5}, step=2)
    run.log({"lr": 0.25}, step=3)
    device.capturing = False
    run.finish()
    assert [(point["step"], point["metrics"]) for point in home.points()] == [
        (1, {"loss": 1.0}),
        (2, {"lr": 0.5}),
        (3, {"lr": 0.25}),
    ]
    assert "while a graph is captured" in capsys.readouterr().err


def test_a_spread_tensor_is_not_gathered_behind_the_back_of_the_other_ranks(home, tmp_path):
    """A replicated DTensor is a number; one that the ranks must sum first is a warning."""
    distributed = pytest.importorskip("torch.distributed")
    tensors = pytest.importorskip("torch.distributed.tensor")
    store = distributed.FileStore(str(tmp_path / "store"), 1)
    distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        mesh = distributed.init_device_mesh("cpu", (1,))
        whole = tensors.DTensor.from_local(torch.tensor(2.0), mesh, [tensors.Replicate()])
        part = tensors.DTensor.from_local(torch.tensor(2.0), mesh, [tensors.Partial()])
        track.init().log({"whole": whole, "part": part})
    finally:
        distributed.destroy_process_group()
    assert home.points()[0]["metrics"] == {"whole": 2.0}
    assert list(home.events("text")[0]["data"]) == ["part"]
