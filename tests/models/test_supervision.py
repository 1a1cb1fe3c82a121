"""Deep supervision: slots, slices of a batch, padding rows, compiling, and evaluation."""

from dataclasses import fields, replace

import pytest
import torch

from models.losses import IGNORE, LossConfig
from models.recurrent import Call, CoreConfig, LoopPlan, RecurrentCore, cast_weights, run
from models.supervision import (
    Halting,
    Rows,
    Supervision,
    add_losses,
    answer,
    empty_carry,
    free_slots,
    map_carry,
    refill,
    supervise,
)

PLAN = LoopPlan(
    states=("y", "z"),
    answer="y",
    calls=(
        Call(module="f", target="z", sources=("z", "y", "x"), graded=True),
        Call(module="f", target="y", sources=("y", "z"), graded=True),
    ),
)
HRM = Halting(segments=3, exploration=0.0, rule="halt_over_continue", continue_target=True)
STAY = Halting(segments=3, exploration=0.0)
LOSS = LossConfig(precision="float64")
SLOTS, WIDTH = 6, 8


def make_core(dtype=torch.float64):
    torch.manual_seed(0)
    config = CoreConfig(
        vocabulary=5, side=2, layers={"f": 1}, plan=PLAN, width=WIDTH, heads=2, inner_multiple=8
    )
    core = RecurrentCore(config).to(dtype)
    torch.nn.init.normal_(core.q_head.weight)
    torch.nn.init.zeros_(core.q_head.bias)
    return core


def make_rows(first, count):
    """Rows that can be told apart by their identifier; the label of the last cell is not scored."""
    names = torch.arange(first, first + count)
    cells = (names[:, None] + torch.arange(4)) % 5
    labels = (names[:, None] * torch.arange(1, 5)) % 5
    labels[:, 3] = IGNORE
    return Rows(cells_BS=cells, labels_BS=labels, identifiers_BI=names[:, None])


def make_carry(core, rows, halting=STAY, dtype=torch.float64):
    """A carry of these rows behind one segment, so that latents and ages are not the first."""
    count = len(rows.cells_BS)
    empty = empty_carry(core, count, 1, dtype=dtype)
    carry = refill(core, empty, rows, torch.zeros(count, dtype=torch.long), halting)
    latents, _ = run(core, None, rows.cells_BS, make_identity(rows), carry.latents)
    latents = {name: latent.detach() for name, latent in latents.items()}
    return replace(carry, latents=latents, age_B=carry.age_B + 1)


def make_identity(rows):
    """An identity vector for each row, by its identifier."""
    return torch.sin(rows.identifiers_BI[..., None] * torch.arange(1.0, WIDTH + 1).double())


def rules(halting=STAY, rows_total=SLOTS, loss=LOSS):
    return Supervision(halting=halting, loss=loss, rows_total=rows_total)


def between(carry, first, last):
    return map_carry(lambda x: x[first:last], carry)


def assert_same_carry(got, wanted):
    map_carry(lambda a, b: torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12), got, wanted)


def assert_same_loss(got, wanted):
    for field in fields(wanted):
        a, b = getattr(got, field.name), getattr(wanted, field.name)
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-9)


def gradients_of(core):
    found = [p.grad.clone() for p in core.parameters()]
    core.zero_grad()
    return found


def test_an_empty_carry_is_filled_by_the_first_rows():
    """Every slot of a fresh carry is free, costs nothing, and takes one row."""
    core = make_core()
    empty = empty_carry(core, 3, 2, dtype=torch.float64)
    _, loss = supervise(core, None, empty, torch.zeros(3, 2, WIDTH).double(), rules(HRM))
    assert loss.total.item() == loss.scored.item() == loss.left.item() == 0
    assert empty.rows.identifiers_BI.shape == (3, 2)
    free, rank = free_slots(empty)
    assert free.all()
    assert rank.tolist() == [0, 1, 2]
    carry = refill(core, empty_carry(core, 3, 1), make_rows(1, 3), torch.zeros(3).long(), STAY)
    assert carry.rows.identifiers_BI[:, 0].tolist() == [1, 2, 3]
    assert not carry.halted_B.any()


