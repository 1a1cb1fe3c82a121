"""The long version, which `make chaos` starts: many rounds with fresh seeds."""

import argparse
import random
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from chaos.rounds import play_round


def main() -> int:
    """Play rounds of consecutive seeds; the exit code says whether all were well."""
    parser = argparse.ArgumentParser(description="kill -9 of everything at random instants")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=None, help="of the first round")
    parser.add_argument("--jobs", type=int, default=4, help="rounds at once")
    asked = parser.parse_args()
    first = random.SystemRandom().randrange(10**6) if asked.seed is None else asked.seed
    print(f"{asked.rounds} rounds, SEED={first}", flush=True)
    folder, begun = Path(tempfile.mkdtemp(prefix="exp-chaos-")), time.monotonic()
    bad = 0
    with ThreadPoolExecutor(asked.jobs) as pool:
        seeds = range(first, first + asked.rounds)
        for seed, wrong in zip(
            seeds, pool.map(lambda s: play_round(s, folder), seeds), strict=True
        ):
            if wrong:
                bad += 1
                print(*wrong, f"make chaos SEED={seed} ROUNDS=1", sep="\n", flush=True)
            else:
                print(f"{time.monotonic() - begun:6.0f} s  seed {seed} ok", flush=True)
    if not bad:
        shutil.rmtree(folder)
        print(f"all {asked.rounds} rounds went well")
        return 0
    print(f"{bad} of {asked.rounds} rounds went wrong; workspaces in {folder}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
