"""The originals' training step, written as they write it: what the benchmark compares ours with.

Never used for training. Written from the facts of MODELS.md (1.1 to 1.3, 4), not from their code.
The maths is that of models/; the habits that cost time are the originals':

    weights are float32 and are cast to the working type inside every linear call
    RMSNorm in float32 as separate operations; rotary positions in float32, both then cast back
    stablemax and its logarithm in float64 over [B, S, V]
    token by token: the answer head runs on identity tokens, too, which are then cut off
    HRM runs a second whole forward for the target of q_continue
    the whole batch goes to the device every step; rows whose slot is not free are dropped
    metrics of every step, for `.cpu()` at its end (benchmarks/comparator_step.py)

Shapes: B rows, S cells, T identity tokens, L = T + S, D width, H heads, K size of a head,
F inner width, V vocabulary.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Kind = Literal["hrm", "trm_mlp", "trm_attention", "urm"]
IGNORE = -100


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Sizes of a network. `outer` and `inner_calls` are H_cycles and L_cycles of the originals."""

    kind: Kind
    vocabulary: int
    cells: int
    identity_tokens: int
    identifiers: int
    width: int
    heads: int
    layers: int
    inner: int
    token_inner: int = 0
    norm_over_positions: bool = False
    outer: int
    inner_calls: int
    segments: int = 16
    exploration: float = 0.1

    @property
    def positions(self) -> int:
        return self.identity_tokens + self.cells


class CastingLinear(nn.Module):
    """A linear layer whose float32 weight is cast to the input's type in every call."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) * inputs**-0.5)
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return F.linear(x, self.weight.to(x.dtype), bias)


def rms(x: Tensor) -> Tensor:
    wide = x.to(torch.float32)
    wide = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + 1e-5)
    return wide.to(x.dtype)


class Gated(nn.Module):
    """SwiGLU, or with `convolution` URM's ConvSwiGLU over the flattened positions."""

    def __init__(self, width: int, inner: int, *, convolution: bool = False) -> None:
        super().__init__()
        self.gate_up = CastingLinear(width, 2 * inner)
        self.down = CastingLinear(inner, width)
        self.near = nn.Conv1d(inner, inner, 2, padding=1, groups=inner) if convolution else None

    def forward(self, x_BLD: Tensor) -> Tensor:
        gate, up = self.gate_up(x_BLD).chunk(2, dim=-1)
        h_BLF = F.silu(gate) * up
        if self.near is not None:
            weight, bias = self.near.weight.to(h_BLF.dtype), self.near.bias.to(h_BLF.dtype)
            mixed = F.conv1d(h_BLF.transpose(1, 2), weight, bias, padding=1, groups=len(weight))
            h_BLF = F.silu(mixed[..., : h_BLF.shape[1]].transpose(1, 2))
        return self.down(h_BLF)


