"""Deep supervision: one optimizer step per segment, with rows that halt and are replaced.

A row stays in its slot of the batch for several segments; its latents are handed on without their
graph. It leaves when it halts, and the slot takes the next example of the stream. Choices, each
with its source (HRM 2506.21734, TRM 2510.04871, URM 2512.14693):

    a row leaves after `segments` segments, or when its head says so        HRM sec. 2, TRM sec. 4.6
    says so: the halting logit is above 0                                   TRM, URM ("halt")
    says so: it is above the continue logit               HRM, TRM's ablation ("halt_over_continue")
    the continue head learns from a second forward of the next segment      HRM sec. 2 (Q-learning)
    with probability `exploration` a row must reach a random age first      HRM sec. 2
    that age is drawn anew at every segment                                 HRM, TRM, URM code
    ... or once for a row                                                   HRM text ("row")
    loss: grid + (halt + continue) / 2, summed over rows, / rows of a step  HRM code
    several readings of a segment: sum of grid losses, halting heads of the last   URM sec. 3; ours
    evaluation: always all segments, nobody halts early                     HRM code
    no drawn example is lost                                                ours, see below

The originals draw a whole batch at every step and drop what falls on a slot that is not free. Here
the free slots share out consecutive examples: slot b takes number rank_B[b] of those drawn, and the
stream moves on by the number of free slots. So every example of a pass is trained on.

All of it has fixed shapes and asks the device for nothing back (no `.item()`, no choice by a mask),
so that a segment can be compiled whole or captured as a CUDA graph.

Shapes: B rows, S cells, I identity rows a puzzle names, L positions, D width, V vocabulary.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.losses import IGNORE, LossConfig, grid_loss, head_loss, rows_exact, rows_scored
from models.recurrent import Prediction, RecurrentCore, run

# Random numbers that are drawn for other ends from the same seed and step have another counter.
EXPLORATION = 1 << 192


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Examples: cells and labels [B, S] of int64, and the identity rows of each, [B, I]."""

    cells_BS: Tensor
    labels_BS: Tensor
    identifiers_BI: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Carry:
    """What goes from one segment to the next: rows, latents, age, earliest end, who left.

    age_B counts the segments that a row has seen; halted_B marks the slots that are free.
    """

    rows: Rows
    latents: dict[str, Tensor]
    age_B: Tensor
    minimum_B: Tensor
    halted_B: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Halting:
    """When a row leaves its slot; defaults are TRM's (16 segments, no continue head).

    Raises:
        ValueError: a number out of range, or a rule that reads a head that is never trained.
    """

    segments: int = 16
    exploration: float = 0.1
    drawn: Literal["segment", "row"] = "segment"
    rule: Literal["halt", "halt_over_continue"] = "halt"
    continue_target: bool = False

    def __post_init__(self) -> None:
        if self.segments < 1:
            raise ValueError(f"segments={self.segments}: a row needs at least 1")
        if not 0 <= self.exploration <= 1:
            raise ValueError(f"exploration={self.exploration} is no probability: use 0 to 1")
        if self.rule == "halt_over_continue" and not self.continue_target:
            raise ValueError(
                "rule='halt_over_continue' reads the continue head, which nothing trains: "
                "set continue_target=True, or rule='halt'"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervision:
    """How rows are judged: when they leave, what they cost, and what the sums are divided by.

    rows_total: the rows of one optimizer step, in all slices of the batch and in all processes.
    """

    halting: Halting
    loss: LossConfig
    rows_total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentLoss:
    """One segment: the loss with its graph, and what to log, all sums over rows / rows_total.

    Losses in nats. So slices of a batch, and processes, add up (`add_losses`). `exact` and
    `scored`: shares of rows that are right, and that have a scored cell at all. `left`,
    `left_exact`, `left_age`: the share of rows that leave after this segment, that leave right, and
    the ages of those that leave; left_exact / left is what HRM and TRM report as accuracy.
    q_continue is None without a continue target.
    """

    total: Tensor
    grid: Tensor
    halt: Tensor
    q_continue: Tensor | None
    exact: Tensor
    scored: Tensor
    left: Tensor
    left_exact: Tensor
    left_age: Tensor


class Answer(NamedTuple):
    """Tokens [B, S], and the halting head's probability of being right, [B]."""

    tokens_BS: Tensor
    confidence_B: Tensor


def empty_carry(
    core: RecurrentCore,
    rows: int,
    identity_rows: int,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Carry:
    """A carry of `rows` free slots for puzzles that name `identity_rows` rows of the table.

    dtype: that of the latents, which is what the core computes in. A slot that nothing was put into
    holds a padding row, which costs nothing.
    """
    zeros_B = torch.zeros(rows, dtype=torch.long, device=device)
    zeros_BS = zeros_B[:, None].repeat(1, core.config.side**2)
    latents = core.start(rows, torch.device(device), dtype)
    return Carry(
        rows=Rows(
            cells_BS=zeros_BS,
            labels_BS=torch.full_like(zeros_BS, IGNORE),
            identifiers_BI=zeros_B[:, None].repeat(1, identity_rows),
        ),
        latents=latents,
        age_B=zeros_B,
        minimum_B=zeros_B.clone(),
        halted_B=torch.ones(rows, dtype=torch.bool, device=device),
    )


def free_slots(carry: Carry) -> tuple[Tensor, Tensor]:
    """Which slots are free, [B] of bool, and which of the drawn examples goes into each, [B].

    The ranks of the free slots are 0, 1, 2, ... in the order of the slots; those of the others are
    valid indices too, and mean nothing. The stream moves on by `free_B.sum()` examples.
    """
    rank_B = carry.halted_B.cumsum(0) - 1
    return carry.halted_B, rank_B.clamp(min=0)


def draw_minimum(halting: Halting, seed: int, step: int, slots: int) -> NDArray[np.int64]:
    """The age that a row in each slot must reach before it may leave, [slots]; mostly 0.

    A function of its arguments alone. Several processes draw for the slots of all of them, and each
    takes its own, so that they explore as one process would.
    """
    if halting.segments == 1:
        return np.zeros(slots, dtype=np.int64)
    generator = np.random.Generator(
        np.random.Philox(counter=EXPLORATION, key=np.array([seed, step], np.uint64))
    )
    explored = generator.random(slots) < halting.exploration
    return np.where(explored, generator.integers(2, halting.segments + 1, slots), 0)


def refill(
    core: RecurrentCore, carry: Carry, fresh: Rows, minimum_B: Tensor, halting: Halting
) -> Carry:
    """Put row b of `fresh` into slot b where that is free; the other slots keep what they have.

    A row that comes in starts at the core's start vectors and age 0. minimum_B: see `draw_minimum`.
    """
    free_B, old = carry.halted_B, carry.rows
    if halting.drawn == "row":
        minimum_B = minimum_B.where(free_B, carry.minimum_B)
    start = core.start(1, carry.age_B.device, next(iter(carry.latents.values())).dtype)
    return Carry(
        rows=Rows(
            cells_BS=fresh.cells_BS.where(free_B[:, None], old.cells_BS),
            labels_BS=fresh.labels_BS.where(free_B[:, None], old.labels_BS),
            identifiers_BI=fresh.identifiers_BI.where(free_B[:, None], old.identifiers_BI),
        ),
        latents={
            name: start[name].where(free_B[:, None, None], latent_BLD)
            for name, latent_BLD in carry.latents.items()
        },
        age_B=carry.age_B.masked_fill(free_B, 0),
        minimum_B=minimum_B,
        halted_B=torch.zeros_like(free_B),
    )


def map_carry(function: Callable[..., Tensor], *carries: Carry) -> Carry:
    """A carry of `function` applied to the tensors that stand in the same place of `carries`.

    Slices (`lambda x: x[a:b]`), joins (`lambda *x: torch.cat(x)`), copies into fixed memory.
    """
    first = carries[0]
    rows = [carry.rows for carry in carries]
    return Carry(
        rows=Rows(
            cells_BS=function(*(row.cells_BS for row in rows)),
            labels_BS=function(*(row.labels_BS for row in rows)),
            identifiers_BI=function(*(row.identifiers_BI for row in rows)),
        ),
        latents={n: function(*(carry.latents[n] for carry in carries)) for n in first.latents},
        age_B=function(*(carry.age_B for carry in carries)),
        minimum_B=function(*(carry.minimum_B for carry in carries)),
        halted_B=function(*(carry.halted_B for carry in carries)),
    )


def supervise(
    core: RecurrentCore,
    weights: Mapping[str, Tensor] | None,
    carry: Carry,
    identity_BID: Tensor,
    rules: Supervision,
) -> tuple[Carry, SegmentLoss]:
    """Run one segment on every row; the loss has a graph, the carry that comes back has none.

    `carry` may be a slice of a batch of `rules.rows_total` rows: the losses of the slices, and
    their gradients, add up to those of the batch. identity_BID: the looked-up rows of the identity
    table. weights: see `run`.
    """
    halting = rules.halting
    labels_BS = carry.rows.labels_BS
    latents, readings = run(core, weights, carry.rows.cells_BS, identity_BID, carry.latents)
    last: Prediction = readings[-1]
    after = _leave(carry, latents, last, halting)
    scored_B = rows_scored(labels_BS)
    exact_B = rows_exact(last.logits_BSV.detach(), labels_BS)
    grid_B = _grid(readings, labels_BS, rules.loss)
    halt_B = head_loss(last.halt_B, exact_B) * scored_B
    heads_B, continue_B = halt_B, None
    if halting.continue_target:
        target_B = _continue_target(core, weights, after, identity_BID, halting)
        continue_B = head_loss(last.continue_B, target_B) * scored_B
        heads_B = heads_B + continue_B
    left_B = after.halted_B & scored_B

    def share(x_B: Tensor) -> Tensor:
        return x_B.detach().sum() / rules.rows_total

    return after, SegmentLoss(
        total=(grid_B + 0.5 * heads_B).sum() / rules.rows_total,
        grid=share(grid_B),
        halt=share(halt_B),
        q_continue=None if continue_B is None else share(continue_B),
        exact=share(exact_B),
        scored=share(scored_B),
        left=share(left_B),
        left_exact=share(left_B & exact_B),
        left_age=share(after.age_B * left_B),
    )


def _leave(carry: Carry, latents: dict[str, Tensor], last: Prediction, halting: Halting) -> Carry:
    """The carry behind a segment: no graph, one segment older, with those marked that leave."""
    age_B = carry.age_B + 1
    bar = last.continue_B.detach() if halting.rule == "halt_over_continue" else 0
    says_so_B = (last.halt_B.detach() > bar) & (age_B >= carry.minimum_B)
    return Carry(
        rows=carry.rows,
        latents={name: latent_BLD.detach() for name, latent_BLD in latents.items()},
        age_B=age_B,
        minimum_B=carry.minimum_B,
        halted_B=says_so_B | (age_B >= halting.segments),
    )


def _grid(readings: Sequence[Prediction], labels_BS: Tensor, loss: LossConfig) -> Tensor:
    return torch.stack([grid_loss(one.logits_BSV, labels_BS, loss) for one in readings]).sum(0)


@torch.no_grad()
def _continue_target(
    core: RecurrentCore,
    weights: Mapping[str, Tensor] | None,
    after: Carry,
    identity_BID: Tensor,
    halting: Halting,
) -> Tensor:
    """What another segment would be worth, [B]: the best that its heads say there.

    Behind the last segment a row can only halt. (HRM sec. 2; no replay, no target network.)
    """
    _, readings = run(core, weights, after.rows.cells_BS, identity_BID, after.latents)
    following: Prediction = readings[-1]
    best_B = torch.maximum(following.halt_B, following.continue_B)
    worth_B = following.halt_B.where(after.age_B >= halting.segments, best_B)
    return worth_B.sigmoid()


def add_losses(parts: Sequence[SegmentLoss]) -> SegmentLoss:
    """What slices of a batch cost together; the total comes back without its graph."""
    sums: dict[str, Any] = {}
    for name in (field.name for field in fields(SegmentLoss)):
        values = [getattr(part, name) for part in parts]
        sums[name] = None if values[0] is None else torch.stack(values).detach().sum(0)
    return SegmentLoss(**sums)


@torch.no_grad()
def answer(
    core: RecurrentCore,
    weights: Mapping[str, Tensor] | None,
    cells_BS: Tensor,
    identity_BID: Tensor,
    segments: Sequence[int],
) -> list[Answer]:
    """The answers after each of the asked numbers of segments, in one pass: nobody halts early.

    Under no_grad, not inference_mode, whose tensors cannot go through every collective.

    Raises:
        ValueError: `segments` is empty, not rising, or below 1.
    """
    if not segments or min(segments) < 1 or sorted(set(segments)) != list(segments):
        raise ValueError(
            f"segments={list(segments)}: name rising numbers from 1, such as 16 or 16, 32"
        )
    tensors = core.parameters() if weights is None else weights.values()
    latents = core.start(len(cells_BS), cells_BS.device, next(iter(tensors)).dtype)
    answers = []
    for age in range(1, segments[-1] + 1):
        latents, readings = run(core, weights, cells_BS, identity_BID, latents)
        if age in segments:
            last = readings[-1]
            tokens_BS = last.logits_BSV.argmax(-1)
            answers.append(Answer(tokens_BS, last.halt_B.sigmoid()))
    return answers
