"""A regression with two terms, trained by the loop that SAGE and the language models share.

    python tests/regression.py [key=value ...]

Rows are lines of 1 to 4 valid points; `spoilt` makes one row infinite, `hidden` one of padding.
"""

import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from torch import nn

from experiments.common.checkpoints import seed_everything
from experiments.common.fit import fit
from experiments.common.member import Member, Voice
from experiments.common.programs import run_program
from experiments.common.settings import TrainingSettings, check_training, read_typed
from models.objective import read_weights
from orchestrator import track

CONFIG = {
    "steps": 40,
    "batch": 6,
    "lr": 0.05,
    "warmup": 5,
    "ema": 0.8,
    "eval_every": 10,
    "checkpoint_every": 5,
    "log_every": 1,
    "threads": 1,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(TrainingSettings):
    """Of the training, and of the data."""

    weights: dict = field(default_factory=lambda: {"square": 1.0, "size": 0.5})
    rows: int = 24
    spoilt: int = -1
    hidden: int = -1
    spoilt_val: int = -1
    dropout: float = 0.2


def read_settings(config, argv=()):
    """As the programs of the repository read theirs."""
    settings = Settings(**read_typed(Settings, config, argv, "regression.py"))
    check_training(settings)
    return settings


class Regression:
    """Learns to add three numbers; what the elements weigh differs from term to term."""

    def __init__(self, settings):
        seed_everything(settings.seed)
        self.module = nn.Sequential(nn.Dropout(settings.dropout), nn.Linear(3, 1))
        self.sizes = {"train": settings.rows, "val": 10}
        self.weights = read_weights(settings.weights, ("square", "size"))
        self.facts = {"rows": settings.rows}
        self.attached = {}
        self.lower_is_better = frozenset()
        maker = torch.Generator().manual_seed(7)
        self.x = {p: torch.randn(n, 4, 3, generator=maker) for p, n in self.sizes.items()}
        self.valid = {
            part: torch.randint(1, 5, (size,), generator=maker) for part, size in self.sizes.items()
        }
        if settings.spoilt >= 0:
            self.x["train"][settings.spoilt] = torch.inf
        if settings.spoilt_val >= 0:
            self.x["val"][settings.spoilt_val] = torch.inf
        if settings.hidden >= 0:
            self.valid["train"][settings.hidden] = 0

    def batch(self, rows, part):
        """Points [B, 4, 3], and which of them are valid."""
        return self.x[part][rows], torch.arange(4) < self.valid[part][rows][:, None]

    def counts(self, batch):
        """Points and rows."""
        points, inside = batch
        return {"square": float(inside.sum()), "size": float(len(points))}

    def totals(self, batch):
        """Squared errors of the points; the size of the weights, once a row."""
        points, inside = batch
        errors = self.module(points)[..., 0] - points.sum(-1)
        size = (self.module[1].weight ** 2).sum()
        return {"square": (errors[inside] ** 2).sum(), "size": size * len(points)}

    def scores(self):
        """Something that is better when higher."""
        return {"weight": float(self.module[1].weight.sum())}


if __name__ == "__main__":
    run = track.init(config=asdict(Settings()))
    run_program(
        run,
        lambda: read_settings(run.config, sys.argv[1:]),
        lambda settings, world: fit(
            Voice(run=run, member=Member()),
            Regression(settings),
            settings,
            world,
            track.resume_path(),
        ),
    )
