"""Train a small language model, with a teacher or without one.

    python experiments/distill/train.py [key=value ...]

Settings come from `exp` (EXP_CONFIG) or the arguments; see settings.py. A teacher is trained by
this program too (weights=ce:1, no teacher). Exit codes: experiments/common/programs.py.
"""

import os
import sys
from pathlib import Path

# Waiting threads give way: on busy cores spinning made steps up to a hundred times longer.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# A program is started by its path, so Python looks for packages here and not in the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from experiments.common.programs import train_program
from experiments.distill.settings import read_settings
from experiments.distill.system import train

if __name__ == "__main__":
    train_program({}, read_settings, train)
