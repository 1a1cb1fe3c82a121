"""Train several language models with several seeds in one run, and compare them.

    python experiments/distill/compare.py        under exp: the spec's [params] name the members

Members and seeds: experiments/common/compare.py. A member may be another one's teacher
(teacher=member:NAME), if it comes before. Exit codes as train.py.
"""

import os
import sys
from pathlib import Path

# As in train.py.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from experiments.common.compare import compare_members
from experiments.distill.system import SYSTEM
from orchestrator import track

if __name__ == "__main__":
    compare_members(track.init(), SYSTEM)
