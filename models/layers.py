"""The layers of the recurrent core, each a small piece with its source.

Shapes are in the names: B rows of a batch, L positions, T identity tokens before the S cells of a
canvas, D width, H heads, K size of a head, P = K/2 channel pairs, F inner width of a gated layer.

    rms_norm          no learned scale, eps 1e-5, float32 inside     HRM 2506.21734 sec. 2
    SwiGLU            silu(gate) * value, then down                  Shazeer 2002.05202
    Attention         non-causal, rotary positions, SDPA, no biases  Vaswani 2017; Su 2104.09864
    TokenMixer        SwiGLU over positions instead of channels      TRM 2510.04871 sec. 4.5
    ShortConvolution  k taps back along the flattened canvas, silu   URM 2512.14693 sec. 3
    PlaneConvolution  k x k neighbourhood in the plane               ours, after URM
    Block             norm after each residual sum (post-norm)       HRM 2506.21734 sec. 2

Where code and paper differ, both are options:

    norm over what, after a TokenMixer    "positions": TRM's code; "channels": as after attention
    weights of a ShortConvolution         kept like all others; URM's code keeps them in bfloat16

No layer casts its weights: they come in the type that the work is done in (`cast_weights` of
models/recurrent.py does it once a step), and what needs more than that widens inside.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Rotary = tuple[Tensor, Tensor]  # cosines and sines, both [L, P]
Place = Literal["attention_input", "attention_output", "mlp_input", "mlp_expansion", "mlp_output"]
Norm = Literal["channels", "positions"]

# Standard deviation of a unit normal cut at two sigma; dividing by it restores the asked-for one.
_CUT_NORMAL_STD = 0.87962566103423978


def truncated_normal_(weight: Tensor, std: float) -> None:
    """Fill `weight` from a normal cut at two sigma whose standard deviation is `std` after the cut.

    The rule of flax's variance scaling, which HRM, TRM and URM follow.
    """
    wide = std / _CUT_NORMAL_STD
    nn.init.trunc_normal_(weight, std=wide, a=-2 * wide, b=2 * wide)


def projection(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer without bias, standard deviation 1/sqrt(inputs)."""
    layer = nn.Linear(inputs, outputs, bias=False)
    truncated_normal_(layer.weight, inputs**-0.5)
    return layer


def rms_norm(x_BLD: Tensor, eps: float = 1e-5) -> Tensor:
    """Scale each vector of the last axis to root mean square one, in the type that came in.

    PyTorch computes it in float32 for half precision, and rounds once at the end.
    """
    return F.rms_norm(x_BLD, x_BLD.shape[-1:], eps=eps)


