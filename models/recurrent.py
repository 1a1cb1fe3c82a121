"""The recurrent core: small networks applied to their own output under a loop plan.

HRM, TRM, URM and the direct transformer are configurations of this one module (models/hrm.py,
trm.py, urm.py, direct.py). Choices, each with its source (HRM 2506.21734, TRM 2510.04871,
URM 2512.14693):

    a segment is a list of calls: target <- module(sum of sources)           HRM sec. 2; TRM sec. 4
    calls that are not graded run forward only and pass no gradient on       HRM sec. 2; URM sec. 3
    the states start from fixed random vectors, saved but not trained        HRM code
    identity tokens stand before the cells; the first carries the vector     HRM sec. 2; TRM code
    the identity vector may be added to every cell as well                   ours
    token embedding of standard deviation 1/sqrt(D), times sqrt(D) on use    HRM code
    learned positions: 0.7071 * (embedding + position) before that factor    HRM code
    two q-values, halt and continue, from the first position                 HRM sec. 2
    output head without bias, not tied to the embedding                      HRM code

The core has no table of identities: vectors that were looked up come in as an argument, so that
the table can live, and be trained, by rules of its own (models/identity.py).

Types: parameters stay float32. `cast_weights` casts them once a step, where the originals cast
each at each of 6 to 30 calls; `run` calls the core with them. States, question and logits then
have that type; norm and rotation compute in float32 inside.

Shapes: B rows, S cells of the canvas (side * side), T identity tokens, L = T + S positions,
D width, V vocabulary, I identity vectors of a puzzle, N states.
"""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import reduce
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.layers import (
    Attention,
    Block,
    Norm,
    Place,
    PlaneConvolution,
    ShortConvolution,
    SwiGLU,
    TokenMixer,
    inner_width,
    projection,
    rotary_tables,
    truncated_normal_,
)
from models.plan import QUESTION, Call, LoopPlan, validate

Mixer = Literal["attention", "mlp"]
Positions = Literal["rotary_flat", "rotary_grid", "learned", "none"]
Kind = Literal["row", "plane"]
_SHOWN = 8  # fields that an error names


def _one_of(field: str, value: str, kind: Any) -> None:
    if value not in get_args(kind):
        raise ValueError(f"{field} is {value!r}: write one of {', '.join(get_args(kind))}")


