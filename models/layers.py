"""The layers of the recurrent core, each a small piece with its source.

Shapes are in the names: B rows of a batch, L positions, D width, H heads, K size of a head,
F inner width of a gated layer, V vocabulary.

    rms_norm    no learned scale, computed in float32      HRM 2506.21734 sec. 2; Zhang 2019
    SwiGLU      silu(gate) * value, then down              Shazeer 2002.05202
    Attention   non-causal, rotary positions, SDPA         Vaswani 2017; Su 2104.09864
    TokenMixer  SwiGLU over positions instead of channels  TRM 2510.04871 sec. 4.5
    PlaneConvolution  3 x 3, channel by channel            after URM 2512.14693 sec. 3.2
    Block       norm after each residual sum (post-norm)   HRM 2506.21734 sec. 2
"""

import torch
import torch.nn.functional as F  # noqa: N812 - the name that every PyTorch text uses
from torch import Tensor, nn

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
    """Scale each position to root mean square one; float32 inside, the input's type outside."""
    return F.rms_norm(x_BLD.float(), x_BLD.shape[-1:], eps=eps).to(x_BLD.dtype)


def inner_width(width: int, expansion: float, multiple: int) -> int:
    """Inner width F of a SwiGLU: two thirds of expansion * width, rounded up to a multiple.

    The two thirds keep the parameter count of a plain two-matrix layer (2002.05202 sec. 2).
    """
    return -(-round(expansion * width * 2 / 3) // multiple) * multiple


class SwiGLU(nn.Module):
    """Gated layer over the last axis: down(silu(gate(x)) * value(x)), no biases."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.gate_value = projection(width, 2 * inner)
        self.down = projection(inner, width)

    def forward(self, x_BLD: Tensor) -> Tensor:
        """Map [B, L, D] to [B, L, D]."""
        gate_BLF, value_BLF = self.gate_value(x_BLD).chunk(2, dim=-1)
        return self.down(F.silu(gate_BLF) * value_BLF)


def rotary_angles(coordinates_LC: Tensor, head_size: int, base: float = 10_000.0) -> Tensor:
    """Angles [L, K/2] by which each pair of a head's channels turns at each position.

    The pairs are shared out evenly over the C coordinates of a position: one coordinate is the
    flat index of the originals; (row, column) makes attention depend on offsets in the plane.
    """
    axes = coordinates_LC.shape[1]
    pairs = head_size // 2 // axes
    if pairs * axes * 2 != head_size:
        raise ValueError(f"a head of {head_size} channels cannot be shared by {axes} coordinates")
    frequencies = base ** (-torch.arange(pairs, dtype=torch.float32) / pairs)
    return (coordinates_LC.float()[:, :, None] * frequencies).flatten(1)


def rotate(x_BHLK: Tensor, angles_LP: Tensor) -> Tensor:
    """Turn channel pairs (k, k + K/2) by the angles of their position (2104.09864, half layout)."""
    cos_LP, sin_LP = angles_LP.cos(), angles_LP.sin()
    a_BHLP, b_BHLP = x_BHLK.float().chunk(2, dim=-1)
    turned = torch.cat((a_BHLP * cos_LP - b_BHLP * sin_LP, b_BHLP * cos_LP + a_BHLP * sin_LP), -1)
    return turned.to(x_BHLK.dtype)


class Attention(nn.Module):
    """Every position attends to every position; queries and keys carry rotary positions."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} is no multiple of {heads} heads")
        self.heads = heads
        self.qkv = projection(width, 3 * width)
        self.out = projection(width, width)

    def forward(self, x_BLD: Tensor, angles_LP: Tensor) -> Tensor:
        """Map [B, L, D] to [B, L, D]."""
        qkv_BL3HK = self.qkv(x_BLD).unflatten(-1, (3, self.heads, -1))
        q_BHLK, k_BHLK, v_BHLK = qkv_BL3HK.permute(2, 0, 3, 1, 4)
        mixed_BHLK = F.scaled_dot_product_attention(
            rotate(q_BHLK, angles_LP), rotate(k_BHLK, angles_LP), v_BHLK
        )
        return self.out(mixed_BHLK.transpose(1, 2).flatten(2))


class TokenMixer(nn.Module):
    """SwiGLU over the axis of positions: a fixed number of them, no attention, no angles."""

    def __init__(self, positions: int, inner: int) -> None:
        super().__init__()
        self.swiglu = SwiGLU(positions, inner)

    def forward(self, x_BLD: Tensor, angles_LP: Tensor) -> Tensor:  # noqa: ARG002 - as Attention
        """Map [B, L, D] to [B, L, D]; the angles are not used."""
        return self.swiglu(x_BLD.transpose(1, 2)).transpose(1, 2)


class PlaneConvolution(nn.Module):
    """Adds to each cell a weighted sum of its 3 x 3 neighbourhood, channel by channel.

    URM's short convolution (2512.14693 sec. 3.2) runs along the flattened grid and sits inside the
    gated layer; on a small canvas neighbours above and below matter as much, so this one runs in
    the plane, before the gated layer. The first position is the identity token and stays as it is.
    """

    def __init__(self, width: int, side: int) -> None:
        super().__init__()
        self.side = side
        self.weight = nn.Parameter(torch.empty(width, 1, 3, 3))
        truncated_normal_(self.weight, 0.1)

    def forward(self, x_BLD: Tensor) -> Tensor:
        """Map [B, 1 + side * side, D] to the same shape."""
        cells_BSD = x_BLD[:, 1:]
        plane_BDRC = cells_BSD.transpose(1, 2).unflatten(-1, (self.side, self.side))
        near_BDRC = F.conv2d(plane_BDRC, self.weight, padding=1, groups=len(self.weight))
        near_BSD = near_BDRC.flatten(2).transpose(1, 2)
        return torch.cat((x_BLD[:, :1], cells_BSD + near_BSD), 1)


class Block(nn.Module):
    """x = norm(x + mixer(x)); x = norm(x + swiglu(x)).

    The norm stands after the sum, so the state keeps its size however often the block is applied
    to its own output. A `convolution`, if given, prepares what the gated layer sees.
    """

    def __init__(
        self,
        mixer: Attention | TokenMixer,
        swiglu: SwiGLU,
        convolution: PlaneConvolution | None = None,
    ) -> None:
        super().__init__()
        self.mixer = mixer
        self.swiglu = swiglu
        self.convolution = convolution

    def forward(self, x_BLD: Tensor, angles_LP: Tensor) -> Tensor:
        """Map [B, L, D] to [B, L, D]."""
        x_BLD = rms_norm(x_BLD + self.mixer(x_BLD, angles_LP))
        near_BLD = x_BLD if self.convolution is None else self.convolution(x_BLD)
        return rms_norm(x_BLD + self.swiglu(near_BLD))
