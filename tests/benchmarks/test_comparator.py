"""The comparator computes what our models compute; else its speed would mean nothing."""

from dataclasses import replace
from statistics import fmean

import pytest
import torch

from benchmarks.cases import Case, OurTraining, batches, shape_of, twin
from benchmarks.comparator_step import ComparatorTraining
from models import hrm, trm, urm
from models.recurrent import RecurrentCore

CPU = torch.device("cpu")
STEPS = 20
CHANNELS = replace(trm.mlp(), mixer_norm="channels")


def case_of(kind, config, plan):
    case = Case(name=kind, config=config, rows=3, kind=kind, identifiers=2).tiny()
    return replace(case, config=replace(case.config, plan=plan))


# Fewer calls than the originals': rounding grows from call to call and from step to step.
CASES = [
    pytest.param(case_of("trm_mlp", trm.mlp(), trm.trm_plan(2, 2)), id="trm, norm as in the code"),
    pytest.param(case_of("trm_mlp", CHANNELS, trm.trm_plan(2, 2)), id="trm, norm over channels"),
    pytest.param(case_of("trm_attention", trm.attention(), trm.trm_plan(2, 2)), id="trm attention"),
    pytest.param(case_of("hrm", hrm.original(), hrm.hrm_plan(2, 2)), id="hrm"),
    pytest.param(case_of("urm", urm.original(), urm.urm_plan(4, 2)), id="urm"),
]


def both_losses(case, dtype):
    """Losses of ours and of the comparator over the same steps."""
    torch.manual_seed(0)
    core = RecurrentCore(case.config)
    fed = batches(case, STEPS, CPU)
    theirs = ComparatorTraining(twin(case, core, dtype), fed[0])
    ours = OurTraining(case, core, None if dtype == torch.float32 else dtype)
    pairs = [(float(ours.step(batch)), theirs.step(batch)) for batch in fed]
    return ours, theirs, pairs


@pytest.mark.parametrize("case", CASES)
def test_losses_are_equal_in_float32(case):
    """Twenty steps of forward, backward, both optimizers and refilled slots: equal losses."""
    ours, theirs, pairs = both_losses(case, torch.float32)
    assert max(abs(a - b) for a, b in pairs) < 1e-5
    assert len({a for a, _ in pairs}) == STEPS
    assert torch.allclose(ours.core.tokens, theirs.model.tokens, atol=1e-4)
    assert torch.equal(ours.table.weight, theirs.model.table.all)
    assert theirs.model.table.all.abs().max() > 0


@pytest.mark.parametrize("case", CASES)
def test_losses_agree_in_bfloat16(case):
    """Weights cast once a step train like weights cast in every call, within its rounding."""
    _, _, pairs = both_losses(case, torch.bfloat16)
    assert fmean(abs(a - b) / b for a, b in pairs) < 0.02
    assert abs(pairs[0][0] - pairs[0][1]) / pairs[0][1] < 5e-3


@pytest.mark.parametrize(("network", "outer", "inner"), [("trm", 3, 6), ("hrm", 2, 2)])
def test_cycles_are_read_off_the_plan(network, outer, inner):
    """H_cycles and L_cycles of the originals come from the calls of our loop plan."""
    config = trm.mlp() if network == "trm" else hrm.original()
    kind = "trm_mlp" if network == "trm" else "hrm"
    shape = shape_of(Case(name=network, config=config, rows=1, kind=kind))
    assert (shape.outer, shape.inner_calls) == (outer, inner)


def test_urm_runs_half_of_its_loops_forward_only():
    """URM's twelve loops are two cycles of six, the first of them without a graph."""
    shape = shape_of(Case(name="urm", config=urm.original(), rows=1, kind="urm"))
    assert (shape.outer, shape.inner_calls) == (2, 6)


def test_what_no_original_is_like_has_no_twin():
    """A case without an original says so."""
    with pytest.raises(ValueError, match="none of the originals"):
        shape_of(Case(name="ours alone", config=trm.mlp(), rows=1, kind=None))
