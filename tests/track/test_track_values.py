"""Values of any kind: numbers exactly, everything else kept, nothing raised."""

import contextlib
import json
import math
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import track
from orchestrator.track.lines import event_line, number, plain, point_line, quoted
from orchestrator.track.mappings import Config
from orchestrator.track.values import Queue, read_values

STRINGS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def value_of(text: str) -> float:
    read = json.loads(text)
    return STRINGS[read] if isinstance(read, str) else read


@given(st.floats())
def test_every_float_comes_back_exactly(value):
    """A float survives the file bit for bit; what JSON cannot say is one of three strings."""
    back = value_of(number(value))
    assert back == value or (math.isnan(back) and math.isnan(value))
    assert math.copysign(1, back) == math.copysign(1, value) or math.isnan(value)


@given(st.integers())
def test_every_integer_comes_back_or_is_infinite(value):
    """An integer is exact as long as a float can hold its size."""
    assert value_of(number(value)) == value


def test_integers_beyond_every_float_are_infinite():
    """A number that would overflow its reader is written as what the reader would make of it."""
    assert number(10**400) == '"Infinity"'
    assert number(-(10**5000)) == '"-Infinity"'


@given(st.lists(st.tuples(st.text(), st.floats(allow_nan=False, allow_infinity=False))))
def test_a_point_is_one_valid_json_line_whatever_its_names(pairs):
    """Any name, with quotes, newlines, lone surrogates or nothing at all, makes one ASCII line."""
    data = dict(pairs)
    line = point_line(3, 1.5, [quoted(name) + number(value) for name, value in data.items()])
    assert line.endswith("\n")
    assert "\n" not in line[:-1]
    assert line.isascii()
    assert json.loads(line) == {"step": 3, "time": 1.5, "metrics": data}


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), ANY))
def test_an_event_is_one_valid_json_line_whatever_its_data(data):
    """Strict JSON comes out of any data: no NaN literal, no raw newline, no exception."""
    line = event_line("config", 1.0, None, data)
    assert line.count("\n") == 1

    def refuse(literal):
        raise AssertionError(literal)

    assert json.loads(line, parse_constant=refuse)["event"] == "config"


@given(st.dictionaries(st.text() | st.integers() | st.none(), ANY))
def test_no_value_is_dropped_and_none_raises(data):
    """Each leaf of a logged mapping ends up among the numbers or among the texts."""
    numbers, rest = read_values(data)
    leaves: set[str] = set()

    def collect(mapping, prefix):
        for key, value in mapping.items():
            if isinstance(value, dict):
                collect(value, f"{prefix}{key}/")
            else:
                leaves.add(f"{prefix}{key}")

    collect(data, "")
    named = {json.loads("{" + text + "}").popitem()[0] for text in numbers}
    assert named | set(rest) == leaves


def test_nested_names_are_joined(home):
    """`{"a": {"b": 1}}` is the metric `a/b`."""
    track.init().log({"eval": {"grid": {"acc": 0.5}, "loss": 2.0}, "lr": 1e-3})
    assert home.points()[0]["metrics"] == {"eval/grid/acc": 0.5, "eval/loss": 2.0, "lr": 1e-3}


def test_numpy_values_are_numbers(home):
    """Scalars and arrays of one element are written with their value, whatever their type."""
    values = {
        "f64": np.float64(0.1),
        "f32": np.float32(0.5),
        "i": np.int32(7),
        "b": np.bool_(True),
        "nan": np.float32("nan"),
        "zero_d": np.array(2.5),
        "one": np.array([3.5]),
    }
    track.init().log(values)
    assert home.points()[0]["metrics"] == {
        "f64": 0.1,
        "f32": 0.5,
        "i": 7,
        "b": 1,
        "nan": "NaN",
        "zero_d": 2.5,
        "one": 3.5,
    }


def test_cpu_tensors_are_numbers_also_with_a_gradient(home):
    """A loss can be logged as it is: no `.item()`, no `.detach()`."""
    torch = pytest.importorskip("torch")
    loss = torch.tensor(1.5, requires_grad=True) * 2
    track.init().log({"loss": loss, "half": torch.tensor(0.25, dtype=torch.bfloat16)})
    assert home.points()[0]["metrics"] == {"loss": 3.0, "half": 0.25}


def test_text_is_kept_as_an_event_and_warned_of_once(home, capsys):
    """A value that is no number is not dropped: the numbers beside it are points, it is text."""
    run = track.init()
    for step in range(3):
        run.log({"loss": 0.5, "note": "warm-up", "grid": [[1, 2]]}, step=step)
    assert [point["metrics"] for point in home.points()] == [{"loss": 0.5}] * 3
    assert home.events("text")[1]["data"] == {"note": "warm-up", "grid": [[1, 2]]}
    assert home.events("text")[1]["step"] == 1
    assert capsys.readouterr().err.count("'note' is no number") == 1


class Hostile:
    """Raises at every touch."""

    def __getattr__(self, name):
        raise RuntimeError(name)

    def __str__(self):
        raise RuntimeError("str")

    __repr__ = __str__


def test_hostile_values_cost_nothing_but_themselves(home):
    """An object that raises whatever is asked of it leaves its neighbours and the loop intact."""
    run = track.init(config={"model": Hostile(), "lr": 1})
    run.log({"loss": 1.0, "bad": Hostile()})
    run.summary({"bad": Hostile()})
    assert home.points()[0]["metrics"] == {"loss": 1.0}
    assert home.events("config")[0]["data"]["lr"] == 1
    assert home.events("summary")[0]["data"] == {"bad": "<Hostile>"}


