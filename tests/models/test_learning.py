"""Core, supervision, optimizers, identity table and average together learn a toy task."""

from dataclasses import replace

import pytest
import torch

from models.ema import follow, start_average
from models.identity import IdentityTable, sign_sgd_
from models.losses import LossConfig
from models.optimizers import Muon, make_optimizers, schedule, set_lr
from models.recurrent import CoreConfig, RecurrentCore
from models.supervision import (
    Halting,
    Rows,
    Supervision,
    answer,
    draw_minimum,
    empty_carry,
    refill,
    supervise,
)
from models.trm import trm_plan
from models.urm import original as urm

RATES = {"adam_atan2": 3e-3, "adamw": 3e-3, "muon": 1e-2, "muon_urm": 1e-2}
BATCH, SIDE, VOCABULARY, STEPS = 16, 2, 4, 60
RULES = Supervision(halting=Halting(segments=3), loss=LossConfig(), rows_total=BATCH)


@pytest.fixture(autouse=True)
def _one_thread():
    """Threads cost more than they give in matrices of 32 columns, most of all on busy cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tiny_core():
    torch.manual_seed(0)
    return RecurrentCore(
        CoreConfig(
            vocabulary=VOCABULARY,
            side=SIDE,
            layers={"net": 1},
            plan=trm_plan(1, 1),
            width=32,
            heads=2,
            inner_multiple=32,
        )
    )


def draw(step):
    """Puzzle 1 wants its cells back, puzzle 2 wants 1 for 2, 2 for 3 and 3 for 1."""
    generator = torch.Generator().manual_seed(step)
    cells = torch.randint(1, VOCABULARY, (BATCH, SIDE**2), generator=generator)
    identifiers = torch.randint(1, 3, (BATCH, 1), generator=generator)
    return Rows(
        cells_BS=cells,
        labels_BS=torch.where(identifiers == 1, cells, (cells + 1) % 3 + 1),
        identifiers_BI=identifiers,
    )


def train(kind, identity_lr=0.02):
    """Losses of the grids by step, the core, its table and its averaged weights."""
    core, table = tiny_core(), IdentityTable(3, 32)
    optimizers = make_optimizers(core.parameters(), kind, lr=RATES[kind], weight_decay=0.1)
    average, carry = start_average(core), empty_carry(core, BATCH, 1)
    losses = []
    for step in range(1, STEPS + 1):
        minimum = torch.from_numpy(draw_minimum(RULES.halting, 0, step, BATCH))
        carry = refill(core, carry, draw(step), minimum, RULES.halting)
        ids = carry.rows.identifiers_BI
        identity = table.lookup(ids)
        carry, loss = supervise(core, None, carry, identity, RULES)
        core.zero_grad()
        loss.total.backward()
        factor = schedule(step, 10, STEPS, 0.1)
        set_lr(optimizers, RATES[kind] * factor)
        for optimizer in optimizers:
            optimizer.step()
        sign_sgd_(table, ids, identity.grad, identity_lr * factor, 0.1)
        follow(average, core, 0.9, step)
        losses.append(float(loss.grid))
    return losses, core, table, average


def share_right(core, weights, table):
    """Share of cells that are right in rows never trained on."""
    rows = draw(10**6)
    (got,) = answer(core, weights, rows.cells_BS, table.lookup(rows.identifiers_BI), [3])
    return float((got.tokens_BS == rows.labels_BS).float().mean())


@pytest.mark.parametrize("kind", ["adam_atan2", "adamw", "muon", "muon_urm"])
def test_the_loss_falls(kind):
    """Every optimizer brings the loss far below that of guessing, in 60 steps."""
    losses, core, table, average = train(kind)
    assert sum(losses[-5:]) / 5 < 0.3 * losses[0]
    assert share_right(core, None, table) > 0.9
    assert share_right(core, average, table) > 0.9


def test_the_identity_tells_the_puzzles_apart():
    """With a table that stays zero the two puzzles look alike, and half of what is asked fails."""
    losses, core, table, _ = train("adam_atan2", identity_lr=0.0)
    assert not table.weight.any()
    assert sum(losses[-5:]) / 5 > 0.3 * losses[0]
    assert share_right(core, None, table) < 0.8


def test_muon_leaves_what_is_no_matrix():
    """Of URM's weights the taps of its convolution and all biases go to AdamW."""
    core = RecurrentCore(replace(urm(vocabulary=4, side=2), width=32, heads=2))
    muon, adamw = make_optimizers(core.parameters(), "muon_urm", lr=1e-4, weight_decay=0.1)
    names = {id(p): name for name, p in core.named_parameters()}
    left = {names[id(p)].rsplit(".", 1)[-1] for p in adamw.param_groups[0]["params"]}
    assert left == {"taps", "bias"}
    assert isinstance(muon, Muon)
