"""The identity table: one trained vector per puzzle identifier, moved by sparse sign-SGD.

The method of HRM's code (models/sparse_embedding.py), which TRM and URM keep. The table is a buffer
of up to a million rows, of which a batch names a few hundred: those are looked up as a leaf that
gets a gradient, and only those are moved. There is no state beside the table. An identifier may
name several rows, which the core sums (ours).

Shapes: N rows of the table, D width, B examples, I rows an example names, R = all named rows.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.arc import COLOURS, parse_identifier
from models.puzzles import BLANK

Identity = Literal["whole", "parts"]


class IdentityTable(nn.Module):
    """The table, zero at the start: a puzzle is like any other until it has earned its vector."""

    weight: Tensor

    def __init__(self, rows: int, width: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(rows, width))

    def lookup(self, ids_BI: Tensor) -> Tensor:
        """The named rows as a new leaf [B, I, D] that gets a gradient."""
        return self.weight[ids_BI].requires_grad_()


@torch.no_grad()
def sign_sgd_(
    table: IdentityTable,
    ids_BI: Tensor,
    grads_BID: Tensor,
    lr: float | Tensor,
    weight_decay: float,
) -> None:
    """Move the rows that `ids_BI` names, in place; see `sign_sgd`."""
    ids_R, grads_RD = ids_BI.flatten(), grads_BID.flatten(0, -2)
    # Rows that are named twice are written twice, with the same values.
    table.weight[ids_R] = sign_sgd(table.weight[ids_R], ids_R, grads_RD, lr, weight_decay)


@torch.no_grad()
def sign_sgd(
    rows_RD: Tensor, ids_R: Tensor, grads_RD: Tensor, lr: float | Tensor, weight_decay: float
) -> Tensor:
    """The named rows after one step: p * (1 - lr * weight_decay) - lr * sign(summed gradient).

    The gradients of equal ids are summed first. Several processes that give each the ids and
    gradients of all (gathered in any order) get what one process with the whole batch gets.

    Nothing is read back to the host and shapes are fixed, so there is no `unique`: a matrix of
    which ids are equal sums the gradients. It is float64, so that the order of rows turns no sign.
    """
    equal_RR = ids_R[:, None] == ids_R[None, :]
    sums_RD = equal_RR.double() @ grads_RD.double()
    # A matrix product may round equal rows in different ways: all take the first one's.
    first_R = equal_RR.byte().argmax(1)
    signs_RD = sums_RD[first_R].sign().to(rows_RD.dtype)
    return rows_RD * (1 - lr * weight_decay) - lr * signs_RD


def identity_rows(names: Sequence[str], identity: Identity) -> NDArray[np.int64]:
    """The table rows that each identifier names, [identifiers, I]; row 0 is BLANK, the first name.

    "whole": a row of its own (HRM, TRM, URM). "parts", ours: the row of its task and the row of its
    symmetry, so that what is learned is shared between the views of a task. Parts are read from the
    identifiers of ARC sets (models/arc.py).

    Raises:
        ValueError: "parts" of names that it cannot tell apart: recoloured tasks, or no tasks.
    """
    if identity == "whole":
        return np.arange(len(names))[:, None]
    parts = [_parts(name) for name in names[1:]]
    if not parts:
        raise ValueError(
            f'identity="parts": this set has no tasks, only {BLANK!r}; use identity="whole"'
        )
    row = {task: 1 + i for i, task in enumerate(dict.fromkeys(task for task, _ in parts))}
    symmetries = 1 + len(row)
    return np.array([(0, 0), *((row[task], symmetries + s) for task, s in parts)], np.int64)


def rows_needed(rows_PI: NDArray[np.int64]) -> int:
    """Rows that a table must have for these identifiers."""
    return int(rows_PI.max()) + 1


def _parts(name: str) -> tuple[str, int]:
    """Task and symmetry of an identifier."""
    task, symmetry, colours = parse_identifier(name)
    if colours != tuple(range(COLOURS)):
        raise ValueError(
            f'identity="parts" names task and symmetry only, and {name!r} has other colours: '
            'build the set without recolouring, or use identity="whole"'
        )
    return task, symmetry
