"""SAGE: from frozen features of a question to the grid that answers it.

Two configurations of one network. ORIGINAL is the student of the seeds' logs, 44,101,928
parameters; its figures are golden tests:

    projection   Linear 2048 -> 512, LayerNorm, GELU                        1,050,112
    positions    one learned vector for each of 6,000 tokens                3,072,000
    encoder      6 pre-norm layers, 8 heads, inner 2,048, ReLU, dropout     18,914,304
    decoder      mean over tokens, 512 -> 1,024 -> 2,048 -> 30 * 30 * 10    21,065,512

`student` is what stands in its place, each change with its reason:

    decoder "cells"    a learned query per cell attends to the tokens; one mean of all tokens, as in
                       the original, cannot hold 900 cells
    shape_head         the size of the answer is predicted, so no cell outside of it is
    reconstruct        the projector back to features is part of the module, hence of the optimizer
                       and of checkpoints; the original's was neither trained nor saved
    pool               neighbouring tokens are averaged before the encoder, whose attention costs
                       by the square of their number
    aligned            where tokens are the cells of the canvas, a cell's query starts from its own
                       token; without it what stands where has to be found out first, which real
                       tasks are too few for
    start "scaled"     weights from 1 / sqrt(inputs) and vectors from 1 instead of 0.02 for all: it
                       finds which token a cell is about in half the steps

Both attend by `F.scaled_dot_product_attention` and keep no matrix of scores. For this the weights
of attention are not dropped out, as those of the original were: on the CPU PyTorch would compute
the whole matrix for it. Everything else of a layer is that of `nn.TransformerEncoderLayer` and
`nn.TransformerDecoderLayer` with `norm_first`.

Shapes: B rows, L tokens, P pooled tokens, F feature width, D model width, S cells of a canvas
(side * side), C colours, M sizes of a side (1 to `side`), Q queries, H heads.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.arc import COLOURS, FIRST_COLOUR, LARGEST, PAD


@dataclass(frozen=True, slots=True, kw_only=True)
class SageConfig:
    """Sizes of the network; the defaults are the original's.

    `tokens` is the most a row may have after pooling. `decoder_layers` counts those of "cells";
    "pooled" has none. `aligned` says that token s of every row is cell s of the canvas.

    Raises:
        ValueError: a size below 1, a width that the heads cannot share, a dropout outside of
            0..1, or an unknown decoder or start.
    """

    features: int = 2048
    width: int = 512
    layers: int = 6
    heads: int = 8
    feedforward: int = 2048
    dropout: float = 0.1
    tokens: int = 6000
    pool: int = 1
    side: int = LARGEST
    colours: int = COLOURS
    decoder: Literal["pooled", "cells"] = "pooled"
    decoder_layers: int = 2
    aligned: bool = False
    shape_head: bool = False
    reconstruct: bool = False
    start: Literal["fixed", "scaled"] = "fixed"

    def __post_init__(self) -> None:
        for size in fields(self):
            if size.type is int and getattr(self, size.name) < 1:
                raise ValueError(f"{size.name}={getattr(self, size.name)}: choose at least 1")
        if self.width % self.heads:
            raise ValueError(f"width={self.width} is no multiple of heads={self.heads}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout={self.dropout}: choose from 0 to below 1")
        if self.decoder not in ("pooled", "cells"):
            raise ValueError(f'decoder={self.decoder!r}: choose "pooled" or "cells"')
        if self.aligned and (self.decoder, self.pool, self.tokens) != ("cells", 1, self.side**2):
            raise ValueError(
                f"aligned: cells of a canvas are {self.side**2} tokens, not pooled, for the decoder"
                f' "cells"; here tokens={self.tokens}, pool={self.pool}, decoder={self.decoder!r}'
            )
        if self.start not in ("fixed", "scaled"):
            raise ValueError(f'start={self.start!r}: choose "fixed" or "scaled"')


ORIGINAL = SageConfig()
_STUDENT = replace(
    ORIGINAL, decoder="cells", shape_head=True, reconstruct=True, pool=4, start="scaled"
)


def student(**changes: Any) -> SageConfig:
    """The rebuilt one, at the original's size but for the changes; the inner width follows D."""
    inner = {"feedforward": 4 * changes["width"]} if "width" in changes else {}
    return replace(_STUDENT, **inner | changes)