def inner_width(width: int, expansion: float, multiple: int) -> int:
    """Inner width F of a SwiGLU: two thirds of expansion * width, rounded up to a multiple.

    The two thirds keep the parameter count of a plain two-matrix layer (2002.05202 sec. 2).
    """
    return -(-round(expansion * width * 2 / 3) // multiple) * multiple


class SwiGLU(nn.Module):
    """Gated layer over the last axis: down(silu(gate(x)) * value(x)), no biases.

    `between`, if given, works on the expanded product [B, L, F] before it goes down (URM).
    """

    def __init__(self, width: int, inner: int, between: nn.Module | None = None) -> None:
        super().__init__()
        self.gate_value = projection(width, 2 * inner)
        self.down = projection(inner, width)
        self.between = between

    def forward(self, x_BLD: Tensor) -> Tensor:
        """Map [B, L, D] to [B, L, D]."""
        gate_BLF, value_BLF = self.gate_value(x_BLD).chunk(2, dim=-1)
        product_BLF = F.silu(gate_BLF) * value_BLF
        if self.between is not None:
            product_BLF = self.between(product_BLF)
        return self.down(product_BLF)


def rotary_tables(coordinates_LC: Tensor, head_size: int, base: float = 10_000.0) -> Rotary:
    """Cosines and sines [L, P] of the angles by which channel pairs turn at each position.

    The pairs are shared out evenly over the C coordinates of a position: one coordinate is the
    flat index of the originals; (row, column) makes attention depend on offsets in the plane.
    """
    axes = coordinates_LC.shape[1]
    pairs = head_size // 2 // axes
    if pairs * axes * 2 != head_size:
        raise ValueError(
            f"a head of {head_size} channels cannot be shared by {axes} coordinates:"
            f" width / heads must be a multiple of {2 * axes}"
        )
    frequencies = base ** (-torch.arange(pairs, dtype=torch.float64) / pairs)
    angles_LP = (coordinates_LC.double()[:, :, None] * frequencies).flatten(1)
    return angles_LP.cos().float(), angles_LP.sin().float()


def rotate(x_BLHK: Tensor, rotary: Rotary) -> Tensor:
    """Turn channel pairs (k, k + P) by the angles of their position (2104.09864, half layout).

    In float32 at least, whatever the type of `x_BLHK`, which the result has again.
    """
    cos_L1P, sin_L1P = (table_LP[:, None] for table_LP in rotary)
    wide_BLHK = x_BLHK.to(torch.promote_types(x_BLHK.dtype, cos_L1P.dtype))
    a_BLHP, b_BLHP = wide_BLHK.chunk(2, dim=-1)
    turned = (a_BLHP * cos_L1P - b_BLHP * sin_L1P, b_BLHP * cos_L1P + a_BLHP * sin_L1P)
    return torch.cat(turned, -1).to(x_BLHK.dtype)


class Attention(nn.Module):
    """Every position attends to every position; queries and keys carry rotary positions."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} is no multiple of {heads} heads")
        self.heads = heads
        self.qkv = projection(width, 3 * width)
        self.out = projection(width, width)

    def forward(self, x_BLD: Tensor, rotary: Rotary | None) -> Tensor:
        """Map [B, L, D] to [B, L, D]; without `rotary`, positions are alike."""
        qkv_BLNK = self.qkv(x_BLD).unflatten(-1, (3 * self.heads, -1))  # N = 3 H
        qk_BLNK, v_BLHK = qkv_BLNK.split((2 * self.heads, self.heads), 2)
        if rotary is not None:
            qk_BLNK = rotate(qk_BLNK, rotary)
        q_BHLK, k_BHLK = qk_BLNK.transpose(1, 2).chunk(2, 1)
        v_BHLK = v_BLHK.transpose(1, 2)
        if x_BLD.dtype == torch.bfloat16 and x_BLD.device.type == "cpu":
            # Three times as fast as the processor's kernel for bfloat16 (torch 2.13).
            q_BHLK, k_BHLK, v_BHLK = q_BHLK.float(), k_BHLK.float(), v_BHLK.float()
        mixed_BHLK = F.scaled_dot_product_attention(q_BHLK, k_BHLK, v_BHLK)
        return self.out(mixed_BHLK.transpose(1, 2).flatten(2).to(x_BLD.dtype))


class TokenMixer(nn.Module):
    """SwiGLU over the axis of positions: a fixed number of them, which need no rotary."""

    def __init__(self, positions: int, inner: int) -> None:
        super().__init__()
        self.swiglu = SwiGLU(positions, inner)

    def forward(self, x_BLD: Tensor, _rotary: Rotary | None) -> Tensor:
        """Map [B, L, D] to [B, L, D], called as `Attention` is."""
        return self.swiglu(x_BLD.transpose(1, 2)).transpose(1, 2)


class ShortConvolution(nn.Module):
    """silu(w[0] x[t-k+1] + ... + w[k-1] x[t] + bias), channel by channel.

    Causal along the flattened positions, so it also runs from the end of one row of the canvas to
    the beginning of the next (URM 2512.14693 sec. 3; k = 2 mixes t-1 and t). Written as shifted
    products, which a compiler fuses with their neighbours.
    """

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        bound = kernel**-0.5  # PyTorch's default for a convolution of one channel, as in URM
        # Three dimensions, because it is no matrix: Muon must leave it to AdamW, as in URM.
        self.taps = nn.Parameter(torch.empty(kernel, 1, channels).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(channels).uniform_(-bound, bound))

    def forward(self, x_BLF: Tensor) -> Tensor:
        """Map [B, L, F] to [B, L, F]."""
        length, kernel = x_BLF.shape[1], len(self.taps)
        padded_BLF = F.pad(x_BLF, (0, 0, kernel - 1, 0))
        mixed_BLF = self.bias + x_BLF * self.taps[-1]
        for tap in range(kernel - 1):
            mixed_BLF = mixed_BLF + padded_BLF[:, tap : tap + length] * self.taps[tap]
        return F.silu(mixed_BLF)


class PlaneConvolution(nn.Module):
    """Adds to each cell a weighted sum of its k x k neighbourhood, channel by channel.

    On a small canvas neighbours above and below matter as much as those in the row. The identity
    tokens before the cells have no place in the plane and stay as they are.
    """

    def __init__(self, channels: int, side: int, tokens: int, kernel: int) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"a plane convolution has a middle: kernel {kernel} is even")
        self.side = side
        self.tokens = tokens
        self.weight = nn.Parameter(torch.empty(channels, 1, kernel, kernel))
        truncated_normal_(self.weight, 0.1)

    def forward(self, x_BLF: Tensor) -> Tensor:
        """Map [B, T + side * side, F] to the same shape."""
        cells_BSF = x_BLF[:, self.tokens :]
        plane_BFRC = cells_BSF.transpose(1, 2).unflatten(-1, (self.side, self.side))
        near_BFRC = F.conv2d(plane_BFRC, self.weight, padding="same", groups=len(self.weight))
        near_BSF = near_BFRC.flatten(2).transpose(1, 2)
        return torch.cat((x_BLF[:, : self.tokens], cells_BSF + near_BSF), 1)


class Block(nn.Module):
    """x = norm(x + mixer(x)); x = norm(x + swiglu(x)).

    The norm stands after the sum, so the state keeps its size however often the block is applied
    to its own output. A `convolution`, if given, stands at `place`; the residual path goes around
    it. That inside the gated layer ("mlp_expansion") belongs to the gated layer.
    """

    def __init__(
        self,
        mixer: Attention | TokenMixer,
        swiglu: SwiGLU,
        *,
        convolution: nn.Module | None = None,
        place: Place | None = None,
        norm: Norm = "channels",
    ) -> None:
        super().__init__()
        self.mixer = mixer
        self.swiglu = swiglu
        self.convolution = convolution
        self.place = place
        self.norm = norm

    def forward(self, x_BLD: Tensor, rotary: Rotary | None) -> Tensor:
        """Map [B, L, D] to [B, L, D]."""
        mixed_BLD = self.mixer(self._at("attention_input", x_BLD), rotary)
        x_BLD = x_BLD + self._at("attention_output", mixed_BLD)
        if self.norm == "positions":
            x_BLD = rms_norm(x_BLD.transpose(1, 2)).transpose(1, 2)
        else:
            x_BLD = rms_norm(x_BLD)
        fed_BLD = self.swiglu(self._at("mlp_input", x_BLD))
        return rms_norm(x_BLD + self._at("mlp_output", fed_BLD))

    def _at(self, place: Place, x_BLD: Tensor) -> Tensor:
        if self.convolution is None or self.place != place:
            return x_BLD
        return self.convolution(x_BLD)
