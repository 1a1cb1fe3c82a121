"""SAGE's original student as it ran, built from PyTorch's own layers, with the weights of ours.

`nn.TransformerEncoder`, a mask of padding that is always there, and scaled dot products that keep
the whole matrix of scores in float32: the 6.36 GiB that the seed's log could not allocate are
8 rows * 8 heads * 5,164^2 tokens * 4 bytes. Written from facts; no code of the original is used.
"""

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from models.sage import Layer, Sage, SageConfig, SageOutput


class Comparator(nn.Module):
    """Features [B, L, F] and valid [B, L] to what `Sage` of the same configuration says."""

    def __init__(self, config: SageConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.projection = nn.Sequential(
            nn.Linear(config.features, width), nn.LayerNorm(width), nn.GELU()
        )
        self.positions = nn.Embedding(config.tokens, width)
        layer = nn.TransformerEncoderLayer(
            width,
            config.heads,
            config.feedforward,
            config.dropout,
            batch_first=True,
            norm_first=True,
        )
        self.encoder = nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=False)
        self.decoder = nn.Sequential(
            *(nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(config.dropout)),
            *(nn.Linear(2 * width, 4 * width), nn.GELU(), nn.Dropout(config.dropout)),
            nn.Linear(4 * width, config.side**2 * config.colours),
        )
        self.reconstruct = nn.Linear(width, config.features)

    def forward(self, features_BLF: Tensor, valid_BL: Tensor) -> SageOutput:
        positions = torch.arange(features_BLF.shape[1], device=features_BLF.device)
        x_BLD = self.projection(features_BLF) + self.positions(positions)
        with sdpa_kernel(SDPBackend.MATH):
            x_BLD = self.encoder(x_BLD, src_key_padding_mask=~valid_BL)
        real_BL1 = valid_BL[..., None].to(x_BLD.dtype)
        mean_BD = (x_BLD * real_BL1).sum(1) / real_BL1.sum(1)
        return SageOutput(
            cells_BSC=self.decoder(mean_BD).unflatten(-1, (-1, self.config.colours)),
            height_BM=None,
            width_BM=None,
            reconstructed_BPF=self.reconstruct(x_BLD),
            tokens_BPF=features_BLF,
            valid_BP=valid_BL,
        )


@torch.no_grad()
def twin(net: Sage) -> Comparator:
    """The comparator with the weights of `net`, an ORIGINAL with its projector, on its device."""
    model = Comparator(net.config).to(net.positions.weight.device)
    model.projection.load_state_dict(net.projection.state_dict())
    model.positions.load_state_dict(net.positions.state_dict())
    model.decoder.load_state_dict(net.decoder.mlp.state_dict())
    model.reconstruct.load_state_dict(net.reconstruct.state_dict())
    for theirs, ours in zip(model.encoder.layers, net.encoder, strict=True):
        _copy_layer(theirs, ours)
    return model


def _copy_layer(theirs: nn.TransformerEncoderLayer, ours: Layer) -> None:
    attention = ours.attention
    for name in ("weight", "bias"):
        parts = [getattr(part, name) for part in (attention.query, attention.key_value)]
        getattr(theirs.self_attn, f"in_proj_{name}").copy_(torch.cat(parts))
    theirs.self_attn.out_proj.load_state_dict(attention.out.state_dict())
    theirs.norm1.load_state_dict(ours.attention_norm.state_dict())
    theirs.norm2.load_state_dict(ours.norm.state_dict())
    theirs.linear1.load_state_dict(ours.up.state_dict())
    theirs.linear2.load_state_dict(ours.down.state_dict())