class SageOutput(NamedTuple):
    """What the network says; None where its configuration has no part that says it.

    `tokens_BPF` are the pooled features, in the type of the weights, which `reconstructed_BPF`
    stands for; `valid_BP` says which of them are tokens, None if all are.
    """

    cells_BSC: Tensor
    height_BM: Tensor | None
    width_BM: Tensor | None
    reconstructed_BPF: Tensor | None
    tokens_BPF: Tensor
    valid_BP: Tensor | None


def pad_tokens(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor | None]:
    """Features [L, F] of B rows as one tensor [B, longest L, F] of zeros behind them, and valid.

    `valid_BL` is None if all rows are equally long: attention without a mask is faster.

    Raises:
        ValueError: no rows, or one that is no matrix of floats, has no tokens, or is of another
            width or type than the first.
    """
    if not rows:
        raise ValueError("a batch of no rows; give at least one example's features")
    for place, row in enumerate(rows):
        if row.ndim != 2 or not row.is_floating_point():
            raise ValueError(f"row {place}: {row.dtype} {tuple(row.shape)}; expected floats [L, F]")
        if len(row) == 0:
            raise ValueError(f"row {place} has no tokens: all of it would be padding")
        if (row.shape[1], row.dtype) != (rows[0].shape[1], rows[0].dtype):
            raise ValueError(
                f"row {place}: {row.dtype} of width {row.shape[1]}, and row 0:"
                f" {rows[0].dtype} of width {rows[0].shape[1]}; a batch is of one kind"
            )
    lengths_B = torch.tensor([len(row) for row in rows])
    features_BLF = nn.utils.rnn.pad_sequence(list(rows), batch_first=True)
    if (lengths_B == lengths_B[0]).all():
        return features_BLF, None
    return features_BLF, torch.arange(features_BLF.shape[1]) < lengths_B[:, None]


def pool_valid(valid_BL: Tensor, pool: int) -> Tensor:
    """Which groups of `pool` neighbours have a token, [B, P]."""
    return _groups(valid_BL, pool).any(-1)


def pool_tokens(
    features_BLF: Tensor, valid_BL: Tensor | None, pool: int
) -> tuple[Tensor, Tensor | None]:
    """Means [B, P, F] over the tokens among `pool` neighbours, and which groups have any.

    What stands on padding does not count, not even NaN; a group of padding alone is 0.
    """
    if valid_BL is not None:
        features_BLF = features_BLF.masked_fill(~valid_BL[..., None], 0)
    if pool == 1:
        return features_BLF, valid_BL
    real_BL = features_BLF.new_ones(features_BLF.shape[:2]) if valid_BL is None else valid_BL
    counts_BP = _groups(real_BL, pool).sum(-1).clamp(min=1)
    sums_BPF = _groups(features_BLF.transpose(1, 2), pool).sum(-1).transpose(1, 2)
    pooled_BPF = sums_BPF / counts_BP[..., None].to(sums_BPF.dtype)
    return pooled_BPF, None if valid_BL is None else pool_valid(valid_BL, pool)


def _groups(x_L: Tensor, pool: int) -> Tensor:
    """[..., L] as [..., P, pool], zeros behind the last."""
    return F.pad(x_L, (0, -x_L.shape[-1] % pool)).unflatten(-1, (-1, pool))


