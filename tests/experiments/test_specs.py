"""What a spec's [params] may say, and that the committed specs say the published models."""

import tomllib
from pathlib import Path

import pytest

from experiments.puzzles.compare import read_entries
from experiments.puzzles.settings import read_settings
from experiments.puzzles.study import core_config
from models import direct, hrm, trm, urm
from models.puzzles import Meta

EXPERIMENTS = Path(__file__).resolve().parents[2] / "experiments"
SUDOKU = {"kind": "sudoku", "side": 9, "vocabulary": 11}
ARC = {"kind": "arc", "side": 30, "vocabulary": 12}
ORIGINAL = {"width": 512, "heads": 8, "layers": 4, "inner_multiple": 256}
ORIGINAL |= {"positions": "rotary_flat"}


def params(spec):
    """The [params] of a committed spec."""
    return tomllib.loads((EXPERIMENTS / spec).read_text())["params"]


def config(given, facts):
    """The network that these parameters mean on such a set."""
    meta = Meta(name="any", identifiers=("<blank>",), test_puzzles={}, settings={}, **facts)
    return core_config(read_settings(given), meta)


def test_the_specs_for_gpus_train_the_published_networks():
    """T-0022 is TRM's mlp and T-0021 URM, as models/ names them, to the last field."""
    assert config(params("sudoku/hard-9x9-gpu.toml"), SUDOKU) == trm.mlp(11, 9)
    assert config(params("urm/validation-5pct.toml"), ARC) == urm.original(12, 30)


def test_every_published_network_can_be_said_in_params():
    """HRM, TRM with attention, the direct transformer and URM as its paper has it."""
    of_hrm = ORIGINAL | {"model": "hrm", "cycles": 2, "inner": 2}
    assert config(of_hrm, SUDOKU) == hrm.original(11, 9)
    of_trm = ORIGINAL | {"model": "trm", "cycles": 3, "inner": 4, "layers": 2}
    assert config(of_trm | {"identity_tokens": 16}, ARC) == trm.attention(12, 30)
    assert config(ORIGINAL | {"model": "direct", "layers": 8}, SUDOKU) == direct.original(11, 9)
    paper = {"model": "urm", "cycles": 8, "forward_only": 2, "read_each": True}
    plan = config(ORIGINAL | paper | {"convolution": "row@mlp_expansion"}, ARC).plan
    assert plan == urm.urm_plan(8, 2, read_each=True)


def test_an_unknown_parameter_is_refused():
    """A misspelt parameter would train something else without a word: the right one is named."""
    with pytest.raises(ValueError, match=r"weigth_decay \(did you mean weight_decay\?\)"):
        read_settings({"weigth_decay": 1.0})
    with pytest.raises(ValueError, match=r"no such setting: zzz; experiments/puzzles/settings\.py"):
        read_settings({}, ["zzz=1"])
    with pytest.raises(ValueError, match="no such setting: member"):
        read_entries({"member": {}, "members": {"one": {}}, "seeds": [0]})
    with pytest.raises(ValueError, match="write key=value"):
        read_settings({}, ["lr"])


@pytest.mark.parametrize("key", ["forward_only", "lr", "lr_end", "weight_decay", "identity_lr"])
def test_a_rate_below_zero_is_refused(key):
    """So is a number of loops, and what is no number."""
    with pytest.raises(ValueError, match=f"{key}=-1.*: at least 0"):
        read_settings({key: -1})
    if key != "forward_only":
        with pytest.raises(ValueError, match=f"{key}=nan: at least 0"):
            read_settings({key: float("nan")})


def test_answers_are_asked_after_as_many_segments_as_in_training():
    """Unless `eval_segments` says another number; more segments than in training can ruin one."""
    assert read_settings({"segments": 16}).eval_segments == (16,)
    assert read_settings({}).eval_segments == (read_settings({}).segments,)
    assert read_settings({"segments": 16}, ["eval_segments=4,8"]).eval_segments == (4, 8)
    with pytest.raises(ValueError, match=r"eval_segments=\[0\]"):
        read_settings({"eval_segments": [0]})
