"""Deep supervision: who stays in a slot, who leaves, and what is handed on."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.recurrent import LoopPlan, RecurrentConfig, RecurrentCore
from models.supervision import Halting, Rows, answer, empty_carry, refill, supervise

ALWAYS_STAY = Halting(segments=3, exploration=0.0)


def core():
    torch.manual_seed(0)
    return RecurrentCore(
        RecurrentConfig(
            vocabulary=5, side=2, identifiers=9, width=8, heads=2, plan=LoopPlan(inner=1)
        )
    )


def rows(first, count):
    """Rows that can be told apart by their identifier."""
    names = torch.arange(first, first + count)
    return Rows(
        cells_BS=names[:, None].expand(count, 4) % 5,
        labels_BS=names[:, None].expand(count, 4) % 5,
        identifiers_BI=names[:, None],
    )


def test_an_empty_carry_is_filled_by_the_first_rows():
    """Every slot of a fresh carry is free and takes one row."""
    model = core()
    carry = refill(model, empty_carry(model, 3), rows(1, 3), ALWAYS_STAY)
    assert carry.rows.identifiers_BI[:, 0].tolist() == [1, 2, 3]
    assert not carry.halted_B.any()


def test_rows_stay_until_their_last_segment():
    """A row that never says "right" leaves after exactly `segments` segments."""
    model = core()
    carry = refill(model, empty_carry(model, 2), rows(1, 2), ALWAYS_STAY)
    left = []
    for _ in range(3):
        carry, _ = supervise(model, carry, ALWAYS_STAY, "softmax")
        left.append(carry.halted_B.tolist())
    assert left == [[False, False], [False, False], [True, True]]


def test_a_confident_row_leaves_early_unless_it_must_stay():
    """A positive halting logit frees the slot at once, but not before the row's minimum age."""
    model = core()
    with torch.no_grad():
        model.halt.bias.fill_(5.0)
    free = refill(model, empty_carry(model, 4), rows(1, 4), ALWAYS_STAY)
    held = refill(model, empty_carry(model, 4), rows(1, 4), Halting(segments=3, exploration=1.0))
    assert supervise(model, free, ALWAYS_STAY, "softmax")[0].halted_B.all()
    assert not supervise(model, held, ALWAYS_STAY, "softmax")[0].halted_B.any()
    assert bool((held.minimum_B >= 2).all())
    assert bool((held.minimum_B <= 3).all())


def test_only_free_slots_are_refilled():
    """A slot that is not free keeps its row, its latents and its age."""
    model = core()
    carry = refill(model, empty_carry(model, 3), rows(1, 3), ALWAYS_STAY)
    carry, _ = supervise(model, carry, ALWAYS_STAY, "softmax")
    carry.halted_B[1] = True
    after = refill(model, carry, rows(7, 1), ALWAYS_STAY)
    assert after.rows.identifiers_BI[:, 0].tolist() == [1, 7, 3]
    assert after.age_B.tolist() == [1, 0, 1]
    torch.testing.assert_close(after.latents.y_BLD[0], carry.latents.y_BLD[0])
    torch.testing.assert_close(after.latents.y_BLD[1], model.start(1).y_BLD[0])


def test_latents_are_handed_on_without_their_graph():
    """The loss of a segment has a graph, the carry behind it has none."""
    model = core()
    carry = refill(model, empty_carry(model, 2), rows(1, 2), ALWAYS_STAY)
    carry, loss = supervise(model, carry, ALWAYS_STAY, "softmax")
    assert loss.total.requires_grad
    assert not carry.latents.y_BLD.requires_grad
    assert not carry.latents.z_BLD.requires_grad


def test_the_total_is_grid_plus_half_halting():
    """The loss is the grid's cross-entropy plus half of the halting head's."""
    model = core()
    carry = refill(model, empty_carry(model, 2), rows(1, 2), ALWAYS_STAY)
    _, loss = supervise(model, carry, ALWAYS_STAY, "stablemax")
    torch.testing.assert_close(loss.total.detach(), loss.grid + 0.5 * loss.halt)


@settings(max_examples=10)
@given(st.integers(1, 4))
def test_evaluation_is_training_segments_without_halting(segments):
    """`answer` equals that many supervised segments of the same row from the start."""
    model = core()
    row = rows(3, 1)
    latents = model.start(1)
    for _ in range(segments):
        x = model.embed(row.cells_BS, row.identifiers_BI)
        latents, expected = model.segment(x, latents)
    said = answer(model, row.cells_BS, row.identifiers_BI, segments)
    torch.testing.assert_close(said.logits_BSV, expected.logits_BSV)
    assert not said.logits_BSV.requires_grad