def test_only_free_slots_are_refilled():
    """A slot that is not free keeps its row, its latents and its age; free ones take turns."""
    core = make_core()
    carry = make_carry(core, make_rows(1, 4))
    carry = replace(carry, halted_B=torch.tensor([False, True, False, True]))
    free, rank = free_slots(carry)
    assert rank[free].tolist() == [0, 1]
    drawn = make_rows(7, 2)
    fresh = Rows(**{f.name: getattr(drawn, f.name)[rank] for f in fields(Rows)})
    after = refill(core, carry, fresh, torch.full((4,), 2), replace(STAY, drawn="row"))
    assert after.rows.identifiers_BI[:, 0].tolist() == [1, 7, 3, 8]
    assert after.rows.cells_BS[3].tolist() == drawn.cells_BS[1].tolist()
    assert after.age_B.tolist() == [1, 0, 1, 0]
    assert after.minimum_B.tolist() == [0, 2, 0, 2]
    start = core.start(1, torch.device("cpu"), torch.float64)
    for name, latent in after.latents.items():
        assert torch.equal(latent[::2], carry.latents[name][::2])
        assert torch.equal(latent[1], start[name][0])
        assert torch.equal(latent[3], start[name][0])


def test_a_minimum_is_drawn_for_a_row_or_for_a_segment():
    """Under "row" a row keeps the age it has to reach, under "segment" it is drawn anew."""
    core = make_core()
    carry = make_carry(core, make_rows(1, 2))
    carry = replace(carry, minimum_B=torch.tensor([3, 3]), halted_B=torch.tensor([True, False]))
    drawn = torch.tensor([2, 2])
    row = refill(core, carry, carry.rows, drawn, replace(STAY, drawn="row"))
    segment = refill(core, carry, carry.rows, drawn, STAY)
    assert row.minimum_B.tolist() == [2, 3]
    assert segment.minimum_B.tolist() == [2, 2]


def test_rows_leave_by_rule_by_age_and_not_before_their_minimum():
    """A head that says so frees the slot at once, but not before the minimum; age always does."""
    core = make_core()
    torch.nn.init.zeros_(core.q_head.weight)
    carry = make_carry(core, make_rows(1, 3))
    carry = replace(carry, age_B=torch.tensor([0, 1, 2]), minimum_B=torch.tensor([0, 3, 3]))

    def who_leaves(halting, halt, going_on):
        with torch.no_grad():
            core.q_head.bias.copy_(torch.tensor([halt, going_on]))
        after, _ = supervise(core, None, carry, make_identity(carry.rows), rules(halting))
        assert after.age_B.tolist() == [1, 2, 3]
        return after.halted_B.tolist()

    assert who_leaves(STAY, 1.0, 2.0) == [True, False, True]
    assert who_leaves(STAY, -1.0, -2.0) == [False, False, True]
    assert who_leaves(HRM, 1.0, 2.0) == [False, False, True]
    assert who_leaves(HRM, -1.0, -2.0) == [True, False, True]


def test_latents_are_handed_on_without_their_graph():
    """The loss of a segment has a graph, the carry behind it and the figures to log have none."""
    core = make_core()
    carry = make_carry(core, make_rows(1, SLOTS))
    after, loss = supervise(core, None, carry, make_identity(carry.rows), rules(HRM))
    assert loss.total.requires_grad
    assert not any(latent.requires_grad for latent in after.latents.values())
    others = [getattr(loss, f.name) for f in fields(loss) if f.name != "total"]
    assert not any(value.requires_grad for value in others)


def test_the_total_is_grid_plus_half_the_heads():
    """The loss is the grid's cross-entropy plus half of the halting heads'."""
    core = make_core()
    carry = make_carry(core, make_rows(1, SLOTS))
    identity = make_identity(carry.rows)
    _, trm = supervise(core, None, carry, identity, rules())
    _, hrm = supervise(core, None, carry, identity, rules(HRM))
    assert trm.q_continue is None
    torch.testing.assert_close(trm.total.detach(), trm.grid + 0.5 * trm.halt)
    torch.testing.assert_close(hrm.total.detach(), hrm.grid + 0.5 * (hrm.halt + hrm.q_continue))
    assert hrm.q_continue.item() > 0


