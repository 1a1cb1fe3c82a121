"""Values of any kind: numbers exactly, everything else kept, nothing raised."""

import decimal
import enum
import fractions
import gc
import json
import math
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import track
from orchestrator.track.lines import event_line, number, plain, point_line, quoted
from orchestrator.track.mappings import Config
from orchestrator.track.values import LONG, read_values

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
    """Each leaf of a logged mapping ends up among the numbers or among the texts, None aside."""
    numbers, rest = read_values(data)
    leaves: set[str] = set()

    def collect(mapping, prefix):
        for key, value in mapping.items():
            if isinstance(value, dict):
                collect(value, f"{prefix}{key}/")
            elif value is not None:
                leaves.add(f"{prefix}{key}")

    collect(data, "")
    named = {json.loads("{" + text + "}").popitem()[0] for text in numbers}
    assert named | set(rest) == leaves


def test_nested_names_are_joined(home):
    """`{"a": {"b": 1}}` is the metric `a/b`."""
    track.init().log({"eval": {"grid": {"acc": 0.5}, "loss": 2.0}, "lr": 1e-3})
    assert home.points()[0]["metrics"] == {"eval/grid/acc": 0.5, "eval/loss": 2.0, "lr": 1e-3}


def test_names_of_other_types_are_their_text(home):
    """Accuracies by class number are points, at the top and in nested dicts; no line is torn."""

    class Part(enum.StrEnum):
        VAL = "val"

    run = track.init()
    for value in (0.5, np.float32(0.5)):  # by the quick way and by the careful one
        run.log({0: value, None: value, (1, 2): value, Part.VAL: value})
    run.log({"acc": {0: 0.5, Part.VAL: 0.25}})
    names = {"0": 0.5, "None": 0.5, "(1, 2)": 0.5, "val": 0.5}
    assert [point["metrics"] for point in home.points()][:2] == [names, names]
    assert home.points()[2]["metrics"] == {"acc/0": 0.5, "acc/val": 0.25}


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


def test_none_and_masked_values_are_no_points_and_no_warnings(home, capsys):
    """No value is no value: never 0, never a text; the step is noted all the same."""
    run = track.init()
    run.log({"loss": 0.5, "val": None, "mean": np.ma.masked}, step=1)
    run.log({"val": None}, step=2)
    assert [(point["step"], point["metrics"]) for point in home.points()] == [
        (1, {"loss": 0.5}),
        (2, {}),
    ]
    assert home.events("text") == []
    assert capsys.readouterr().err == ""


class Level(enum.Enum):
    """No number."""

    HIGH = 3


class Rank(enum.IntEnum):
    """A number with a name."""

    FIRST = 1


class Array:
    """What a library of arrays offers at least."""

    def __array__(self, *_args, **_named):
        return np.array(2.5)


def test_numbers_of_other_libraries_are_numbers(home, capsys):
    """Decimal, Fraction, IntEnum, long doubles, masked arrays and whatever becomes an array."""
    values = {
        "decimal": decimal.Decimal("0.1"),
        "fraction": fractions.Fraction(1, 4),
        "named": Rank.FIRST,
        "long": np.longdouble(1.5),
        "unmasked": np.ma.array([1.5], mask=[False]),
        "array": Array(),
    }
    track.init().log(values)
    assert home.points()[0]["metrics"] == {
        "decimal": 0.1,
        "fraction": 0.25,
        "named": 1,
        "long": 1.5,
        "unmasked": 1.5,
        "array": 2.5,
    }
    assert capsys.readouterr().err == ""


def test_texts_that_look_like_numbers_stay_texts(home):
    """`float` would read "3"; a text stays a text, also numpy's."""
    values = {"a": "3", "b": np.str_("3"), "c": np.array("3"), "d": Level.HIGH}
    track.init().log(values)
    assert home.points() == []
    texts = {"a": "3", "b": "3", "c": "3", "d": "Level.HIGH"}
    assert home.events("text")[0]["data"] == texts


KINDS = ["bfloat16", "float16", "float64", "float8_e4m3fn", "float8_e5m2"]
KINDS += ["int8", "uint8", "uint16", "int64", "bool"]


@pytest.mark.parametrize("kind", KINDS)
def test_tensors_of_every_kind_are_numbers(home, kind, capsys):
    """Small floats, integers and truth values come out as the number they hold."""
    torch = pytest.importorskip("torch")
    track.init().log({"a": torch.tensor(1).to(getattr(torch, kind))})
    assert home.points()[0]["metrics"] == {"a": 1}
    assert capsys.readouterr().err == ""


def test_what_is_not_one_number_is_told_by_its_shape_and_warned_of_once(home, capsys):
    """An array is described, never printed: a megabyte of digits a step helps nobody."""
    torch = pytest.importorskip("torch")
    run = track.init()
    for step in range(3):
        grids = {"grid": torch.ones(3, 4), "array": np.ones((2, 2)), "list": [1] * (LONG + 1)}
        meta = {"meta": torch.ones((), device="meta"), "complex": torch.tensor(1j)}
        run.log({"loss": 0.5, **grids, **meta}, step=step)
    assert [point["metrics"] for point in home.points()] == [{"loss": 0.5}] * 3
    assert home.events("text")[0]["data"] == {
        "grid": "Tensor of shape (3, 4), torch.float32",
        "array": "ndarray of shape (2, 2), float64",
        "list": "list of 1001 values",
        "meta": "Tensor of shape (), torch.float32",
        "complex": "Tensor of shape (), torch.complex64",
    }
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 5
    assert any("'grid' is no number (Tensor of shape (3, 4)" in line for line in said)


def test_a_logged_loss_keeps_no_graph_alive(home):
    """After `log` the tensors of the graph are freed as if nobody had logged."""
    torch = pytest.importorskip("torch")
    weight = torch.ones(1000, requires_grad=True)
    hidden = weight * 2
    loss = hidden.sum()
    seen = weakref.ref(hidden)
    track.init().log({"loss": loss, "shape": hidden})
    del hidden, loss
    gc.collect()
    assert seen() is None
    assert home.points()[0]["metrics"] == {"loss": 2000.0}


@pytest.mark.filterwarnings("ignore:Dynamo does not know how to trace")
def test_log_inside_a_compiled_function_writes_every_call(home):
    """torch.compile breaks its graph at `log`, and says so: real values, each once, no error."""
    torch = pytest.importorskip("torch")
    run = track.init()

    @torch.compile(backend="eager")
    def train(x, step):
        loss = (x * 2).sum()
        run.log({"loss": loss}, step=step)
        return loss + 1

    for step in range(3):
        train(torch.full((4,), float(step)), step)
    values = [value for point in home.points() for value in point["metrics"].values()]
    assert values == [0.0, 8.0, 16.0]
