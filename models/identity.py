"""The identity table: one trained vector per puzzle identifier, moved by sparse sign-SGD.

HRM (code: models/sparse_embedding.py), also TRM and URM. The table is a buffer of up to a million
rows; a batch names a few hundred. The rows of a batch are looked up as a leaf that gets a gradient,
and only those rows are moved. An identifier may name several rows that the core sums (ours).

Shapes: N rows of the table, D width, B rows of a batch, I table rows an example names, R = B * I.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Identity = Literal["whole", "parts"]


class IdentityTable(nn.Module):
    """The table, zero at the start: a puzzle is "no puzzle" until it has earned its vector."""

    weight: Tensor

    def __init__(self, rows: int, width: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(rows, width))

    def lookup(self, ids_BI: Tensor) -> Tensor:
        """The named rows as a new leaf [B, I, D] that gets a gradient."""
        raise NotImplementedError


@torch.no_grad()
def sign_sgd(
    weight_ND: Tensor, ids_R: Tensor, grads_RD: Tensor, lr: float | Tensor, weight_decay: float
) -> Tensor:
    """The new values [R, D] of the rows that `ids_R` names; equal ids get equal values."""
    raise NotImplementedError


@torch.no_grad()
def sign_sgd_(
    table: IdentityTable,
    ids_BI: Tensor,
    grads_BID: Tensor,
    lr: float | Tensor,
    weight_decay: float,
) -> None:
    """Move the rows that a batch names, in place."""
    raise NotImplementedError


def identity_rows(names: Sequence[str], identity: Identity) -> NDArray[np.int64]:
    """The table rows [identifiers, I] that each identifier names."""
    raise NotImplementedError


def rows_needed(rows_PI: NDArray[np.int64]) -> int:
    """Rows that a table must have for these names."""
    raise NotImplementedError