@pytest.mark.parametrize("parts", [2, 3, 6])
@pytest.mark.parametrize("halting", [STAY, HRM], ids=["halt", "continue"])
def test_slices_add_up_to_the_batch(halting, parts):
    """Losses, gradients and carries of k slices are together those of the whole batch."""
    core = make_core()
    carry = make_carry(core, make_rows(1, SLOTS), halting)
    identity = make_identity(carry.rows).requires_grad_()
    after, whole = supervise(core, None, carry, identity, rules(halting))
    whole.total.backward()
    wanted, wanted_identity = gradients_of(core), identity.grad.clone()
    identity.grad = None
    carries, losses = [], []
    for first in range(0, SLOTS, SLOTS // parts):
        last = first + SLOTS // parts
        piece = between(carry, first, last)
        piece, loss = supervise(core, None, piece, identity[first:last], rules(halting))
        loss.total.backward()
        carries.append(piece)
        losses.append(loss)
    assert_same_carry(map_carry(lambda *x: torch.cat(x), *carries), after)
    assert_same_loss(add_losses(losses), replace(whole, total=whole.total.detach()))
    torch.testing.assert_close(gradients_of(core), wanted)
    torch.testing.assert_close(identity.grad, wanted_identity)


def test_slices_share_weights_that_were_cast_once():
    """The backward passes of several slices go through one cast of the weights."""
    core = make_core(torch.float32)
    carry = make_carry(core, make_rows(1, SLOTS), dtype=torch.float32)
    carry = replace(carry, latents={n: x.bfloat16() for n, x in carry.latents.items()})
    identity = make_identity(carry.rows).float()
    outcomes = []
    for parts in (1, 2):
        weights = cast_weights(core, torch.bfloat16)
        for first in range(0, SLOTS, SLOTS // parts):
            last = first + SLOTS // parts
            piece, own = between(carry, first, last), identity[first:last]
            piece, loss = supervise(core, weights, piece, own, rules(HRM))
            loss.total.backward()
            assert {latent.dtype for latent in piece.latents.values()} == {torch.bfloat16}
        outcomes.append(gradients_of(core))
    for whole, sliced in zip(*outcomes, strict=True):
        assert whole.dtype == torch.float32
        torch.testing.assert_close(sliced, whole, rtol=0.05, atol=0.01)


def test_rows_do_not_hear_of_each_other():
    """In another order, and alone, each row has the same carry, and the sums are the same."""
    core = make_core()
    carry = make_carry(core, make_rows(1, SLOTS))
    after, loss = supervise(core, None, carry, make_identity(carry.rows), rules(HRM))
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    shuffled = map_carry(lambda x: x[order], carry)
    moved, same = supervise(core, None, shuffled, make_identity(shuffled.rows), rules(HRM))
    assert_same_carry(moved, map_carry(lambda x: x[order], after))
    assert_same_loss(same, loss)
    for row in range(SLOTS):
        own = between(carry, row, row + 1)
        alone, _ = supervise(core, None, own, make_identity(own.rows), rules(HRM))
        assert_same_carry(alone, between(after, row, row + 1))


def test_padding_rows_change_nothing():
    """Rows without a scored cell add nothing to losses, figures or gradients."""
    core = make_core()
    rows = make_rows(1, SLOTS)
    carry = make_carry(core, rows)
    _, loss = supervise(core, None, carry, make_identity(rows), rules(HRM))
    loss.total.backward()
    wanted = gradients_of(core)
    padding = make_carry(core, replace(make_rows(9, 3), labels_BS=torch.full((3, 4), IGNORE)))
    padded = map_carry(lambda a, b: torch.cat((a, b)), carry, padding)
    _, same = supervise(core, None, padded, make_identity(padded.rows), rules(HRM))
    same.total.backward()
    assert_same_loss(same, loss)
    torch.testing.assert_close(gradients_of(core), wanted)


def test_a_batch_without_a_valid_label_is_seen():
    """Its loss and gradients are 0 and finite, and `scored` says that there was nothing."""
    core = make_core()
    carry = make_carry(core, replace(make_rows(9, 3), labels_BS=torch.full((3, 4), IGNORE)))
    _, loss = supervise(core, None, carry, make_identity(carry.rows), rules(HRM))
    loss.total.backward()
    assert loss.total.item() == loss.scored.item() == loss.exact.item() == 0
    assert not any(gradient.any() for gradient in gradients_of(core))


@pytest.mark.parametrize("halting", [STAY, HRM], ids=["halt", "continue"])
def test_a_step_is_one_graph_of_fixed_shapes(halting):
    """Refill and segment compile whole, so they ask the device for nothing and choose by no mask.

    The compiled step is the plain one at every step, whoever leaves, and is compiled only once.
    """
    core = make_core(torch.float32)
    rule = rules(halting, loss=LossConfig())

    def step(carry, stream, place, minimum):
        free, rank = free_slots(carry)
        taken = place + rank
        fresh = Rows(
            cells_BS=stream.cells_BS[taken],
            labels_BS=stream.labels_BS[taken],
            identifiers_BI=stream.identifiers_BI[taken],
        )
        carry = refill(core, carry, fresh, minimum, halting)
        identity = make_identity(carry.rows).float()
        carry, loss = supervise(core, None, carry, identity, rule)
        return carry, loss, place + free.sum()

    torch._dynamo.reset()
    compiled = torch.compile(step, fullgraph=True, backend="eager", dynamic=False)
    carry, place = empty_carry(core, SLOTS, 1), torch.zeros((), dtype=torch.long)
    stream, minimum = make_rows(0, 60), torch.zeros(SLOTS, dtype=torch.long)
    left = []
    with torch._dynamo.config.patch(error_on_recompile=True):
        for _ in range(6):
            wanted, loss, after = step(carry, stream, place, minimum)
            carry, same, place = compiled(carry, stream, place, minimum)
            assert_same_loss(same, loss)
            map_carry(torch.testing.assert_close, carry, wanted)
            assert int(place) == int(after)
            left.append(int(carry.halted_B.sum()))
    assert len(set(left)) > 1


def test_evaluation_is_training_segments_without_halting():
    """`answer` at several numbers of segments equals that many segments from the start."""
    core = make_core()
    rows = make_rows(3, 4)
    identity = make_identity(rows)
    answers = answer(core, None, rows.cells_BS, identity, (1, 2, 4))
    latents = core.start(4, torch.device("cpu"), torch.float64)
    expected = {}
    for segment in range(1, 5):
        latents, readings = run(core, None, rows.cells_BS, identity, latents)
        latents = {name: latent.detach() for name, latent in latents.items()}
        expected[segment] = readings[-1]
    for segment, (tokens, confidence) in zip((1, 2, 4), answers, strict=True):
        assert torch.equal(tokens, expected[segment].logits_BSV.argmax(-1))
        torch.testing.assert_close(confidence, expected[segment].halt_B.sigmoid())
        assert not confidence.requires_grad
        assert not confidence.is_inference()
    assert len(answers) == 3


def test_evaluation_in_low_precision_uses_the_cast_weights():
    """With weights cast to bfloat16 the states of `answer` are bfloat16 too."""
    core = make_core(torch.float32)
    rows = make_rows(3, 4)
    weights = cast_weights(core, torch.bfloat16)
    identity = make_identity(rows).float()
    ((tokens, confidence),) = answer(core, weights, rows.cells_BS, identity, (2,))
    latents = core.start(4, torch.device("cpu"), torch.bfloat16)
    for _ in range(2):
        latents, readings = run(core, weights, rows.cells_BS, identity, latents)
    assert torch.equal(tokens, readings[-1].logits_BSV.argmax(-1))
    assert torch.equal(confidence, readings[-1].halt_B.float().sigmoid().detach())


@pytest.mark.parametrize("segments", [(), (0, 2), (4, 2), (2, 2)])
def test_segments_to_answer_at_must_rise(segments):
    """A wrong list of segment counts is refused before anything is computed."""
    core = make_core()
    rows = make_rows(1, 2)
    with pytest.raises(ValueError, match="rising numbers from 1"):
        answer(core, None, rows.cells_BS, make_identity(rows), segments)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"segments": 0}, "segments=0"),
        ({"exploration": 1.5}, "exploration=1.5"),
        ({"exploration": -0.1}, "exploration=-0.1"),
        ({"rule": "halt_over_continue"}, "continue_target=True"),
    ],
)
def test_halting_that_cannot_work_is_refused(wrong, message):
    """Numbers out of range, and a rule that reads an untrained head, say what to set."""
    with pytest.raises(ValueError, match=message):
        Halting(**wrong)
