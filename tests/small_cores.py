"""Cores small enough to write their loops out, and a question for them."""

import torch

from models.recurrent import CoreConfig, RecurrentCore
from models.trm import trm_plan

CPU = torch.device("cpu")


def config(**changes):
    sizes = {
        "vocabulary": 5,
        "side": 2,
        "layers": {"net": 2},
        "plan": trm_plan(2, 2),
        "width": 8,
        "heads": 2,
        "inner_multiple": 8,
    }
    return CoreConfig(**(sizes | changes))


def core(**changes):
    """A core whose heads answer something: the q-head's zeros would hide its gradient."""
    torch.manual_seed(0)
    model = RecurrentCore(config(**changes))
    torch.nn.init.normal_(model.q_head.weight)
    return model


def question(rows=2, width=8):
    """Cells, and two identity vectors a row that take gradient."""
    torch.manual_seed(1)
    cells = torch.randint(0, 5, (rows, 4))
    return cells, torch.randn(rows, 2, width, dtype=torch.float64, requires_grad=True)
