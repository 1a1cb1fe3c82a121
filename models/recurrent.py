"""The recurrent core: one small network applied to its own output under a loop plan.

Choices, each with its source (TRM 2510.04871, HRM 2506.21734, URM 2512.14693):

    two latents, the answer y and the scratch z; x is the embedded question       TRM sec. 4.2
    one cycle: z <- net(z + y + x) n times, then y <- net(y + z)                  TRM sec. 4.1
    T cycles per segment, gradient through the last one only                      TRM sec. 4.1
    HRM's one-step gradient and URM's single state are other loop plans           HRM sec. 2; URM
    y and z start from fixed random vectors, not trained                          HRM code
    an identity token stands before the grid; its table starts at zero            HRM sec. 2
    an identity may be the sum of rows (task, symmetry), and be added to each cell  ours
    halting head: reads the identity token; weight 0, bias -5 at the start        HRM code; TRM 4.6
    token embedding of standard deviation 1/sqrt(D), times sqrt(D) on use         HRM code

Shapes: B rows, S cells of the canvas, L = S + 1 positions (identity first), D width, V vocabulary.
"""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from models.layers import (
    Attention,
    Block,
    PlaneConvolution,
    SwiGLU,
    TokenMixer,
    inner_width,
    projection,
    rotary_angles,
    truncated_normal_,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One application of the network: target <- net(sum of sources)."""

    target: Literal["y", "z"]
    sources: tuple[Literal["x", "y", "z"], ...]
    graded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopPlan:
    """What one segment does, as data: `cycles` times (`inner` updates of z, one of y).

    gradient: "cycle" keeps the graph of the whole last cycle (TRM); "step" only that of the last
    z and the last y update (HRM's one-step approximation). With inner = 0 there is no z, and
    y <- net(y + x) (URM's single state), of which the last `graded` cycles keep their graph.
    """

    cycles: int = 1
    inner: int = 3
    gradient: Literal["cycle", "step"] = "cycle"
    graded: int = 1

    def calls(self) -> Iterator[Call]:
        """The calls of a segment, in order."""
        for cycle in range(self.cycles):
            in_graph = cycle >= self.cycles - self.graded
            for update in range(self.inner):
                last = update == self.inner - 1
                graded = in_graph and (last or self.gradient == "cycle")
                yield Call(target="z", sources=("z", "y", "x"), graded=graded)
            sources = ("y", "z") if self.inner else ("y", "x")
            yield Call(target="y", sources=sources, graded=in_graph)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecurrentConfig:
    """Sizes and choices of the core. `identifiers` counts the rows of the identity table."""

    vocabulary: int
    side: int
    identifiers: int
    width: int = 64
    heads: int = 4
    layers: int = 1
    expansion: float = 4.0
    inner_multiple: int = 32
    mixer: Literal["attention", "mlp"] = "attention"
    convolution: bool = False
    rotary: Literal["flat", "grid"] = "grid"
    identity_everywhere: bool = False
    plan: LoopPlan = LoopPlan()


@dataclass(frozen=True, slots=True, kw_only=True)
class Latents:
    """The state that lives between segments, both [B, L, D]."""

    y_BLD: Tensor
    z_BLD: Tensor

    def detach(self) -> "Latents":
        """The same values without a graph; a segment never sends gradient into the one before."""
        return Latents(y_BLD=self.y_BLD.detach(), z_BLD=self.z_BLD.detach())


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What a segment says: logits [B, S, V] and the logit of "this is right", [B]."""

    logits_BSV: Tensor
    halt_B: Tensor


class RecurrentCore(nn.Module):
    """Embedding, network, heads and start vectors; `segment` runs the loop plan once."""

    start_2D: Tensor
    angles_LP: Tensor

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(config.vocabulary, config.width)
        self.identity = nn.Embedding(config.identifiers, config.width)
        self.blocks = nn.ModuleList(_block(config) for _ in range(config.layers))
        self.answer = projection(config.width, config.vocabulary)
        self.halt = nn.Linear(config.width, 1)
        self.register_buffer("start_2D", torch.empty(2, config.width))
        head_size = config.width // config.heads
        angles = rotary_angles(_coordinates(config), head_size)
        self.register_buffer("angles_LP", angles, persistent=False)
        initialise(self)

    def start(self, rows: int) -> Latents:
        """The latents before the first segment, the same vectors at every position."""
        positions = self.config.side**2 + 1
        y_BLD, z_BLD = (v.expand(rows, positions, -1).clone() for v in self.start_2D)
        return Latents(y_BLD=y_BLD, z_BLD=z_BLD)

    def embed(self, cells_BS: Tensor, identifiers_BI: Tensor) -> Tensor:
        """The question x, [B, L, D]: the identity token, then one token per cell.

        The I rows of the identity table that a puzzle names are summed.
        """
        scale = self.config.width**0.5
        identity_B1D = self.identity(identifiers_BI).sum(1, keepdim=True) * scale
        grid_BSD = self.tokens(cells_BS) * scale
        if self.config.identity_everywhere:
            grid_BSD = grid_BSD + identity_B1D
        return torch.cat((identity_B1D, grid_BSD), 1)

    def segment(self, x_BLD: Tensor, latents: Latents) -> tuple[Latents, Prediction]:
        """Run the loop plan once from `latents`; the latents that come back carry its graph."""
        state = {"x": x_BLD, "y": latents.y_BLD, "z": latents.z_BLD}
        for call in self.config.plan.calls():
            with nullcontext() if call.graded else torch.no_grad():
                state[call.target] = self._net(sum(state[name] for name in call.sources))
        y_BLD = state["y"]
        prediction = Prediction(
            logits_BSV=self.answer(y_BLD[:, 1:]), halt_B=self.halt(y_BLD[:, 0]).squeeze(-1)
        )
        return Latents(y_BLD=y_BLD, z_BLD=state["z"]), prediction

    def _net(self, x_BLD: Tensor) -> Tensor:
        for block in self.blocks:
            x_BLD = block(x_BLD, self.angles_LP)
        return x_BLD


# | what                        | how                                                     |
# |-----------------------------|---------------------------------------------------------|
# | every projection            | cut normal, 1/sqrt(fan in) (set where it is made)       |
# | token embedding             | cut normal, 1/sqrt(D); multiplied by sqrt(D) on use     |
# | identity table              | zero: a task starts as "no task" and earns its vector   |
# | start vectors of y and z    | cut normal, standard deviation 1, never trained         |
# | halting head                | weight 0, bias -5: starts by saying "not right yet"     |
def initialise(core: RecurrentCore) -> None:
    """Set the weights that are not plain projections, by the table above."""
    with torch.no_grad():
        truncated_normal_(core.tokens.weight, core.config.width**-0.5)
        core.identity.weight.zero_()
        truncated_normal_(core.start_2D, 1.0)
        core.halt.weight.zero_()
        core.halt.bias.fill_(-5.0)


def count_parameters(module: nn.Module) -> int:
    """Trained numbers in `module`."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def _block(config: RecurrentConfig) -> Block:
    positions = config.side**2 + 1
    mixer: Attention | TokenMixer
    if config.mixer == "attention":
        mixer = Attention(config.width, config.heads)
    else:
        inner = inner_width(positions, config.expansion, config.inner_multiple)
        mixer = TokenMixer(positions, inner)
    inner = inner_width(config.width, config.expansion, config.inner_multiple)
    plane = PlaneConvolution(config.width, config.side) if config.convolution else None
    return Block(mixer, SwiGLU(config.width, inner), plane)


def _coordinates(config: RecurrentConfig) -> Tensor:
    """Coordinates [L, C] of the positions; the identity token stands at the origin."""
    if config.rotary == "flat":
        return torch.arange(config.side**2 + 1)[:, None]
    axis = torch.arange(1, config.side + 1)
    cells = torch.cartesian_prod(axis, axis)
    return torch.cat((torch.zeros(1, 2, dtype=cells.dtype), cells))
