"""The loop for independent rows, on a regression whose every number can be computed by hand."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from experiments.common.fit import fit, planned_steps, read_state
from experiments.common.member import Member, Voice
from experiments.common.settings import TrainingSettings
from experiments.common.task import measure, sample, using
from experiments.common.world import World
from models.objective import read_weights

TERMS = ("square", "size")


class Regression:
    """Lines of 1 to 4 valid points each, and a penalty: two terms with counts of their own."""

    def __init__(self, weights=None, rows=24, val=10, dropout=0.0):
        torch.manual_seed(7)
        self.module = nn.Sequential(nn.Dropout(dropout), nn.Linear(3, 1))
        self.sizes = {"train": rows, "val": val}
        self.weights = read_weights(weights or {"square": 1.0, "size": 0.5}, TERMS)
        self.facts = {"rows": rows}
        self.x = {part: torch.randn(size, 4, 3) for part, size in self.sizes.items()}
        self.valid = {part: torch.randint(1, 5, (size,)) for part, size in self.sizes.items()}
        self.asked = []

    def batch(self, rows, part):
        if part == "train":
            self.asked.append(rows.tolist())
        inside = torch.arange(4) < self.valid[part][rows][:, None]
        return self.x[part][rows], inside

    def counts(self, batch):
        x_BLF, inside_BL = batch
        return {"square": float(inside_BL.sum()), "size": float(len(x_BLF))}

    def totals(self, batch):
        x_BLF, inside_BL = batch
        y_BL = self.module(x_BLF)[..., 0]
        square = ((y_BL - x_BLF.sum(-1)) ** 2)[inside_BL].sum()
        return {"square": square, "size": (self.module[1].weight ** 2).sum() * len(x_BLF)}

    def scores(self):
        return {"weight": float(self.module[1].weight.sum())}


class Run:
    """What a member of a run writes, kept: the part of `track.Run` that the loop uses."""

    def __init__(self, folder):
        self.dir, self.rank, self.points, self.alerts = folder, 0, {}, []
        self.stop_after = math.inf

    def log(self, values, step):
        for name, value in values.items():
            self.points.setdefault(name, {})[step] = float(value)

    def should_stop(self):
        self.stop_after -= 1
        return self.stop_after < 0

    def checkpoint_dir(self, step):
        folder = self.dir / "checkpoints" / f"step_{step}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def checkpoint(self, folder, step):
        (folder / "manifest.json").write_text(f'{{"step": {step}}}')