def _at_least(field: str, value: int, least: int) -> None:
    if value < least:
        raise ValueError(f"{field} is {value}: it must be at least {least}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution:
    """A convolution in each block: along the flattened row of positions, or in the plane."""

    kind: Kind = "row"
    place: Place = "mlp_expansion"
    kernel: int = 2

    def __post_init__(self) -> None:
        _one_of("convolution.kind", self.kind, Kind)
        _one_of("convolution.place", self.place, Place)
        _at_least("convolution.kernel", self.kernel, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreConfig:
    """Sizes and choices of a core; `layers` counts the blocks of each module.

    The defaults are the sizes of the originals.
    """

    vocabulary: int
    side: int
    layers: dict[str, int]
    plan: LoopPlan
    identity_tokens: int = 1
    width: int = 512
    heads: int = 8
    expansion: float = 4.0
    inner_multiple: int = 256
    mixer: Mixer = "attention"
    mixer_norm: Norm = "channels"
    positions: Positions = "rotary_flat"
    convolution: Convolution | None = None
    identity_everywhere: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be built, with a ValueError that names the field."""
        _one_of("mixer", self.mixer, Mixer)
        _one_of("mixer_norm", self.mixer_norm, Norm)
        _one_of("positions", self.positions, Positions)
        for name in ("vocabulary", "side", "width", "heads", "inner_multiple"):
            _at_least(name, getattr(self, name), 1)
        _at_least("identity_tokens", self.identity_tokens, 0)
        for module, count in self.layers.items():
            _at_least(f"layers of {module}", count, 1)
        if self.mixer == "mlp" and self.positions.startswith("rotary"):
            raise ValueError(
                f"positions {self.positions!r} turn queries and keys, and the mixer 'mlp' has none:"
                " write positions = 'none' or 'learned'"
            )
        validate(self.plan, self.layers)

    @property
    def length(self) -> int:
        """Positions L: identity tokens and cells."""
        return self.identity_tokens + self.side**2


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What the heads say: logits [B, S, V], and two logits [B] in float32.

    `halt_B`: this row is right. `continue_B`: it is worth going on.
    """

    logits_BSV: Tensor
    halt_B: Tensor
    continue_B: Tensor


class RecurrentCore(nn.Module):
    """Embedding, modules, heads and start vectors; `forward` runs one segment."""

    start_ND: Tensor
    cos_LP: Tensor
    sin_LP: Tensor

    def __init__(self, config: CoreConfig) -> None:
        super().__init__()
        self.config = config
        self.tokens = nn.Parameter(torch.empty(config.vocabulary, config.width))
        self.nets = nn.ModuleDict(
            {
                name: nn.ModuleList(_block(config) for _ in range(count))
                for name, count in config.layers.items()
            }
        )
        self.answer_head = projection(config.width, config.vocabulary)
        self.q_head = nn.Linear(config.width, 2)
        self.register_buffer("start_ND", torch.empty(len(config.plan.states), config.width))
        self._make_positions(config)
        initialise(self)

    def _make_positions(self, config: CoreConfig) -> None:
        self.learned_LD = None
        if config.positions == "learned":
            self.learned_LD = nn.Parameter(torch.empty(config.length, config.width))
        self.rotary = config.positions in {"rotary_flat", "rotary_grid"}
        if self.rotary:
            cos_LP, sin_LP = rotary_tables(_coordinates(config), config.width // config.heads)
            self.register_buffer("cos_LP", cos_LP, persistent=False)
            self.register_buffer("sin_LP", sin_LP, persistent=False)

    def start(self, rows: int, device: torch.device, dtype: torch.dtype) -> dict[str, Tensor]:
        """The states before the first segment, [B, L, D] each, the same at every position."""
        shape = (rows, self.config.length, self.config.width)
        start_ND = self.start_ND.to(device, dtype)
        return {
            name: vector_D.expand(shape).contiguous()
            for name, vector_D in zip(self.config.plan.states, start_ND, strict=True)
        }

    def embed(self, cells_BS: Tensor, identity_BID: Tensor) -> Tensor:
        """The question x, [B, L, D]: identity tokens, then one token per cell.

        The lookup is a product with one-hot rows, exact as indexing is: with a dozen tokens its
        backward is one product too, where that of indexing has all cells add to a dozen rows, in
        an order that differs from run to run on a GPU.
        """
        config = self.config
        one_hot_BSV = cells_BS[..., None] == torch.arange(config.vocabulary, device=cells_BS.device)
        x_BLD = one_hot_BSV.to(self.tokens.dtype) @ self.tokens
        identity_B1D = identity_BID.sum(1, keepdim=True).to(x_BLD.dtype)
        if config.identity_everywhere:
            x_BLD = x_BLD + identity_B1D
        if config.identity_tokens:
            tokens_BTD = F.pad(identity_B1D, (0, 0, 0, config.identity_tokens - 1))
            x_BLD = torch.cat((tokens_BTD, x_BLD), 1)
        if self.learned_LD is not None:
            x_BLD = 0.5**0.5 * (x_BLD + self.learned_LD)
        return config.width**0.5 * x_BLD

    def forward(
        self, cells_BS: Tensor, identity_BID: Tensor, latents: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], tuple[Prediction, ...]]:
        """Run one segment: the states after it, with its graph, and what was read, in order.

        `identity_BID` are the looked-up vectors of each puzzle, which are summed. The last
        prediction is that of the states that come back.
        """
        plan = self.config.plan
        values = {QUESTION: self.embed(cells_BS, identity_BID), **latents}
        last, read = len(plan.calls) - 1, []
        for number, call in enumerate(plan.calls):
            with nullcontext() if call.graded else torch.no_grad():
                values[call.target] = self._call(call, values)
            if call.read or number == last:
                read.append(self._read(values[plan.answer]))
        return {name: values[name] for name in plan.states}, tuple(read)

    def _call(self, call: Call, values: Mapping[str, Tensor]) -> Tensor:
        x_BLD = reduce(torch.add, [values[name] for name in call.sources])
        rotary = (self.cos_LP, self.sin_LP) if self.rotary else None
        for block in self.nets[call.module]:
            x_BLD = block(x_BLD, rotary)
        return x_BLD

    def _read(self, y_BLD: Tensor) -> Prediction:
        halt_B, continue_B = self.q_head(y_BLD[:, 0]).float().unbind(-1)
        logits_BSV = self.answer_head(y_BLD[:, self.config.identity_tokens :])
        return Prediction(logits_BSV=logits_BSV, halt_B=halt_B, continue_B=continue_B)


# | what                          | how                                                       |
# |-------------------------------|-----------------------------------------------------------|
# | every projection              | cut normal, 1/sqrt(fan in) (set where it is made)         |
# | tokens, learned positions     | cut normal, 1/sqrt(D); multiplied by sqrt(D) on use       |
# | start vectors of the states   | cut normal, standard deviation 1, never trained           |
# | q-head                        | weight 0, bias -5: starts by saying "not right yet"       |
# | convolutions                  | row: uniform, 1/sqrt(kernel); plane: cut normal, 0.1      |
# | norms                         | have no weights                                           |
def initialise(core: RecurrentCore) -> None:
    """Set the weights that are not the layers' own, by the table above."""
    with torch.no_grad():
        for embedding in (core.tokens, core.learned_LD):
            if embedding is not None:
                truncated_normal_(embedding, core.config.width**-0.5)
        truncated_normal_(core.start_ND, 1.0)
        core.q_head.weight.zero_()
        core.q_head.bias.fill_(-5.0)


def cast_weights(core: nn.Module, dtype: torch.dtype) -> dict[str, Tensor]:
    """The parameters in `dtype`, by name; gradient flows back into the parameters themselves.

    One cast a step serves all calls. The gradients of the calls are summed in `dtype`, and their
    sum is cast back once: measured over TRM's 7 graded calls, that moves gradients by 0.4 %, where
    bfloat16 itself moves them by 2.4 %.
    """
    return {name: parameter.to(dtype) for name, parameter in core.named_parameters()}


def run(core: nn.Module, weights: Mapping[str, Tensor] | None, *args: Any) -> Any:
    """`core(*args)` with `weights` in place of its parameters; None: with its own."""
    if weights is None:
        return core(*args)
    return torch.func.functional_call(core, dict(weights), args)


def count_parameters(module: nn.Module) -> int:
    """Trained numbers in `module`."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def check_config(saved: Mapping[str, Any], config: CoreConfig) -> None:
    """Refuse weights of another configuration; `saved` is `asdict` of theirs, also after JSON.

    Raises:
        ValueError: names the fields that differ, with both values; of many the first, sizes before
            calls of the loop plan.
    """
    theirs, ours = _flat("", saved), _flat("", asdict(config))
    differing = [
        f"{field} is {theirs.get(field, 'missing')!r} there and {ours.get(field, 'missing')!r} here"
        for field in sorted(theirs.keys() | ours.keys(), key=lambda name: (name.count("."), name))
        if theirs.get(field, "missing") != ours.get(field, "missing")
    ]
    if differing:
        shown, more = differing[:_SHOWN], len(differing) - _SHOWN
        raise ValueError(
            "the weights belong to another configuration: "
            + "; ".join(shown)
            + (f"; and {more} more" if more > 0 else "")
            + ". Build the model with theirs, or train anew"
        )


def _flat(name: str, value: Any) -> dict[str, Any]:
    """Fields by dotted name, sequences by number: tuples and JSON's lists come out alike."""
    if isinstance(value, Mapping):
        parts = [(f"{name}.{key}" if name else str(key), part) for key, part in value.items()]
    elif isinstance(value, (list, tuple)):
        parts = [(f"{name}[{number}]", part) for number, part in enumerate(value)]
    else:
        return {name: value}
    return {field: leaf for key, part in parts for field, leaf in _flat(key, part).items()}


def _block(config: CoreConfig) -> Block:
    mixer: Attention | TokenMixer
    if config.mixer == "attention":
        mixer = Attention(config.width, config.heads)
    else:
        inner = inner_width(config.length, config.expansion, config.inner_multiple)
        mixer = TokenMixer(config.length, inner)
    inner = inner_width(config.width, config.expansion, config.inner_multiple)
    place = config.convolution.place if config.convolution else None
    inside = place == "mlp_expansion"
    convolution = _convolution(config, inner if inside else config.width)
    return Block(
        mixer,
        SwiGLU(config.width, inner, convolution if inside else None),
        convolution=None if inside else convolution,
        place=place,
        norm=config.mixer_norm,
    )


def _convolution(config: CoreConfig, channels: int) -> nn.Module | None:
    chosen = config.convolution
    if chosen is None:
        return None
    if chosen.kind == "row":
        return ShortConvolution(channels, chosen.kernel)
    return PlaneConvolution(channels, config.side, config.identity_tokens, chosen.kernel)


def _coordinates(config: CoreConfig) -> Tensor:
    """Coordinates [L, C] of the positions: the flat index, or the place in the plane.

    In the plane all identity tokens stand at the origin, cells from (1, 1) on.
    """
    if config.positions == "rotary_flat":
        return torch.arange(config.length)[:, None]
    axis = torch.arange(1, config.side + 1)
    cells_S2 = torch.cartesian_prod(axis, axis)
    return torch.cat((torch.zeros(config.identity_tokens, 2, dtype=cells_S2.dtype), cells_S2))
