"""Deep supervision against a slow literal one: Python loops over rows, each with its own state.

Written from the facts of MODELS.md 1.1 alone. It shares the network with the fast one (one row at a
time) and nothing else; everything is float64.
"""

import math
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from models.losses import IGNORE, LossConfig
from models.recurrent import Call, CoreConfig, LoopPlan, RecurrentCore
from models.supervision import (
    Halting,
    Rows,
    Supervision,
    add_losses,
    draw_minimum,
    empty_carry,
    free_slots,
    map_carry,
    refill,
    supervise,
)

SLOTS, STEPS, EXAMPLES, CELLS, VOCABULARY = 5, 30, 150, 4, 3
ONE_STATE = LoopPlan(
    states=("h",),
    answer="h",
    calls=(
        Call(module="f", target="h", sources=("h", "x"), graded=False),
        Call(module="f", target="h", sources=("h", "x"), graded=True, read=True),
        Call(module="f", target="h", sources=("h", "x"), graded=True),
    ),
)
TWO_STATES = LoopPlan(
    states=("y", "z"),
    answer="y",
    calls=(
        Call(module="f", target="z", sources=("z", "y", "x"), graded=False),
        Call(module="f", target="z", sources=("z", "y", "x"), graded=True),
        Call(module="f", target="y", sources=("y", "z"), graded=True),
    ),
)
CASES = {
    "trm": (TWO_STATES, Halting(segments=5, exploration=0.0), LossConfig(precision="float64")),
    "hrm": (
        TWO_STATES,
        Halting(segments=4, exploration=0.4, rule="halt_over_continue", continue_target=True),
        LossConfig(precision="float64"),
    ),
    "urm paper": (
        ONE_STATE,
        Halting(segments=6, exploration=0.5, drawn="row"),
        LossConfig(precision="float64", kind="softmax"),
    ),
    "readings and continue head": (
        ONE_STATE,
        Halting(segments=3, exploration=0.5, continue_target=True),
        LossConfig(precision="float64"),
    ),
    "one segment": (TWO_STATES, Halting(segments=1, exploration=1.0), LossConfig()),
}


def make_core(plan):
    torch.manual_seed(3)
    config = CoreConfig(
        vocabulary=VOCABULARY,
        side=2,
        layers={"f": 1},
        plan=plan,
        width=8,
        heads=2,
        inner_multiple=8,
    )
    return RecurrentCore(config).double()


def make_examples():
    """Examples of one or two scored cells, so that some are right by chance; one of none."""
    generator = torch.Generator().manual_seed(7)
    cells = torch.randint(0, VOCABULARY, (EXAMPLES, CELLS), generator=generator)
    labels = torch.randint(0, VOCABULARY, (EXAMPLES, CELLS), generator=generator)
    labels[:, 2:] = IGNORE
    labels[::2, 1] = IGNORE
    labels[4] = IGNORE
    numbers = torch.arange(EXAMPLES)
    return Rows(
        cells_BS=cells,
        labels_BS=labels,
        identifiers_BI=torch.stack((numbers, numbers % 7), 1),
    )


@dataclass
class Slot:
    """One place of the batch and all that it knows."""

    number: int = -1
    latents: dict = field(default_factory=dict)
    age: int = 0
    minimum: int = 0
    halted: bool = True


@dataclass
class Step:
    """What the literal step found out: sums over rows, and each row's halting loss."""

    total: torch.Tensor
    grid: float = 0.0
    halt: float = 0.0
    q_continue: float = 0.0
    exact: int = 0
    left: int = 0
    left_exact: int = 0
    left_age: int = 0


