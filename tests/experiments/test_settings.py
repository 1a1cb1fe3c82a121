"""Settings of the studies, the specs that set them, and the data that they name."""

import tomllib
from dataclasses import asdict
from pathlib import Path

import pytest

from experiments.common.compare import read_entries
from experiments.common.world import World
from experiments.puzzles.compare import SYSTEM
from experiments.puzzles.data import data_folder
from experiments.puzzles.settings import CHOICES, Settings, read_settings
from experiments.puzzles.study import build, core_config
from models.puzzles import Meta, read_meta

ROOT = Path(__file__).resolve().parents[2]
SPECS = {
    str(path.relative_to(ROOT)): spec
    for path in sorted((ROOT / "experiments").glob("**/*.toml"))
    for spec in [tomllib.loads(path.read_text())]
    if "experiments/puzzles/" in " ".join(map(str, spec["train"]["command"]))
}
CELLS = {"sudoku": 11, "maze": 6, "arc1": 12, "arc2": 12}


def test_arguments_win_over_the_config():
    """A key=value argument beats the resolved config, which beats the default."""
    read = read_settings({"lr": 0.5, "width": 32}, ["lr=1e-4"])
    assert (read.lr, read.width, read.batch) == (1e-4, 32, Settings().batch)


@pytest.mark.parametrize("argument", ["lrr=1", "steps", "steps=ten", "steps=1.5", "recolour=maybe"])
def test_bad_arguments_are_named(argument):
    """An unknown key or a value of the wrong type is refused with its text."""
    with pytest.raises(ValueError, match=argument.partition("=")[0]):
        read_settings({}, [argument])


@pytest.mark.parametrize("key", sorted(CHOICES))
def test_a_choice_that_is_none_names_the_others(key):
    """A word that is not among the choices of its setting is refused with all of them."""
    with pytest.raises(ValueError, match=f"{key}='thing': one of .*{CHOICES[key][-1]}"):
        read_settings({key: "thing"})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"batch": 0}, "batch=0: at least 1"),
        ({"keep": -1}, "keep=-1: at least 0"),
        ({"clip": float("nan")}, "clip=nan: at least 0"),
        ({"epochs": 3}, "either steps or epochs"),
        ({"steps": 0}, "either steps or epochs"),
        ({"batch": 9, "accumulate": 2}, "batch=9: no multiple of accumulate=2"),
        ({"eval_segments": [0, 4]}, r"eval_segments=\[0, 4\]: counts of at least 1"),
        ({"eval_share": 0}, r"eval_share=0\.0: above 0 and up to 1"),
        ({"best": "val/exact"}, "nothing is evaluated while eval_every is 0"),
    ],
)
def test_values_that_make_no_sense_are_refused(given, said):
    """Numbers out of range and settings that contradict each other are told at the start."""
    with pytest.raises(ValueError, match=said):
        read_settings(given)


@pytest.mark.parametrize(("text", "value"), [("true", True), ("0", False), ("False", False)])
def test_switches_are_read_as_words(text, value):
    """A switch is true or false, never a non-empty text."""
    assert read_settings({}, [f"recolour={text}"]).recolour is value


@pytest.mark.parametrize(
    ("given", "value"), [("8,16", (8, 16)), ([8, 16], (8, 16)), (8, (8,)), ("8", (8,))]
)
def test_several_numbers_are_a_list_or_have_commas(given, value):
    """A list of TOML, a text with commas and a single number are read alike."""
    assert read_settings({"eval_segments": given}).eval_segments == value


@pytest.mark.parametrize("name", SPECS)
def test_specs_set_only_known_parameters(name):
    """Every parameter of a committed spec is a setting, of the same type, with that value."""
    params = SPECS[name]["params"]
    comparison = {key: params.pop(key) for key in ("members", "seeds") if key in params}
    assert set(params) <= set(asdict(Settings()))
    if comparison:
        entries = read_entries(params | comparison, SYSTEM)
        assert SPECS[name]["train"]["steps"] == sum(entry.settings.steps for entry in entries)
    read = asdict(read_settings(params))
    assert {k: list(v) if isinstance(v, tuple) else v for k, v in read.items() if k in params} == {
        key: params[key] for key in params
    }
    params.update(comparison)


@pytest.mark.parametrize("name", SPECS)
def test_the_models_of_specs_can_be_built(name):
    """Sizes, positions, convolution and plan of every member of a spec fit together."""
    params = SPECS[name]["params"]
    if "members" in params:
        chosen = [entry.settings for entry in read_entries(params, SYSTEM)]
    else:
        chosen = [read_settings(params)]
    for settings in chosen:
        side = settings.data.rpartition("x")[2]
        meta = Meta(
            name=name,
            kind="arc",
            side=int(side) if side.isdecimal() else 30,
            vocabulary=CELLS[settings.data.partition("-")[0]],
            identifiers=(),
            test_puzzles={},
            settings={},
        )
        assert core_config(settings, meta).length >= meta.side**2


def test_the_same_settings_give_the_same_model(programs):
    """Weights are a function of the settings, and another seed gives others."""
    config = programs.SUDOKU
    one, two, three = (
        build(read_settings(config | {"seed": seed}), World()).core.state_dict()
        for seed in (0, 0, 1)
    )
    assert all(tensor.equal(two[name]) for name, tensor in one.items())
    assert not one["tokens"].equal(three["tokens"])


@pytest.mark.parametrize(
    ("data", "kind", "side"),
    [("sudoku-4x4", "sudoku", 4), ("maze-4x4", "maze", 4), ("arc1-train-same-size-3x3", "arc", 3)],
)
def test_names_of_data_lead_to_folders(programs, data, kind, side):
    """A name gives a folder of the cache, the same one twice; a path gives itself."""
    settings = read_settings(programs.SUDOKU | {"data": data, "best": ""})
    folder = data_folder(settings)
    meta = read_meta(folder)
    assert (meta.kind, meta.side) == (kind, side)
    assert data_folder(settings) == folder
    again = read_settings(programs.SUDOKU | {"data": str(folder)})
    assert data_folder(again) == folder
