"""Settings of the study and the spec that sets them."""

import tomllib
from dataclasses import asdict

import pytest

from experiments.arc.settings import Settings, build, read_settings
from experiments.arc.train import schedule


def test_arguments_win_over_the_config():
    """A key=value argument beats the resolved config, which beats the default."""
    read = read_settings({"lr": 0.5, "width": 32, "note": "mine"}, ["lr=1e-4"])
    assert (read.lr, read.width, read.batch) == (1e-4, 32, Settings().batch)


@pytest.mark.parametrize("argument", ["lrr=1", "steps", "steps=ten", "steps=1.5", "recolour=maybe"])
def test_bad_arguments_are_named(argument):
    """An unknown key or a value of the wrong type is refused with its text."""
    with pytest.raises(ValueError, match=argument.partition("=")[0]):
        read_settings({}, [argument])


@pytest.mark.parametrize(("text", "value"), [("true", True), ("0", False), ("False", False)])
def test_switches_are_read_as_words(text, value):
    """A switch is true or false, never a non-empty text."""
    assert read_settings({}, [f"recolour={text}"]).recolour is value


def test_the_spec_sets_only_known_parameters(arc_programs):
    """Every parameter of the committed spec is a setting of the same type, and values agree."""
    path = arc_programs.ROOT / "experiments" / "arc" / "validation-2core.toml"
    params = tomllib.loads(path.read_text())["params"]
    assert set(params) <= set(asdict(Settings()))
    read = asdict(read_settings(params))
    assert {key: read[key] for key in params} == params
    assert params["checkpoint_every"] <= params["steps"]
    assert params["steps"] % params["checkpoint_every"] == 0


def test_the_same_settings_give_the_same_model():
    """Weights, tasks and views are a function of the settings."""
    small = Settings(subset="arc1-train-same-size-3x3", width=8, heads=2, augmentations=2)
    one, two = build(small), build(small)
    assert one.variants == two.variants
    for name, tensor in one.core.state_dict().items():
        assert tensor.equal(two.core.state_dict()[name]), name


def test_the_rate_rises_then_falls_to_its_end():
    """The factor climbs in a line over the warm-up and ends near lr_end, never at zero."""
    plan = Settings(steps=1000, warmup=10, lr_end=0.1)
    factors = [schedule(step, plan) for step in range(1000)]
    assert factors[0] == pytest.approx(0.1)
    assert max(factors) == pytest.approx(1.0, abs=1e-3)
    assert factors.index(max(factors)) in (9, 10)
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert 0.1 <= factors[-1] < 0.101
