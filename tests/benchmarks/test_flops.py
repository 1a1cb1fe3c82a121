"""Operations counted by hand are those that PyTorch counts."""

from dataclasses import replace

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.cases import Case, OurTraining, batches
from models import hrm, trm, urm
from models.recurrent import RecurrentCore

CPU = torch.device("cpu")
CASES = [
    Case(name="TRM, positions mixed", config=trm.mlp(), rows=3, kind="trm_mlp").tiny(),
    Case(name="TRM, attention", config=trm.attention(), rows=3, kind="trm_attention").tiny(),
    Case(name="HRM", config=hrm.original(), rows=3, kind="hrm").tiny(),
    Case(name="URM", config=urm.original(), rows=3, kind="urm").tiny(),
]


def counted_by_torch(case):
    """Matrix products of the forward and backward passes of one step."""
    step = OurTraining(case, RecurrentCore(case.config), None).step
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        step(batches(case, 1, CPU)[0])
    products = {"aten.mm", "aten.bmm", "aten.addmm", "aten.baddbmm"}
    counts = counter.get_flop_counts()["Global"]
    return sum(flops for name, flops in counts.items() if str(name) in products)


def not_counted(case):
    """Products that are no work of the model: tokens are looked up by one, signs are summed by one.

    The look-up has a forward, a gradient of its weights, and in HRM one more forward.
    """
    config = case.config
    look_ups = 3 if case.kind == "hrm" else 2
    cells = case.rows * config.side**2
    return 2 * config.width * (look_ups * cells * config.vocabulary + case.rows**2)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_step_costs_what_torch_counts(case):
    """Forward, backward, attention and heads, to the last operation."""
    assert case.flops.total + not_counted(case) == counted_by_torch(case)


def test_reading_after_each_graded_loop_costs_a_head_more_each():
    """URM as in the paper reads the heads after each graded loop."""
    once = CASES[3]
    plan = urm.urm_plan(8, 2, read_each=True)
    often = replace(once, config=replace(once.config, plan=plan))
    assert often.flops.heads > 5.9 * once.flops.heads
    assert often.flops.total + not_counted(often) == counted_by_torch(often)


def test_full_size_trm_takes_what_its_parameters_say():
    """Two operations a parameter and token forward, three forwards for a graded call."""
    case = Case(name="TRM", config=trm.mlp(), rows=768, kind="trm_mlp")
    channels, positions = 3 * 512 * 1536, 3 * 97 * 512
    forward = 2 * 2 * (channels * 97 + positions * 512)
    assert case.flops.layers == 768 * (14 + 3 * 7) * forward
