"""Features of questions: what an extractor is, and one that needs no weights.

An extractor is given one grid, the question, and nothing else: neither the answer, nor the
demonstrations, nor a name. So no answer can be in a feature, and a feature does not depend on what
was extracted beside it.

Shapes: S cells of a square canvas (side * side), H inner width, P width of positions, A heads,
L tokens, F feature width, C colours with the frame's.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from models.arc import COLOURS, LARGEST, Grid, generator

# The ten colours in which ARC tasks are shown everywhere, RGB; the frame stands around the grid.
PALETTE: Final = np.array(
    [
        *((0, 0, 0), (0, 116, 217), (255, 65, 54), (46, 204, 64), (255, 220, 0)),
        *((170, 170, 170), (240, 18, 190), (255, 133, 27), (127, 219, 255), (135, 12, 37)),
    ],
    np.uint8,
)
FRAME: Final = np.array((235, 235, 255), np.uint8)

STD: Final = 2.1  # of GR00T N1.5's features, from the original's own first loss (docs/sage.md)
_INNER, _HEADS = 256, 4
_REFERENCE_GRIDS = 32


class FeatureExtractor(Protocol):
    """Makes tokens of a question.

    `name` and `settings` (JSON values) say all that features depend on; `width` is F and `tokens`
    the largest L; `aligned` is whether token s is cell s of the canvas, in rows.
    """

    name: str
    settings: dict[str, Any]
    width: int
    tokens: int
    aligned: bool

    def extract(self, question: Grid) -> Tensor:
        """Features [L, F] of a grid [h, w], 1 <= L <= `tokens`, finite floats on the CPU.

        Raises:
            ValueError: the grid cannot be shown, and why.
        """
        ...


class Rendered:
    """A frozen random network over the picture of a question, one token a cell of the canvas.

    The picture is side x side, one pixel a cell, the grid at the top left and FRAME around it. Each
    pixel goes through a random layer, gets its place as sines and cosines of its row and column,
    and is mixed with the others by random self-attention; a random projection makes F of H. Means
    are 0 and standard deviations STD for each dimension, taken over random squares.

    All numbers come from the seed, by exact arithmetic, and are computed in double precision on the
    CPU: the same features in single precision on any machine, but for the rare number that lies
    between two.
    """

    name = "rendered"
    aligned = True

    def __init__(self, *, side: int, width: int = 2048, seed: int = 0) -> None:
        if not 1 <= side <= LARGEST:
            raise ValueError(f"side={side}; grids are 1 to {LARGEST} cells wide and high")
        if width < 1 or seed < 0:
            raise ValueError(f"width={width}, seed={seed}; a width is 1 or more, a seed 0 or more")
        self.settings: dict[str, Any] = {"side": side, "width": width, "seed": seed, "version": 1}
        self.side, self.width, self.tokens = side, width, side**2
        self._pixels_3H = _weights(seed, "pixels", 3, _INNER)
        self._thresholds_H = _weights(seed, "thresholds", 1, _INNER)[0]
        positions_SP = _positions(side)
        to_H = _weights(seed, "positions", positions_SP.shape[1], _INNER)
        self._positions_SH = positions_SP @ to_H
        self._query_key_value_H3H = _weights(seed, "attention", _INNER, 3 * _INNER)
        with _one_thread():
            self._mean_H, covariance_HH = self._reference(seed)
        out_HF = _weights(seed, "features", _INNER, width)
        variance_F = ((covariance_HH @ out_HF) * out_HF).sum(0)
        self._out_HF = out_HF * (STD / variance_F.sqrt())

    def extract(self, question: Grid) -> Tensor:
        """Features [side * side, F] of a grid, float32.

        Raises:
            ValueError: the grid is larger than the canvas.
        """
        with _one_thread():
            return ((self._mixed(question) - self._mean_H) @ self._out_HF).float()

    def _mixed(self, question: Grid) -> Tensor:
        """The inner tokens [S, H]."""
        pixels_S3 = torch.from_numpy(picture(question, self.side).reshape(-1, 3) / 127.5 - 1)
        colour_SH = F.relu(pixels_S3 @ self._pixels_3H + self._thresholds_H)
        tokens_SH = colour_SH + self._positions_SH
        heads_3ASK = (
            (_normalised(tokens_SH) @ self._query_key_value_H3H)
            .reshape(self.tokens, 3, _HEADS, -1)
            .permute(1, 2, 0, 3)
        )
        mixed_ASK = F.scaled_dot_product_attention(*heads_3ASK)
        return tokens_SH + mixed_ASK.permute(1, 0, 2).reshape(self.tokens, _INNER)

    def _reference(self, seed: int) -> tuple[Tensor, Tensor]:
        """Mean [H] and covariance [H, H] of the inner tokens over random squares of all sizes."""
        draw = generator("grids", seed, "features")
        shares = [0.55, *[0.05] * (COLOURS - 1)]  # half of the cells of ARC are background
        tokens = []
        for _ in range(_REFERENCE_GRIDS):
            size = int(draw.integers(1, self.side + 1))
            grid = draw.choice(COLOURS, size=(size, size), p=shares)
            tokens.append(self._mixed(grid.astype(np.uint8)))
        tokens_NH = torch.cat(tokens)
        return tokens_NH.mean(0), torch.cov(tokens_NH.T, correction=0)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums in one order on every machine; products this small are slower on several threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def picture(question: Grid, side: int) -> NDArray[np.uint8]:
    """RGB pixels [side, side, 3], one a cell: the grid at the top left, FRAME around it.

    Raises:
        ValueError: the grid is larger than the canvas.
    """
    height, width = question.shape
    if max(height, width) > side:
        raise ValueError(f"a grid of {height}x{width} does not fit in {side}x{side}")
    pixels = np.empty((side, side, 3), np.uint8)
    pixels[:] = FRAME
    pixels[:height, :width] = PALETTE[question]
    return pixels


def _positions(side: int) -> Tensor:
    """Rows and columns as sines and cosines [S, P].

    Frequencies are multiples, not powers: with as many as the largest grid has rows, a linear map
    can tell every row from every other.
    """
    waves_1K = math.pi / LARGEST * torch.arange(1, LARGEST + 1, dtype=torch.float64)
    angles_RK = (torch.arange(side, dtype=torch.float64)[:, None] + 0.5) * waves_1K
    waves_RP = torch.cat([angles_RK.sin(), angles_RK.cos()], dim=1)
    rows_SP = waves_RP.repeat_interleave(side, dim=0)
    columns_SP = waves_RP.repeat(side, 1)
    return torch.cat([rows_SP, columns_SP], dim=1)


def _weights(seed: int, purpose: str, rows: int, columns: int) -> Tensor:
    """A random matrix [rows, columns], uniform with mean 0 and variance 1 / rows."""
    numbers = generator(purpose, seed, "features").random((rows, columns))
    return torch.from_numpy((2 * numbers - 1) * math.sqrt(3 / rows))


def _normalised(tokens_SH: Tensor) -> Tensor:
    return F.layer_norm(tokens_SH, tokens_SH.shape[-1:])
