"""What the benchmarks of models/ measure: configurations, their synthetic data, our training step.

The comparator of a case is the same network with the same weights (`twin`), fed the same rows.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from benchmarks.flops import StepFlops, step_flops
from benchmarks.trm_comparator import Comparator, Kind, Shape
from models.ema import follow, start_average
from models.identity import IdentityTable, sign_sgd_
from models.layers import inner_width
from models.losses import LossConfig
from models.optimizers import AdamATan2
from models.recurrent import CoreConfig, RecurrentCore, cast_weights
from models.supervision import Halting, Rows, Supervision, empty_carry, refill, supervise

LR, IDENTITY_LR, DECAY, EMA = 1e-4, 1e-4, 1.0, 0.999


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One configuration. `kind`: the original it is, None where none of them is like it."""

    name: str
    config: CoreConfig
    rows: int
    kind: Kind | None
    identifiers: int = 1
    segments: int = 16

    @property
    def halting(self) -> Halting:
        """Without exploration: whose numbers are drawn how would make the losses differ."""
        hrm = self.kind == "hrm"
        rule = "halt_over_continue" if hrm else "halt"
        return Halting(segments=self.segments, exploration=0.0, rule=rule, continue_target=hrm)

    @property
    def flops(self) -> StepFlops:
        return step_flops(self.config, self.rows, look_ahead=self.kind == "hrm")

    def tiny(self) -> "Case":
        """The same code on a few numbers: one block a module, width 32, canvas 4, three rows."""
        layers = dict.fromkeys(self.config.layers, 1)
        small = replace(self.config, layers=layers, width=32, heads=2, side=4, inner_multiple=32)
        return replace(self, config=small, rows=3, segments=3)


def batches(case: Case, steps: int, device: torch.device, seed: int = 0) -> list[dict[str, Tensor]]:
    """Random rows for each step, every fifth label not scored; the same for the same seed."""
    source = torch.Generator().manual_seed(seed)
    size, made = (case.rows, case.config.side**2), []
    for _ in range(steps):
        labels_BS = torch.randint(1, case.config.vocabulary, size, generator=source)
        hidden_BS = torch.rand(size, generator=source) < 0.2
        batch = {
            "inputs": torch.randint(1, case.config.vocabulary, size, generator=source),
            "labels": labels_BS.masked_fill(hidden_BS, -100),
            "identifiers": torch.randint(case.identifiers, size[:1], generator=source),
        }
        made.append({name: value.to(device) for name, value in batch.items()})
    return made


class OurTraining:
    """Our training step. `dtype`: what the weights are cast to once a step; None: left as they are.

    `wrap` is given the segment (refilled carry in, loss out), for torch.compile.
    """

    def __init__(
        self,
        case: Case,
        core: RecurrentCore,
        dtype: torch.dtype | None,
        wrap: Callable[[Callable], Callable] = lambda segment: segment,
    ) -> None:
        self.case, self.core, self.dtype = case, core, dtype
        self.device = core.tokens.device
        self.table = IdentityTable(case.identifiers, case.config.width).to(self.device)
        self.optimizer = AdamATan2(core.parameters(), lr=LR, weight_decay=DECAY)
        self.shadow = start_average(core)
        self.carry = empty_carry(core, case.rows, 1, self.device, dtype or torch.float32)
        self.updates = 0
        self.minimum_B = torch.zeros(case.rows, dtype=torch.long, device=self.device)
        self.rules = Supervision(halting=case.halting, loss=LossConfig(), rows_total=case.rows)
        self.segment = wrap(self._segment)

    def _segment(self, weights, carry, identity_BID):
        return supervise(self.core, weights, carry, identity_BID, self.rules)

    def step(self, batch: dict[str, Tensor]) -> Tensor:
        """One segment on every row, one update; the loss stays on the device."""
        fresh = Rows(
            cells_BS=batch["inputs"],
            labels_BS=batch["labels"],
            identifiers_BI=batch["identifiers"][:, None],
        )
        carry = refill(self.core, self.carry, fresh, self.minimum_B, self.case.halting)
        identity_BID = self.table.lookup(carry.rows.identifiers_BI)
        weights = None if self.dtype is None else cast_weights(self.core, self.dtype)
        self.carry, loss = self.segment(weights, carry, identity_BID)
        loss.total.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        sign_sgd_(self.table, carry.rows.identifiers_BI, identity_BID.grad, IDENTITY_LR, DECAY)
        self.updates += 1
        follow(self.shadow, self.core, EMA, self.updates)
        return loss.total.detach()


def shape_of(case: Case) -> Shape:
    """The sizes of a case in the comparator's words.

    Raises:
        ValueError: the originals have nothing like it.
    """
    config, calls = case.config, case.config.plan.calls
    if case.kind is None:
        raise ValueError(f"{case.name}: none of the originals is like it")
    answers = sum(call.target == config.plan.answer for call in calls)
    forward_only = sum(not call.graded for call in calls)
    outer = len(calls) // (len(calls) - forward_only) if case.kind == "urm" else answers
    inner_calls = len(calls) // outer - (case.kind != "urm")
    return Shape(
        kind=case.kind,
        vocabulary=config.vocabulary,
        cells=config.side**2,
        identity_tokens=config.identity_tokens,
        identifiers=case.identifiers,
        width=config.width,
        heads=config.heads,
        layers=max(config.layers.values()),
        inner=inner_width(config.width, config.expansion, config.inner_multiple),
        token_inner=inner_width(config.length, config.expansion, config.inner_multiple),
        norm_over_positions=config.mixer_norm == "positions",
        outer=outer,
        inner_calls=inner_calls,
        segments=case.segments,
        exploration=0.0,
    )


@torch.no_grad()
def twin(case: Case, core: RecurrentCore, dtype: torch.dtype) -> Comparator:
    """The comparator with the weights of `core`, on its device."""
    model = Comparator(shape_of(case), case.rows, dtype).to(core.tokens.device)
    for place, state in enumerate(reversed(case.config.plan.states)):  # ours: y before z
        model.first[place] = core.start_ND[case.config.plan.states.index(state)].to(dtype)
    model.tokens.copy_(core.tokens)
    _copy(model.head, core.answer_head)
    _copy(model.q_head, core.q_head)
    for name, stack in model.stacks.items():
        blocks = core.nets["net"] if case.kind != "hrm" else core.nets[name]
        for layer, block in zip(stack.layers, blocks, strict=True):
            if layer.attention is None:
                _copy_gated(layer.over_positions, block.mixer.swiglu)
            else:
                _copy(layer.attention.qkv, block.mixer.qkv)
                _copy(layer.attention.out, block.mixer.out)
            _copy_gated(layer.gated, block.swiglu)
    return model


def _copy(to: nn.Module, of: nn.Linear) -> None:
    to.weight.copy_(of.weight)
    if to.bias is not None:
        to.bias.copy_(of.bias)


def _copy_gated(to: nn.Module, of: nn.Module) -> None:
    _copy(to.gate_up, of.gate_value)
    _copy(to.down, of.down)
    if to.near is not None:
        to.near.weight.copy_(of.between.taps.t()[:, None])
        to.near.bias.copy_(of.between.bias)