class Attention(nn.Module):
    """Queries of x attend to the keys of a memory, with biases."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x_BQD: Tensor, memory_BPD: Tensor, mask_B11P: Tensor | None) -> Tensor:
        """Map [B, Q, D] to [B, Q, D]; the mask says which of the memory there is to attend to.

        x of one row stands for rows that are all alike, and is mapped to all rows of the memory.
        """
        query_BHQK = self.query(x_BQD).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        query_BHQK = query_BHQK.expand(len(memory_BPD), -1, -1, -1)
        both_BNPK = self.key_value(memory_BPD).unflatten(-1, (2 * self.heads, -1)).transpose(1, 2)
        key_BHPK, value_BHPK = both_BNPK.chunk(2, 1)
        mixed_BHQK = F.scaled_dot_product_attention(
            query_BHQK, key_BHPK, value_BHPK, attn_mask=mask_B11P
        )
        return self.out(mixed_BHQK.transpose(1, 2).flatten(2))


class Layer(nn.Module):
    """x += attention(norm x); with `cross` x += attention(norm x, memory); x += mlp(norm x).

    The norms stand before each part (pre-norm), dropout behind it; the mlp is down(relu(up)).
    """

    def __init__(self, config: SageConfig, *, cross: bool = False) -> None:
        super().__init__()
        width = config.width
        self.attention = Attention(width, config.heads)
        self.attention_norm = nn.LayerNorm(width)
        self.cross = Attention(width, config.heads) if cross else None
        self.cross_norm = nn.LayerNorm(width) if cross else None
        self.up = nn.Linear(width, config.feedforward)
        self.down = nn.Linear(config.feedforward, width)
        self.norm = nn.LayerNorm(width)
        self.drop = nn.Dropout(config.dropout)

    def forward(
        self,
        x_BQD: Tensor,
        mask_B11Q: Tensor | None = None,
        memory_BPD: Tensor | None = None,
        mask_B11P: Tensor | None = None,
    ) -> Tensor:
        """Map [B, Q, D] to [B, Q, D]."""
        normed_BQD = self.attention_norm(x_BQD)
        x_BQD = x_BQD + self.drop(self.attention(normed_BQD, normed_BQD, mask_B11Q))
        if self.cross is not None:
            crossed_BQD = self.cross(self.cross_norm(x_BQD), memory_BPD, mask_B11P)
            x_BQD = x_BQD + self.drop(crossed_BQD)
        inner_BQG = self.drop(F.relu(self.up(self.norm(x_BQD))))
        return x_BQD + self.drop(self.down(inner_BQG))


class PooledDecoder(nn.Module):
    """All cells at once from the mean over the tokens: the original's."""

    def __init__(self, config: SageConfig) -> None:
        super().__init__()
        width, cells = config.width, config.side**2
        self.colours = config.colours
        self.mlp = nn.Sequential(
            *(nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(config.dropout)),
            *(nn.Linear(2 * width, 4 * width), nn.GELU(), nn.Dropout(config.dropout)),
            nn.Linear(4 * width, cells * config.colours),
        )

    def forward(self, memory_BPD: Tensor, valid_BP: Tensor | None) -> tuple[Tensor, Tensor]:
        """Logits [B, S, C], and what the sizes are to be read from [B, 2, D]."""
        if valid_BP is None:
            mean_BD = memory_BPD.mean(1)
        else:
            real_BPD = memory_BPD.masked_fill(~valid_BP[..., None], 0)
            mean_BD = real_BPD.sum(1) / valid_BP.sum(1, keepdim=True)
        cells_BSC = self.mlp(mean_BD).unflatten(-1, (-1, self.colours))
        return cells_BSC, mean_BD[:, None].expand(-1, 2, -1)


class CellDecoder(nn.Module):
    """A query per cell, row vector + column vector, and one each for height and width."""

    def __init__(self, config: SageConfig) -> None:
        super().__init__()
        self.aligned = config.aligned
        self.rows = nn.Embedding(config.side, config.width)
        self.columns = nn.Embedding(config.side, config.width)
        self.sizes = nn.Embedding(2, config.width) if config.shape_head else None
        self.memory_norm = nn.LayerNorm(config.width)
        self.layers = nn.ModuleList(Layer(config, cross=True) for _ in range(config.decoder_layers))
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, config.colours)

    def forward(self, memory_BPD: Tensor, valid_BP: Tensor | None) -> tuple[Tensor, Tensor]:
        """Logits [B, S, C], and what the sizes are to be read from: [B, 2, D], or [B, 0, D]."""
        cells_SD = (self.rows.weight[:, None] + self.columns.weight).flatten(0, 1)
        # One row: until they see a memory the queries of all rows are alike, and computed once.
        cells_BSD = cells_SD + memory_BPD if self.aligned else cells_SD[None]
        sizes = [] if self.sizes is None else [self.sizes.weight.expand(len(cells_BSD), -1, -1)]
        x_BQD = torch.cat((cells_BSD, *sizes), 1)
        memory_BPD = self.memory_norm(memory_BPD)
        for layer in self.layers:
            x_BQD = layer(x_BQD, None, memory_BPD, key_mask(valid_BP))
        x_BQD = self.norm(x_BQD)
        cells = len(cells_SD)
        return self.head(x_BQD[:, :cells]), x_BQD[:, cells:]


