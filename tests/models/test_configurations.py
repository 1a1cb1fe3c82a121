"""The named configurations: their published sizes, and what a configuration refuses."""

import json
from dataclasses import asdict, replace

import pytest
import torch
from small_cores import config

from models import direct, hrm, trm, urm
from models.recurrent import (
    Convolution,
    RecurrentCore,
    check_config,
    count_parameters,
)

BLOCK = 3_407_872  # attention 4 * 512 * 512, gated layer 3 * 512 * 1536


def heads(vocabulary, width=512):
    """Embedding, answer head and q-head with its bias."""
    return 2 * vocabulary * width + 2 * width + 2


def count(chosen):
    with torch.device("meta"):
        return count_parameters(RecurrentCore(chosen))


def test_heads_are_as_published():
    """12,290 with the tokens of Sudoku, 13,314 with those of ARC."""
    assert (heads(11), heads(12)) == (12_290, 13_314)


def test_named_configurations_run_the_published_loops():
    """HRM 2 x 2 cycles, TRM T = 3 with n = 6 on Sudoku and 4 on ARC, URM 12 loops, 6 graded."""
    assert hrm.original().plan == hrm.small().plan == hrm.hrm_plan(2, 2)
    assert trm.mlp().plan == trm.trm_plan(3, 6)
    assert trm.attention().plan == trm.trm_plan(3, 4)
    assert urm.original().plan == urm.urm_plan(12, 6)


@pytest.mark.parametrize(
    ("chosen", "blocks", "vocabulary"),
    [
        (hrm.original(), 8 * BLOCK, 11),
        (hrm.original(12, 30), 8 * BLOCK, 12),
        (trm.attention(), 6_815_744, 12),
        (trm.mlp(), 5_016_576, 11),
        (urm.original(), 13_649_920, 12),
        (direct.original(), 8 * BLOCK, 11),
    ],
    ids=["hrm", "hrm-arc", "trm-attention", "trm-mlp", "urm", "direct"],
)
def test_named_configurations_have_their_published_size(chosen, blocks, vocabulary):
    """Blocks of the published size, and heads of the vocabulary."""
    assert chosen.vocabulary == vocabulary
    assert count(chosen) == blocks + heads(vocabulary)


def test_the_sizes_of_the_published_models():
    """HRM's 27,275,266, and URM's 13,649,920 + 13,314, as one number each."""
    assert count(hrm.original()) == 27_275_266
    assert count(urm.original()) == 13_663_234
    assert count(trm.mlp()) == 5_028_866
    assert count(trm.attention()) == 6_829_058


def test_the_small_hrm_has_seven_blocks_of_width_256():
    """4 H and 3 L blocks of 851,968 parameters."""
    assert count(hrm.small()) == 7 * 851_968 + heads(12, 256)


def test_positions_of_the_published_models():
    """HRM and URM have 901 positions on ARC, TRM 916, and 97 on Sudoku."""
    assert [hrm.original(12, 30).length, urm.original().length] == [901, 901]
    assert [trm.attention().length, trm.mlp().length] == [916, 97]


def test_a_convolution_costs_three_numbers_a_channel():
    """URM's block is that of HRM and two taps and a bias for each of 1,536 channels."""
    plain = replace(urm.original(), convolution=None)
    assert count(urm.original()) - count(plain) == 4 * 3 * 1536


@pytest.mark.parametrize("chosen", [hrm.original(), hrm.small(), trm.attention(), urm.original()])
def test_the_direct_transformer_has_the_same_size(chosen):
    """`equal_to` has the same parameters to the last one, and one call."""
    equal = direct.equal_to(chosen)
    assert count(equal) == count(chosen)
    assert len(equal.plan.calls) == 1


def test_the_paper_of_urm_is_a_plan_of_its_own():
    """8 loops of which 2 run forward only, read after each of the 6 graded ones."""
    plan = urm.urm_plan(8, 2, read_each=True)
    assert [call.read for call in plan.calls] == [False] * 2 + [True] * 6
    assert not any(call.read for call in urm.original().plan.calls)


def test_a_saved_configuration_equals_itself():
    """Through JSON and back, a configuration is still the same."""
    for chosen in (hrm.original(), trm.mlp(), urm.original()):
        check_config(asdict(chosen), chosen)
        check_config(json.loads(json.dumps(asdict(chosen))), chosen)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"width": 16}, "width is 8 there and 16 here"),
        ({"mixer": "mlp", "positions": "none"}, "mixer is 'attention' there and 'mlp' here; pos"),
        ({"layers": {"net": 3}}, "layers.net is 2 there and 3 here"),
        ({"plan": trm.trm_plan(1, 4)}, r"plan.calls\[0\].graded is False there and True here"),
        (
            {"plan": trm.trm_plan(2, 3)},
            r"plan.calls\[3\].graded is True there and False here; .* and \d+ more",
        ),
        ({"convolution": Convolution()}, "convolution.kernel is 'missing' there and 2 here"),
    ],
)
def test_another_configuration_is_named_field_by_field(changed, says):
    """The error names what differs, with both values, and nothing else."""
    with pytest.raises(ValueError, match=says) as error:
        check_config(json.loads(json.dumps(asdict(config()))), config(**changed))
    assert "vocabulary" not in str(error.value)


def test_a_saved_configuration_without_a_field_differs():
    """A field that the other side does not know is named as missing."""
    saved = asdict(config())
    del saved["positions"]
    with pytest.raises(ValueError, match="positions is 'missing' there and 'rotary_flat' here"):
        check_config(saved, config())


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"mixer": "atention"}, "mixer is 'atention': write one of attention, mlp"),
        ({"positions": "rotary"}, "positions is 'rotary': write one of rotary_flat"),
        ({"mixer_norm": "rows"}, "mixer_norm is 'rows': write one of channels, positions"),
        ({"side": 0}, "side is 0: it must be at least 1"),
        ({"identity_tokens": -1}, "identity_tokens is -1: it must be at least 0"),
        ({"layers": {"net": 0}}, "layers of net is 0"),
        ({"layers": {"H": 1}}, "no call of the modules"),
        ({"mixer": "mlp"}, "the mixer 'mlp' has none"),
    ],
)
def test_a_configuration_that_cannot_be_built_is_refused(wrong, says):
    """The message names the field, its value and what it may be."""
    with pytest.raises(ValueError, match=says):
        config(**wrong)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"kind": "line"}, "convolution.kind is 'line': write one of row, plane"),
        ({"place": "mlp"}, "convolution.place is 'mlp': write one of attention_input"),
        ({"kernel": 0}, "convolution.kernel is 0"),
    ],
)
def test_a_convolution_that_cannot_be_built_is_refused(wrong, says):
    """The message names the field, its value and what it may be."""
    with pytest.raises(ValueError, match=says):
        Convolution(**wrong)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"heads": 3}, "width 8 is no multiple of 3 heads"),
        ({"positions": "rotary_grid", "heads": 4}, "head of 2 channels cannot be shared by 2"),
        ({"convolution": Convolution(kind="plane")}, "kernel 2 is even"),
    ],
)
def test_sizes_that_do_not_fit_are_refused_as_the_core_is_built(wrong, says):
    """Widths, heads and kernels that do not fit together are named by the layer they do not fit."""
    with pytest.raises(ValueError, match=says):
        RecurrentCore(config(**wrong))