class SelfAttention(nn.Module):
    """Full attention with rotary positions over the flat index."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = CastingLinear(width, 3 * width)
        self.out = CastingLinear(width, width)

    def forward(self, x_BLD: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        rows, positions, _ = x_BLD.shape
        qkv = self.qkv(x_BLD).view(rows, positions, 3 * self.heads, -1)
        q, k, v = qkv.split(self.heads, dim=2)
        q, k = turned(q, *turn), turned(k, *turn)
        mixed = F.scaled_dot_product_attention(*(t.transpose(1, 2) for t in (q, k, v)))
        return self.out(mixed.transpose(1, 2).reshape(rows, positions, -1))


def turned(x_BLHK: Tensor, cos_LK: Tensor, sin_LK: Tensor) -> Tensor:
    """Rotary positions, half layout, in float32."""
    wide = x_BLHK.to(cos_LK.dtype)
    half = wide.shape[-1] // 2
    crossed = torch.cat((-wide[..., half:], wide[..., :half]), -1)
    return (wide * cos_LK[:, None] + crossed * sin_LK[:, None]).to(x_BLHK.dtype)


class Layer(nn.Module):
    """Two residual sums, each followed by a norm."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        mlp = shape.kind == "trm_mlp"
        self.over_positions = Gated(shape.positions, shape.token_inner) if mlp else None
        self.attention = None if mlp else SelfAttention(shape.width, shape.heads)
        self.gated = Gated(shape.width, shape.inner, convolution=shape.kind == "urm")
        self.norm_over_positions = shape.norm_over_positions

    def forward(self, x_BLD: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        if self.attention is not None:
            x_BLD = rms(x_BLD + self.attention(x_BLD, turn))
        else:
            x_BDL = x_BLD.transpose(1, 2)
            x_BDL = x_BDL + self.over_positions(x_BDL)
            if self.norm_over_positions:
                x_BLD = rms(x_BDL).transpose(1, 2)
            else:
                x_BLD = rms(x_BDL.transpose(1, 2))
        return rms(x_BLD + self.gated(x_BLD))


class Stack(nn.Module):
    """Layers behind an injection."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))

    def forward(self, state: Tensor, injected: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        state = state + injected
        for layer in self.layers:
            state = layer(state, turn)
        return state


class SparseTable(nn.Module):
    """Identity vectors: a buffer of all, and a leaf of the batch's that gets the gradient."""

    def __init__(self, shape: Shape, rows: int) -> None:
        super().__init__()
        self.register_buffer("all", torch.zeros(shape.identifiers, shape.width))
        leaf = torch.zeros(rows, shape.width, requires_grad=True)
        self.register_buffer("batch", leaf, persistent=False)
        self.register_buffer("ids", torch.zeros(rows, dtype=torch.long), persistent=False)

    def forward(self, ids_B: Tensor, dtype: torch.dtype) -> Tensor:
        with torch.no_grad():
            self.batch.copy_(self.all[ids_B])
            self.ids.copy_(ids_B)
        return self.batch.to(dtype)


@dataclass(slots=True)
class Carry:
    """What lives between steps: states, ages, who is done, and the rows being worked on."""

    states: tuple[Tensor, ...]
    age_B: Tensor
    halted_B: Tensor
    data: dict[str, Tensor]


class Comparator(nn.Module):
    """Network, halting and losses in one module, as the originals give it to torch.compile."""

    def __init__(self, shape: Shape, rows: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.shape, self.dtype = shape, dtype
        self.tokens = nn.Parameter(torch.randn(shape.vocabulary, shape.width) * shape.width**-0.5)
        self.table = SparseTable(shape, rows)
        self.head = CastingLinear(shape.width, shape.vocabulary)
        self.q_head = CastingLinear(shape.width, 2, bias=True)
        names = ("L", "H") if shape.kind == "hrm" else ("L",)
        self.stacks = nn.ModuleDict({name: Stack(shape) for name in names})
        states = 1 if shape.kind == "urm" else 2
        self.register_buffer("first", torch.randn(states, shape.width).to(dtype))
        cos, sin = _angles(shape)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def start(self, batch: dict[str, Tensor]) -> Carry:
        rows, device = len(batch["inputs"]), self.tokens.device
        size = (rows, self.shape.positions, self.shape.width)
        return Carry(
            states=tuple(torch.zeros(size, dtype=self.dtype, device=device) for _ in self.first),
            age_B=torch.zeros(rows, dtype=torch.int32, device=device),
            halted_B=torch.ones(rows, dtype=torch.bool, device=device),
            data={name: torch.zeros_like(value, device=device) for name, value in batch.items()},
        )

    def embed(self, data: dict[str, Tensor]) -> Tensor:
        grid_BSD = F.embedding(data["inputs"], self.tokens.to(self.dtype))
        identity_BD = self.table(data["identifiers"], self.dtype)
        identity_BD = F.pad(identity_BD, (0, (self.shape.identity_tokens - 1) * self.shape.width))
        identity = identity_BD.view(len(grid_BSD), self.shape.identity_tokens, -1)
        return self.shape.width**0.5 * torch.cat((identity, grid_BSD), -2)

    def loops(self, states: tuple[Tensor, ...], x_BLD: Tensor) -> tuple[Tensor, ...]:
        """One segment; the last state is the answer."""
        turn = (self.cos, self.sin)
        step = {"hrm": self._hrm, "urm": self._urm}.get(self.shape.kind, self._trm)
        return step(states, x_BLD, turn)

    def _trm(self, states, x, turn):
        z, y = states
        net = self.stacks["L"]
        for cycle in range(self.shape.outer):
            with torch.set_grad_enabled(torch.is_grad_enabled() and cycle == self.shape.outer - 1):
                for _ in range(self.shape.inner_calls):
                    z = net(z, y + x, turn)
                y = net(y, z, turn)
        return z, y

    def _hrm(self, states, x, turn):
        low, high = states
        with torch.no_grad():
            for cycle in range(self.shape.outer):
                for call in range(self.shape.inner_calls):
                    last = call == self.shape.inner_calls - 1
                    if not (last and cycle == self.shape.outer - 1):
                        low = self.stacks["L"](low, high + x, turn)
                if cycle != self.shape.outer - 1:
                    high = self.stacks["H"](high, low, turn)
        low = self.stacks["L"](low, high + x, turn)
        return low, self.stacks["H"](high, low, turn)

    def _urm(self, states, x, turn):
        (state,) = states
        with torch.no_grad():
            for _ in range((self.shape.outer - 1) * self.shape.inner_calls):
                state = self.stacks["L"](state, x, turn)
        for _ in range(self.shape.inner_calls):
            state = self.stacks["L"](state, x, turn)
        return (state,)

    def inner(self, states: tuple[Tensor, ...], data: dict[str, Tensor]):
        """States without a graph, logits [B, S, V], halting logits [B, 2] in float32."""
        states = self.loops(states, self.embed(data))
        logits_BSV = self.head(states[-1])[:, self.shape.identity_tokens :]
        halting_B2 = self.q_head(states[-1][:, 0]).to(torch.float32)
        return tuple(state.detach() for state in states), logits_BSV, halting_B2

    def forward(self, carry: Carry, batch: dict[str, Tensor]):
        """(carry, loss summed over rows, metrics by name)."""
        free = carry.halted_B
        states = tuple(
            torch.where(free.view(-1, 1, 1), first, state)
            for first, state in zip(self.first, carry.states, strict=True)
        )
        age_B = torch.where(free, 0, carry.age_B) + 1
        data = {
            name: torch.where(free.view(-1, *[1] * (value.ndim - 1)), batch[name], value)
            for name, value in carry.data.items()
        }
        states, logits_BSV, halting_B2 = self.inner(states, data)
        halted_B, target_B = self._halt(states, data, age_B, halting_B2)
        left = Carry(states, age_B, halted_B, data)
        return left, *losses(logits_BSV, halting_B2, target_B, left)

    @torch.no_grad()
    def _halt(self, states, data, age_B, halting_B2):
        """Who is done, and for HRM the target of q_continue from a second forward."""
        last_B = age_B >= self.shape.segments
        halt_B, continue_B = halting_B2.unbind(-1)
        with_continue = self.shape.kind == "hrm"
        halted_B = last_B | (halt_B > continue_B if with_continue else halt_B > 0)
        explored_B = torch.rand_like(halt_B) < self.shape.exploration
        least_B = explored_B * torch.randint_like(age_B, low=2, high=self.shape.segments + 1)
        halted_B &= age_B >= least_B
        if not with_continue:
            return halted_B, None
        _, _, ahead_B2 = self.inner(states, data)
        ahead_B = torch.where(last_B, ahead_B2[:, 0], ahead_B2.amax(-1))
        return halted_B, torch.sigmoid(ahead_B)


def _angles(shape: Shape) -> tuple[Tensor, Tensor]:
    """Cosine and sine, each [L, K], base 10,000, half layout."""
    size = shape.width // shape.heads
    rates = 10_000.0 ** (-torch.arange(0, size, 2, dtype=torch.float32) / size)
    angles = torch.outer(torch.arange(shape.positions, dtype=torch.float32), rates).repeat(1, 2)
    return angles.cos(), angles.sin()


def log_stablemax(logits: Tensor) -> Tensor:
    """In float64: x + 1 above zero, 1 / (1 - x) below, then the logarithm of its share."""
    wide = logits.to(torch.float64)
    grown = torch.where(wide < 0, 1 / (1 - wide + 1e-30), wide + 1)
    return torch.log(grown / grown.sum(-1, keepdim=True))


def losses(logits_BSV, halting_B2, target_B, carry: Carry):
    """Grid loss plus half the halting losses, summed over rows; metrics of rows that are done."""
    labels_BS = carry.data["labels"]
    mask_BS = labels_BS != IGNORE
    count_B = mask_BS.sum(-1)
    share_B1 = count_B.clamp_min(1).unsqueeze(-1)
    logp = log_stablemax(logits_BSV)
    index = torch.where(mask_BS, labels_BS, 0).unsqueeze(-1)
    nll_BS = -torch.where(mask_BS, logp.gather(-1, index).squeeze(-1), 0)
    grid = (nll_BS / share_B1).sum()
    right_BS = mask_BS & (logits_BSV.argmax(-1) == labels_BS)
    exact_B = right_BS.sum(-1) == count_B
    bce = F.binary_cross_entropy_with_logits
    halt = bce(halting_B2[:, 0], exact_B.to(halting_B2.dtype), reduction="sum")
    total = grid + 0.5 * halt
    if target_B is not None:
        total = total + 0.5 * bce(halting_B2[:, 1], target_B, reduction="sum")
    done_B = carry.halted_B & (count_B > 0)
    metrics = {
        "count": done_B.sum(),
        "accuracy": torch.where(done_B, (right_BS / share_B1).sum(-1), 0).sum(),
        "exact": (done_B & exact_B).sum(),
        "halt_right": (done_B & ((halting_B2[:, 0] >= 0) == exact_B)).sum(),
        "segments": torch.where(done_B, carry.age_B, 0).sum(),
        "grid_loss": grid.detach(),
        "halt_loss": halt.detach(),
        "loss": total.detach(),
    }
    return total, metrics