class Sage(nn.Module):
    """Features of a question to logits of its answer's cells and size."""

    def __init__(self, config: SageConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.projection = nn.Sequential(
            nn.Linear(config.features, width), nn.LayerNorm(width), nn.GELU()
        )
        self.positions = nn.Embedding(config.tokens, width)
        self.encoder = nn.ModuleList(Layer(config) for _ in range(config.layers))
        decoder = PooledDecoder if config.decoder == "pooled" else CellDecoder
        self.decoder = decoder(config)
        self.height_head = nn.Linear(width, config.side) if config.shape_head else None
        self.width_head = nn.Linear(width, config.side) if config.shape_head else None
        self.reconstruct = nn.Linear(width, config.features) if config.reconstruct else None
        for module in self.modules():
            _start(module, config.start)

    def forward(self, features_BLF: Tensor, valid_BL: Tensor | None = None) -> SageOutput:
        """Read features [B, L, F] of any floating type; `valid_BL` says which are tokens.

        None: all are, and attention needs no mask. Rows of padding alone give NaN; `pad_tokens`
        makes none, and to look for them here the device would have to wait.

        Raises:
            ValueError: features of another shape or type, a mask that does not fit them, or more
                tokens than there are positions.
        """
        _check(self.config, features_BLF, valid_BL)
        typed_BLF = features_BLF.to(self.positions.weight.dtype)
        tokens_BPF, valid_BP = pool_tokens(typed_BLF, valid_BL, self.config.pool)
        x_BPD = self.projection(tokens_BPF) + self.positions.weight[: tokens_BPF.shape[1]]
        mask_B11P = key_mask(valid_BP)
        for layer in self.encoder:
            x_BPD = layer(x_BPD, mask_B11P)
        cells_BSC, sizes_B2D = self.decoder(x_BPD, valid_BP)
        return SageOutput(
            cells_BSC=cells_BSC,
            height_BM=None if self.height_head is None else self.height_head(sizes_B2D[:, 0]),
            width_BM=None if self.width_head is None else self.width_head(sizes_B2D[:, 1]),
            reconstructed_BPF=None if self.reconstruct is None else self.reconstruct(x_BPD),
            tokens_BPF=tokens_BPF,
            valid_BP=valid_BP,
        )


def key_mask(valid_BP: Tensor | None) -> Tensor | None:
    """The mask of attention, [B, 1, 1, P]: it is broadcast over heads and queries, not copied."""
    return None if valid_BP is None else valid_BP[:, None, None]


def canvases(output: SageOutput) -> Tensor:
    """Predicted answers as token canvases of models/arc.py, uint8 [B, S]; PAD outside of the grid.

    Without a shape head every answer is as large as the canvas: there is nothing that says less.
    """
    tokens_BS = (output.cells_BSC.argmax(-1) + FIRST_COLOUR).to(torch.uint8)
    if output.height_BM is None or output.width_BM is None:
        return tokens_BS
    inside = torch.arange(output.height_BM.shape[1], device=tokens_BS.device)
    rows_BM = inside <= output.height_BM.argmax(-1, keepdim=True)
    columns_BM = inside <= output.width_BM.argmax(-1, keepdim=True)
    inside_BS = (rows_BM[:, :, None] & columns_BM[:, None]).flatten(1)
    return tokens_BS.masked_fill(~inside_BS, PAD)


def _check(config: SageConfig, features_BLF: Tensor, valid_BL: Tensor | None) -> None:
    if features_BLF.ndim != 3 or features_BLF.shape[-1] != config.features:
        raise ValueError(
            f"features {tuple(features_BLF.shape)}; this network reads [B, L, {config.features}]:"
            " set features to what the extractor gives"
        )
    if not features_BLF.is_floating_point():
        raise ValueError(f"features of type {features_BLF.dtype}; expected a floating type")
    if valid_BL is not None and (
        valid_BL.dtype != torch.bool or valid_BL.shape != features_BLF.shape[:2]
    ):
        raise ValueError(
            f"valid is {valid_BL.dtype} {tuple(valid_BL.shape)}; expected torch.bool"
            f" {tuple(features_BLF.shape[:2])}, one for each token"
        )
    pooled = -(-features_BLF.shape[1] // config.pool)
    if not 1 <= pooled <= config.tokens:
        raise ValueError(
            f"{features_BLF.shape[1]} tokens, pooled by {config.pool}: {pooled}, and there are"
            f" positions for 1 to {config.tokens}; raise tokens or pool"
        )


def _start(module: nn.Module, start: Literal["fixed", "scaled"]) -> None:
    """Weights from a normal, biases 0; "fixed" is the original's."""
    if isinstance(module, nn.Linear):
        std = 0.02 if start == "fixed" else module.in_features**-0.5
        nn.init.normal_(module.weight, std=std)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=0.02 if start == "fixed" else 1.0)