class Literal:
    """Deep supervision, one row after the other."""

    def __init__(self, core, halting, loss):
        self.core, self.halting, self.loss = core, halting, loss
        self.slots = [Slot() for _ in range(SLOTS)]
        self.next_example = 0

    def refill(self, minimum):
        for slot, drawn in zip(self.slots, minimum, strict=True):
            if slot.halted:
                start = self.core.start(1, torch.device("cpu"), torch.float64)
                slot.number, slot.latents, slot.age = self.next_example, start, 0
                self.next_example += 1
            if slot.halted or self.halting.drawn == "segment":
                slot.minimum = int(drawn)
            slot.halted = False

    def step(self, examples, table):
        found = Step(total=torch.zeros((), dtype=torch.float64))
        for slot in self.slots:
            self.row(slot, examples, table, found)
        found.total = found.total / SLOTS
        return found

    def row(self, slot, examples, table, found):
        question = examples.cells_BS[slot.number][None]
        labels = examples.labels_BS[slot.number].tolist()
        identity = torch.stack([table[i] for i in examples.identifiers_BI[slot.number]])[None]
        latents, readings = self.core(question, identity, slot.latents)
        slot.latents = {name: latent.detach() for name, latent in latents.items()}
        slot.age += 1
        last = readings[-1]
        halt, going_on = last.halt_B[0], last.continue_B[0]
        scored = [i for i, label in enumerate(labels) if label != IGNORE]
        said = last.logits_BSV[0].argmax(-1).tolist()
        right = bool(scored) and all(said[i] == labels[i] for i in scored)

        is_last = slot.age >= self.halting.segments
        stops = halt > going_on if self.halting.rule == "halt_over_continue" else halt > 0
        slot.halted = bool(is_last or stops) and slot.age >= slot.minimum
        if not scored:
            return

        grid = sum(self.grid(one.logits_BSV[0], labels, scored) for one in readings)
        loss = grid + 0.5 * binary(halt, float(right))
        if self.halting.continue_target:
            target = self.target(slot, question, identity, is_last)
            loss = loss + 0.5 * binary(going_on, target)
            found.q_continue += binary(going_on, target).item()
        found.total = found.total + loss
        found.grid += grid.item()
        found.halt += binary(halt, float(right)).item()
        found.exact += right
        found.left += slot.halted
        found.left_exact += slot.halted and right
        found.left_age += slot.age * slot.halted

    def target(self, slot, question, identity, is_last):
        with torch.no_grad():
            _, readings = self.core(question, identity, slot.latents)
        halt, going_on = readings[-1].halt_B.item(), readings[-1].continue_B.item()
        return 1 / (1 + math.exp(-(halt if is_last else max(halt, going_on))))

    def grid(self, logits, labels, scored):
        """Mean over scored cells of -log(mass of the label / mass of all)."""

        def mass(x):
            if self.loss.kind == "softmax":
                return x.exp()
            return x + 1 if x >= 0 else 1 / (1 - x)

        nll = [-(mass(logits[i][labels[i]]) / sum(map(mass, logits[i]))).log() for i in scored]
        return sum(nll) / len(nll)


def binary(logit, target):
    p = 1 / (1 + (-logit.double()).exp())
    return -target * p.log() - (1 - target) * (1 - p).log()


def randomise_heads(core, step):
    """Halting heads at random, so that rows leave at all ages."""
    generator = torch.Generator().manual_seed(step)
    with torch.no_grad():
        core.q_head.weight.copy_(torch.randn(core.q_head.weight.shape, generator=generator))
        core.q_head.bias.copy_(torch.randn(2, generator=generator) - 0.5)


def gradients(core, table, total):
    """Gradients of `total` by name, and that of the identity table; afterwards there are none."""
    total.backward()
    found = {name: p.grad.clone() for name, p in core.named_parameters() if p.grad is not None}
    found["table"] = table.grad.clone()
    core.zero_grad()
    table.grad = None
    return found


def fast_step(core, carry, table, examples, place, minimum, rules):
    """One step of the product: the stream's next examples into the free slots, then a segment."""
    free, rank = free_slots(carry)
    after = one_process(core, carry, table, examples, place + rank, minimum, rules)
    return place + free.sum(), *after


def one_process(core, carry, table, examples, taken, minimum, rules):
    """The part of a step in which each slot knows the example that it would take."""
    fresh = Rows(
        cells_BS=examples.cells_BS[taken],
        labels_BS=examples.labels_BS[taken],
        identifiers_BI=examples.identifiers_BI[taken],
    )
    carry = refill(core, carry, fresh, torch.from_numpy(minimum), rules.halting)
    identity = table[carry.rows.identifiers_BI]
    return supervise(core, None, carry, identity, rules)


def compare_carries(carry, slots):
    numbers = [slot.number for slot in slots]
    assert carry.rows.identifiers_BI[:, 0].tolist() == numbers
    assert carry.age_B.tolist() == [slot.age for slot in slots]
    assert carry.minimum_B.tolist() == [slot.minimum for slot in slots]
    assert carry.halted_B.tolist() == [slot.halted for slot in slots]
    for name, latent in carry.latents.items():
        literal = torch.cat([slot.latents[name] for slot in slots])
        torch.testing.assert_close(latent, literal, rtol=1e-9, atol=1e-9)


def compare_losses(loss, found):
    """The heads' logits are float32 in both, so their losses agree to that."""
    torch.testing.assert_close(loss.total, found.total, rtol=1e-6, atol=1e-6)
    assert loss.grid.item() == pytest.approx(found.grid / SLOTS, rel=1e-9)
    assert loss.halt.item() == pytest.approx(found.halt / SLOTS, rel=1e-6, abs=1e-6)
    if loss.q_continue is not None:
        assert loss.q_continue.item() == pytest.approx(found.q_continue / SLOTS, abs=1e-6)
    for name in ("exact", "left", "left_exact", "left_age"):
        assert getattr(loss, name).item() == pytest.approx(getattr(found, name) / SLOTS)


