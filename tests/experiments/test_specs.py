"""What a spec's [params] may say, and that the committed specs say the published models."""

import tomllib
from pathlib import Path

import numpy as np
import pytest

from experiments.common.compare import read_entries
from experiments.puzzles.compare import SYSTEM
from experiments.puzzles.settings import read_settings
from experiments.puzzles.study import core_config
from models import direct, hrm, trm, urm
from models.puzzles import Meta, Split
from models.stream import steps_of

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
    rest = {"name": "any", "identifiers": ("<blank>",), "test_puzzles": {}, "settings": {}}
    meta = Meta(**(rest | facts))
    return core_config(read_settings(given), meta)


def test_the_specs_for_gpus_train_the_published_networks():
    """T-0022 is TRM's mlp and T-0021 URM, as models/ names them, to the last field."""
    assert config(params("sudoku/hard-9x9-gpu.toml"), SUDOKU) == trm.mlp(11, 9)
    assert config(params("urm/validation-5pct.toml"), ARC) == urm.original(12, 30)


def test_the_steps_of_the_full_urm_are_those_of_its_epochs():
    """T-0021 states steps for `exp` and trains for epochs: on its set's figures both agree."""
    spec = tomllib.loads((EXPERIMENTS / "urm/validation-5pct.toml").read_text())
    groups, puzzles, examples = 800, 80_102, 308_311
    split = Split(
        inputs_NS=np.zeros((examples, 1), np.uint8),
        labels_NS=np.ones((examples, 1), np.uint8),
        puzzle_identifiers_P=np.arange(1, puzzles + 1, dtype=np.int32),
        puzzle_indices_P1=np.linspace(0, examples, puzzles + 1).astype(np.int32),
        group_indices_G1=np.linspace(0, puzzles, groups + 1).astype(np.int32),
    )
    assert (split.groups, split.puzzles, split.examples) == (groups, puzzles, examples)
    said = read_settings(spec["params"])
    assert said.steps == 0
    assert steps_of(said.epochs, split, said.batch) == spec["train"]["steps"] == 40_093


def test_every_published_network_can_be_said_in_params():
    """HRM, TRM with attention, the direct transformer and URM as its paper has it."""
    of_hrm = ORIGINAL | {"model": "hrm", "cycles": 2, "inner": 2}
    assert config(of_hrm, SUDOKU) == hrm.original(11, 9)
    of_trm = ORIGINAL | {"model": "trm", "cycles": 3, "inner": 4, "layers": 2}
    assert config(of_trm | {"identity_tokens": 16}, ARC) == trm.attention(12, 30)
    assert config(ORIGINAL | {"model": "direct", "layers": 8}, SUDOKU) == direct.original(11, 9)
    small = {"model": "hrm", "cycles": 2, "inner": 2, "width": 256, "layers": [4, 3]}
    assert config(ORIGINAL | small, ARC) == hrm.small(12, 30)
    with pytest.raises(ValueError, match=r"layers=\[4, 3, 1\]: hrm has the modules H, L"):
        config(ORIGINAL | small | {"layers": [4, 3, 1]}, ARC)
    paper = {"model": "urm", "cycles": 8, "forward_only": 2, "read_each": True}
    plan = config(ORIGINAL | paper | {"convolution": "row@mlp_expansion"}, ARC).plan
    assert plan == urm.urm_plan(8, 2, read_each=True)


def test_a_network_must_see_the_identifiers_of_its_set():
    """Without a token and without a sum at every cell ARC's tasks are told apart by nothing."""
    told = ("<blank>", "a", "b")
    blind = {"identity_tokens": 0}
    with pytest.raises(ValueError, match=r"identity_tokens=0: any has 3 identifiers"):
        config(blind, ARC | {"identifiers": told})
    everywhere = config(blind | {"identity_everywhere": True}, ARC | {"identifiers": told})
    assert (everywhere.identity_tokens, everywhere.identity_everywhere) == (0, True)
    assert config(blind, SUDOKU).identity_tokens == 0


def test_an_unknown_parameter_is_refused():
    """A misspelt parameter would train something else without a word: the right one is named."""
    with pytest.raises(ValueError, match=r"weigth_decay \(did you mean weight_decay\?\)"):
        read_settings({"weigth_decay": 1.0})
    with pytest.raises(ValueError, match=r"no such setting: zzz; experiments/puzzles/settings\.py"):
        read_settings({}, ["zzz=1"])
    with pytest.raises(ValueError, match="no such setting: member"):
        read_entries({"member": {}, "members": {"one": {}}, "seeds": [0]}, SYSTEM)
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
