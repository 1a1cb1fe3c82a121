"""The network of the seed's "HRM" log: 5,667,597 parameters, kept as a named baseline.

It is not HRM (2506.21734): seven plain transformer layers in two stacks. What it is:

    7 post-norm layers with ReLU, width 256, 8 heads, inner 1,024, dropout 0.1   7 x 789,760
    h through 4 of them and a norm; l += A h; l through 3 and a norm; h += B l   2 x 65,792 + 1,024
    halting: sigmoid(w [mean h; mean l]), up to 8 cycles                         513
    token embedding 12 x 256 and sinusoidal positions; output Linear from l      3,072 + 3,084

What is wrong with it, found in its log and code, and kept because it is a baseline:

    the input is one grid: no identity and no demonstration says which task it is
    all cycles are back-propagated through, with no supervision in between
    the batch halts as one, when the mean halting probability is over 0.9
    its training added 0.01 * mean(halting probability), to "encourage fewer cycles": it pushes that
    probability to 0, so all 8 cycles always ran
    its training scored all 900 cells, padding included; it ended by answering zeros everywhere

models/hrm.py `small()` is HRM proper at the same depth and width.

Shapes: B rows, S cells, D width, V vocabulary.
"""

import torch
from torch import Tensor, nn

WIDTH, HEADS, INNER, DROPOUT = 256, 8, 1024, 0.1
HIGH_LAYERS, LOW_LAYERS = 4, 3
CYCLES, HALT_OVER = 8, 0.9


class PlainHRM(nn.Module):
    """Two stacks of plain transformer layers that add to each other, up to eight times."""

    position_SD: Tensor

    def __init__(self, vocabulary: int = 12, cells: int = 900) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, WIDTH)
        self.register_buffer("position_SD", sinusoids(cells, WIDTH), persistent=False)
        self.high = nn.ModuleList(_layer() for _ in range(HIGH_LAYERS))
        self.low = nn.ModuleList(_layer() for _ in range(LOW_LAYERS))
        self.high_norm = nn.LayerNorm(WIDTH)
        self.low_norm = nn.LayerNorm(WIDTH)
        self.high_to_low = nn.Linear(WIDTH, WIDTH)
        self.low_to_high = nn.Linear(WIDTH, WIDTH)
        self.halt = nn.Linear(2 * WIDTH, 1)
        self.output = nn.Linear(WIDTH, vocabulary)

    def forward(self, cells_BS: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [B, S, V], and the halting probability [B] of the cycle they come from.

        All cycles are computed, and what comes after the halt is dropped: the same numbers as
        stopping there, and the host need not wait for the device to know.
        """
        x_BSD = self.tokens(cells_BS) + self.position_SD
        high_BSD, low_BSD = x_BSD, x_BSD
        halt_B = x_BSD.new_zeros(len(x_BSD))
        going = torch.ones((), dtype=torch.bool, device=x_BSD.device)
        answer_BSD = low_BSD
        for _ in range(CYCLES):
            high_BSD, low_BSD = self._cycle(high_BSD, low_BSD)
            said_B = self._halt(high_BSD, low_BSD)
            answer_BSD = low_BSD.where(going, answer_BSD)
            halt_B = said_B.where(going, halt_B)
            going = going & (said_B.mean() <= HALT_OVER)
        return self.output(answer_BSD), halt_B

    def _cycle(self, high_BSD: Tensor, low_BSD: Tensor) -> tuple[Tensor, Tensor]:
        for layer in self.high:
            high_BSD = layer(high_BSD)
        high_BSD = self.high_norm(high_BSD)
        low_BSD = low_BSD + self.high_to_low(high_BSD)
        for layer in self.low:
            low_BSD = layer(low_BSD)
        low_BSD = self.low_norm(low_BSD)
        return high_BSD + self.low_to_high(low_BSD), low_BSD

    def _halt(self, high_BSD: Tensor, low_BSD: Tensor) -> Tensor:
        means_BE = torch.cat((high_BSD.mean(1), low_BSD.mean(1)), -1)
        return self.halt(means_BE).squeeze(-1).sigmoid()


def _layer() -> nn.TransformerEncoderLayer:
    return nn.TransformerEncoderLayer(WIDTH, HEADS, INNER, DROPOUT, batch_first=True)


def sinusoids(positions: int, width: int) -> Tensor:
    """Positions [S, D] of 1706.03762 sec. 3.5: sines in even channels, cosines in odd ones."""
    frequencies = 10_000.0 ** (-torch.arange(0, width, 2) / width)
    angles = torch.arange(positions)[:, None] * frequencies
    return torch.stack((angles.sin(), angles.cos()), -1).flatten(1)
