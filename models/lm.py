"""A small decoder-only language model: teacher and student of the distillation.

Shapes: B rows, L tokens, D width, H heads, P size of a head, V vocabulary, N chosen tokens,
K layers.

    pre-norm      x = x + mixer(norm(x)); x = x + swiglu(norm(x)); a last norm    Xiong 2002.04745
    embedding     normed, so that a tied one can have the small scale of a head   ours
    rms_norm      without a learned scale: every norm stands before a matrix      models/layers.py
    attention     causal, rotary positions, SDPA: no score matrix in memory       Su 2104.09864
    SwiGLU        silu(gate) * value, then down                                   Shazeer 2002.05202
    head          the transposed embedding (tied), or a matrix of its own         Press 1608.05859
    start         truncated normal, 1 / sqrt(inputs), of the embedding 0.02; what is added to the
                  stream is divided by sqrt(2 K), so that it does not grow with depth   GPT-2

Rows are padded on the right. A token never looks to its right, so padding changes nothing before
it, and there is no mask: what stands at padded positions is to be ignored.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.layers import (
    Rotary,
    SwiGLU,
    inner_width,
    projection,
    rms_norm,
    rotary_tables,
    rotate,
    truncated_normal_,
)

Keep = Literal["states", "queries", "keys", "values", "attentions"]
NOTHING: Final[frozenset[Keep]] = frozenset()

_INNER_MULTIPLE = 16  # the inner width is rounded up to it


@dataclass(frozen=True, slots=True, kw_only=True)
class LmConfig:
    """Sizes of a language model; `context` is the most tokens of a row.

    Raises:
        ValueError: a size below 1, or heads that do not share the width evenly.
    """

    vocabulary: int
    width: int = 128
    layers: int = 4
    heads: int = 4
    expansion: float = 4.0
    context: int = 128
    tied: bool = True

    def __post_init__(self) -> None:
        for name in ("vocabulary", "width", "layers", "heads", "context", "expansion"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}={getattr(self, name)}: must be above 0")
        if self.width % (2 * self.heads):
            raise ValueError(
                f"width={self.width} is no multiple of 2 * heads={2 * self.heads}: rotary"
                " positions turn pairs of channels in each head"
            )

    @property
    def inner(self) -> int:
        """Inner width F of the gated layers."""
        return inner_width(self.width, self.expansion, _INNER_MULTIPLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class LmOutput:
    """What a forward pass leaves: the last hidden state, and what was asked to be kept.

    `hidden_BLD` is what the head reads. `states` are K + 1: the embedded tokens, then the residual
    stream after each layer; the last is before the last norm. `queries`, `keys` (as they meet, with
    their positions) and `values` are K of [B, H, L, P], with fewer heads in keys and values where
    queries share them. `attentions` are K of [B, H, L, L] in float32, rows add up to 1. What was
    not asked for is empty.
    """

    hidden_BLD: Tensor
    head: Callable[[Tensor], Tensor]
    states: tuple[Tensor, ...] = ()
    queries: tuple[Tensor, ...] = ()
    keys: tuple[Tensor, ...] = ()
    values: tuple[Tensor, ...] = ()
    attentions: tuple[Tensor, ...] = ()

    def logits(self, hidden_ND: Tensor) -> Tensor:
        """Logits [N, V] of chosen hidden states, so that no [B, L, V] need be made."""
        return self.head(hidden_ND)


class LanguageModel(nn.Module):
    """Tokens [B, L] to hidden states [B, L, D] and, where asked, logits."""

    cos_LP: Tensor
    sin_LP: Tensor

    def __init__(self, config: LmConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary, config.width)
        truncated_normal_(self.embedding.weight, 0.02)
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config.layers))
        self.head = projection(config.width, config.vocabulary)
        if config.tied:
            self.head.weight = self.embedding.weight
        positions_L1 = torch.arange(config.context)[:, None]
        cos_LP, sin_LP = rotary_tables(positions_L1, config.width // config.heads)
        self.register_buffer("cos_LP", cos_LP, persistent=False)
        self.register_buffer("sin_LP", sin_LP, persistent=False)

    def forward(self, tokens_BL: Tensor, *, keep: frozenset[Keep] = NOTHING) -> LmOutput:
        """Hidden states of every position, and of every layer what `keep` names.

        Raises:
            ValueError: rows longer than the context, or a name that cannot be kept.
        """
        check_kept(keep)
        length = tokens_BL.shape[1]
        if length > self.config.context:
            raise ValueError(f"rows of {length} tokens: the context is {self.config.context}")
        rotary = self.cos_LP[:length], self.sin_LP[:length]
        x_BLD = rms_norm(self.embedding(tokens_BL))
        kept: dict[Keep, list[Tensor]] = {name: [] for name in keep}
        _keep(kept, states=x_BLD)
        for layer in self.layers:
            x_BLD = layer(x_BLD, rotary, kept)
            _keep(kept, states=x_BLD)
        return LmOutput(
            hidden_BLD=rms_norm(x_BLD),
            head=self.head,
            **{name: tuple(tensors) for name, tensors in kept.items()},
        )


def check_kept(keep: frozenset[Keep]) -> None:
    """Refuse names that no model can keep.

    Raises:
        ValueError: such a name, or one string in place of a set of names.
    """
    unknown = set(keep) - set(get_args(Keep))
    if unknown or isinstance(keep, str):
        raise ValueError(f"keep={keep!r}: a set of {', '.join(get_args(Keep))}")


def attention_maps(
    q_BHLP: Tensor, k_BHLP: Tensor, scaling: float, mask: Tensor | None = None
) -> Tensor:
    """Attention maps [B, H, L, L] in float32: softmax(scaling * q k), causal without a mask.

    `mask` is what SDPA takes: False or -inf where a token must not look. This is the one place
    with a score matrix, for terms that compare maps and for nothing else.
    """
    scores_BHLL = scaling * q_BHLP.float() @ k_BHLP.float().transpose(-1, -2)
    if mask is None:
        mask = torch.ones_like(scores_BHLL[0, 0], dtype=torch.bool).tril()
    if mask.dtype == torch.bool:
        return scores_BHLL.masked_fill(~mask, -torch.inf).softmax(-1)
    return (scores_BHLL + mask).softmax(-1)


class _Layer(nn.Module):
    """Causal attention and a gated layer, each on the norm of the stream and added to it."""

    def __init__(self, config: LmConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv = projection(config.width, 3 * config.width)
        self.out = projection(config.width, config.width)
        self.swiglu = SwiGLU(config.width, config.inner)
        with torch.no_grad():
            for added in (self.out, self.swiglu.down):
                added.weight *= (2 * config.layers) ** -0.5

    def forward(self, x_BLD: Tensor, rotary: Rotary, kept: dict[Keep, list[Tensor]]) -> Tensor:
        """Map [B, L, D] to [B, L, D], leaving in `kept` what it has a list for."""
        qkv_BLNP = self.qkv(rms_norm(x_BLD)).unflatten(-1, (3 * self.heads, -1))  # N = 3 H
        qk_BLNP, v_BLHP = qkv_BLNP.split((2 * self.heads, self.heads), 2)
        q_BHLP, k_BHLP = rotate(qk_BLNP, rotary).transpose(1, 2).chunk(2, 1)
        v_BHLP = v_BLHP.transpose(1, 2)
        _keep(kept, queries=q_BHLP, keys=k_BHLP, values=v_BHLP)
        if "attentions" in kept:
            scaling = q_BHLP.shape[-1] ** -0.5  # as SDPA has it
            _keep(kept, attentions=attention_maps(q_BHLP, k_BHLP, scaling))
        mixed_BHLP = F.scaled_dot_product_attention(q_BHLP, k_BHLP, v_BHLP, is_causal=True)
        x_BLD = x_BLD + self.out(mixed_BHLP.transpose(1, 2).flatten(2))
        return x_BLD + self.swiglu(rms_norm(x_BLD))


def _keep(kept: dict[Keep, list[Tensor]], **made: Tensor) -> None:
    for name in kept.keys() & made.keys():
        kept[name].append(made[name])
