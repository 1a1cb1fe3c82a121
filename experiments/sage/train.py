"""Train SAGE: from frozen features of a question to the grid that answers it.

    python experiments/sage/train.py [key=value ...]

Settings come from `exp` (EXP_CONFIG) or the arguments; see settings.py. Features are extracted
first where they are not in the cache. Exit codes: experiments/common/programs.py.
"""

import os
import sys
from pathlib import Path

# Waiting threads give way: on busy cores spinning made steps up to a hundred times longer.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# A program is started by its path, so Python looks for packages here and not in the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from experiments.common.programs import train_program
from experiments.sage.settings import read_settings
from experiments.sage.system import train

if __name__ == "__main__":
    train_program({}, read_settings, train)