@pytest.mark.parametrize("case", CASES)
def test_every_step_is_the_literal_one(case):
    """Rows, ages, halting, latents, losses and all gradients agree at each of thirty steps."""
    plan, halting, loss = CASES[case]
    core, examples = make_core(plan), make_examples()
    table = torch.randn(EXAMPLES, 8, dtype=torch.float64).requires_grad_()
    literal = Literal(core, halting, loss)
    rules = Supervision(halting=halting, loss=loss, rows_total=SLOTS)
    carry = empty_carry(core, SLOTS, 2, dtype=torch.float64)
    place, ages, right = torch.zeros((), dtype=torch.long), set(), []
    for step in range(STEPS):
        randomise_heads(core, step)
        minimum = draw_minimum(halting, 11, step, SLOTS)
        literal.refill(minimum)
        found = literal.step(examples, table)
        place, carry, segment = fast_step(core, carry, table, examples, place, minimum, rules)
        assert int(place) == literal.next_example
        compare_carries(carry, literal.slots)
        compare_losses(segment, found)
        wanted = gradients(core, table, found.total)
        got = gradients(core, table, segment.total)
        torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-6)
        right.append(found.exact)
        ages |= {slot.age for slot in literal.slots if slot.halted}
        with torch.no_grad():
            for name, parameter in core.named_parameters():
                parameter.sub_(wanted[name], alpha=0.05)
    assert 0 < sum(right) < STEPS * SLOTS
    assert max(ages) == halting.segments
    assert len(ages) >= min(halting.segments, 3)


def test_no_example_is_lost():
    """Over many steps of random halting, every example of the stream enters a slot, in order."""
    plan, halting, loss = CASES["urm paper"]
    core, examples = make_core(plan), make_examples()
    table = torch.zeros(EXAMPLES, 8, dtype=torch.float64)
    rules = Supervision(halting=halting, loss=loss, rows_total=SLOTS)
    carry = empty_carry(core, SLOTS, 2, dtype=torch.float64)
    place, seen = torch.zeros((), dtype=torch.long), []
    for step in range(STEPS):
        randomise_heads(core, step)
        minimum = draw_minimum(halting, 11, step, SLOTS)
        place, carry, _ = fast_step(core, carry, table, examples, place, minimum, rules)
        numbers, ages = carry.rows.identifiers_BI[:, 0].tolist(), carry.age_B.tolist()
        seen += [number for number, age in zip(numbers, ages, strict=True) if age == 1]
    assert seen == list(range(int(place)))
    assert len(seen) > 2 * SLOTS


def test_processes_are_one():
    """Two processes of two and three slots do what one of five does: examples, ages, losses.

    A process takes the examples behind those of the free slots of the processes before it.
    """
    plan, halting, loss = CASES["hrm"]
    core, examples = make_core(plan), make_examples()
    table = torch.randn(EXAMPLES, 8, dtype=torch.float64)
    rules = Supervision(halting=halting, loss=loss, rows_total=SLOTS)
    whole = empty_carry(core, SLOTS, 2, dtype=torch.float64)
    parts = [map_carry(lambda x, own=own: x[own], whole) for own in (slice(2), slice(2, 5))]
    place = torch.zeros((), dtype=torch.long)
    for step in range(STEPS):
        randomise_heads(core, step)
        minimum = draw_minimum(halting, 11, step, SLOTS)
        after, losses, before = [], [], place
        for part, own in zip(parts, (slice(2), slice(2, 5)), strict=True):
            free, rank = free_slots(part)
            taken = before + rank
            before = before + free.sum()
            outcome = one_process(core, part, table, examples, taken, minimum[own], rules)
            after.append(outcome[0])
            losses.append(outcome[1])
        place, whole, cost = fast_step(core, whole, table, examples, place, minimum, rules)
        parts = after
        joined = map_carry(lambda *x: torch.cat(x), *parts)
        map_carry(torch.testing.assert_close, joined, whole)
        assert int(before) == int(place)
        torch.testing.assert_close(add_losses(losses).total, cost.total.detach())


def test_exploration_is_that_of_the_rule():
    """A share `exploration` of draws is uniform in 2..segments, the rest 0; fixed by the step."""
    halting = Halting(segments=6, exploration=0.3)
    drawn = np.concatenate([draw_minimum(halting, 5, step, 100) for step in range(200)])
    counts = np.bincount(drawn, minlength=7) / len(drawn)
    assert counts[1] == 0
    assert counts[0] == pytest.approx(0.7, abs=0.02)
    assert counts[2:] == pytest.approx([0.06] * 5, abs=0.01)
    again = draw_minimum(halting, 5, 17, 100)
    assert (again == draw_minimum(halting, 5, 17, 100)).all()
    assert (again != draw_minimum(halting, 5, 18, 100)).any()
    assert (again != draw_minimum(halting, 6, 17, 100)).any()
    assert not draw_minimum(Halting(segments=1, exploration=1.0), 5, 0, 9).any()
