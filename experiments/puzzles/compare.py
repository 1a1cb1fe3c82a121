"""Train several models with several seeds on the same puzzles, in one run, and compare them.

    python experiments/puzzles/compare.py        under exp: the spec's [params] name the members

Members and seeds: experiments/common/compare.py. Each member is scored on all test puzzles. Exit
codes as train.py.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

# As in train.py.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from experiments.common.compare import compare_members
from experiments.common.member import Voice
from experiments.common.system import System
from experiments.common.world import World
from experiments.puzzles.evaluation import evaluate, shortened
from experiments.puzzles.settings import Settings, read_settings
from experiments.puzzles.state import load_average, read
from experiments.puzzles.study import build
from experiments.puzzles.train import train
from models.puzzles import read_split
from orchestrator import track


def scorer(_voice: Voice, settings: Settings, world: World) -> Callable[[Path], dict[str, float]]:
    """Scores of a checkpoint on all test puzzles."""
    study = build(settings, world)
    split = shortened(read_split(study.folder, "test"), settings.seed)

    def score(checkpoint: Path) -> dict[str, float]:
        load_average(study, read(checkpoint))
        weights = dict(study.core.named_parameters())
        return evaluate(study, weights, split, settings).scores

    return score


SYSTEM = System(
    kind=Settings,
    read=read_settings,
    train=train,
    scorer=scorer,
    state=read,
)

if __name__ == "__main__":
    compare_members(track.init(config=asdict(Settings())), SYSTEM)
