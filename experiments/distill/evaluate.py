"""Score the checkpoints of language models on text that is held out.

    python experiments/distill/evaluate.py [checkpoint=PATH] [key=value ...]

The averaged weights are scored, beside the teacher and answers that need no model. Exit codes: 0
all evaluated, 1 there is no checkpoint, 93 a checkpoint or a setting cannot be used.
"""

import os
import sys
from pathlib import Path

# As in train.py.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from experiments.common.evaluate import evaluate_run
from experiments.distill.system import SYSTEM
from orchestrator import track

if __name__ == "__main__":
    evaluate_run(track.init(), SYSTEM, sys.argv[1:])