@pytest.mark.parametrize("data", [None, 0.5, "loss", [("a", 1)], {1, 2}])
def test_data_of_a_wrong_shape_is_warned_of_and_training_goes_on(home, data, capsys):
    """`log` of something that is no mapping returns, and the next call works."""
    run = track.init()
    run.log(data)
    run.log({"loss": 1.0})
    assert home.points()[-1]["metrics"] == {"loss": 1.0}
    assert "exp track" in capsys.readouterr().err


def test_steps_of_other_types_are_read_and_nonsense_costs_only_the_step(home):
    """Numpy, float and tensor steps count; a step that is no number becomes the next one."""
    run = track.init()
    for step in (np.int64(5), 7.0, "nine", float("nan")):
        run.log({"a": 1}, step=step)
    assert [point["step"] for point in home.points()] == [5, 7, 8, 9]


def test_cyclic_config_is_cut_off(home):
    """A configuration that contains itself is written to a limited depth."""
    config: dict = {"lr": 1}
    config["self"] = config
    track.init(config=config)
    assert home.events("config")[0]["data"]["lr"] == 1


def test_plain_keeps_json_data_as_they_are():
    """Data that JSON can hold are not changed on their way."""
    data = {"a": [1, 2.5, None, True, "x"], "b": {"c": []}}
    assert plain(data) == data


def test_config_in_a_checkpoint_loads_without_this_package(tmp_path):
    """`run.config` saved by torch is a plain mapping: `weights_only=True` accepts it."""
    torch = pytest.importorskip("torch")
    torch.save({"config": Config({"lr": 1, "net": {"w": 2}})}, tmp_path / "c.pt")
    loaded = torch.load(tmp_path / "c.pt", weights_only=True)
    assert dict(loaded["config"]) == {"lr": 1, "net": {"w": 2}}


class DeviceValue:
    """Stands for a tensor on a GPU, whose copy has landed once `device.done` says so."""

    def __init__(self, name, device, value):
        self.name, self.device, self.value = name, device, value

    def landed(self):
        return self.name in self.device

    def text(self):
        if self.value is None:
            raise RuntimeError("device-side assert")
        return number(self.value)


def test_points_behind_a_gpu_value_keep_their_order_and_step():
    """Nobody waits for the device; when its copy has landed the lines come in the order logged."""
    written, landed = [], set()
    queue = Queue(written.append)
    queue.add(1, 0.0, [('"loss":', DeviceValue("first", landed, 0.5))])
    queue.add(2, 0.0, ['"lr":1.0'])
    queue.add(3, 0.0, [('"loss":', DeviceValue("second", landed, 0.25)), '"lr":2.0'])
    assert written == []
    landed.add("second")
    queue.drain(0.0)
    assert written == []
    landed.add("first")
    queue.drain(0.0)
    lines = [json.loads(line) for line in written]
    assert [line["step"] for line in lines] == [1, 2, 3]
    assert lines[2]["metrics"] == {"loss": 0.25, "lr": 2.0}


def test_a_failed_device_costs_its_own_values_only(capsys):
    """A device error loses the value on it, not the others of the point nor the later points."""
    written: list[str] = []
    queue = Queue(written.append)
    queue.add(1, 0.0, [('"loss":', DeviceValue("x", {"x"}, None)), '"lr":1.0'])
    queue.add(2, 0.0, ['"lr":2.0'])
    assert [json.loads(line)["metrics"] for line in written] == [{"lr": 1.0}, {"lr": 2.0}]
    assert "device-side assert" in capsys.readouterr().err


def test_a_value_that_never_lands_does_not_hold_up_the_end(capsys):
    """The last wait is bounded, and says how many points it gave up."""
    queue = Queue(lambda _line: None)
    queue.add(1, 0.0, [('"loss":', DeviceValue("x", set(), 1.0))])
    queue.drain(0.05)
    assert "1 points never arrived" in capsys.readouterr().err


class Gpu:
    """Stands for torch's CUDA side on a machine without one; `calls` says what was asked of it."""

    def __init__(self):
        self.calls = []
        self.done = False
        self.cuda = self
        self.__version__ = "0"

    def device(self, name):
        self.calls.append(name)
        return contextlib.nullcontext()

    def Event(self):  # noqa: N802 - torch's name
        return self

    def record(self):
        self.calls.append("record")

    def query(self):
        return self.done

    def synchronize(self):
        assert self.done, "log waited for the device"


class GpuTensor:
    """A tensor of one element on the GPU; it cannot be read there."""

    is_cuda, device = True, "cuda:1"

    def __init__(self, gpu):
        self.gpu = gpu

    def numel(self):
        return 1

    def detach(self):
        return self

    def to(self, where, *, non_blocking):
        self.gpu.calls.append((where, non_blocking))
        return np.float64(0.75)

    def item(self):
        raise AssertionError("this waits for the device")


def test_a_gpu_tensor_is_copied_behind_its_stream_and_never_asked_for_its_item(home, monkeypatch):
    """The only thing done to a CUDA tensor in `log` is an asynchronous copy with an event."""
    gpu = Gpu()
    monkeypatch.setitem(sys.modules, "torch", gpu)
    run = track.init()
    run.log({"loss": GpuTensor(gpu), "lr": 0.5}, step=1)
    run.log({"lr": 0.25}, step=2)
    assert home.points() == []
    assert gpu.calls == ["cuda:1", ("cpu", True), "record"]
    gpu.done = True
    run.finish()
    values = [point["metrics"] for point in home.points()]
    assert values == [{"loss": 0.75, "lr": 0.5}, {"lr": 0.25}]
