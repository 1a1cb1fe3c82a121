"""`python -m orchestrator.actions.rehearsal.keeper FOLDER`: ends what a killed rehearsal left.

A stage's shim outlives whoever started it. This process waits for the end of its standard input,
which the rehearsal holds: when that is gone, however it went, nothing of it may go on.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator import procs
from orchestrator.actions.rehearsal.folders import Stamp


@contextmanager
def guarded(stamp: Stamp) -> Iterator[None]:
    """See that no process of a rehearsal outlives the block, nor this process itself."""
    keeper = subprocess.Popen(
        [sys.executable, "-m", __name__, str(stamp.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,  # a Ctrl-C is not meant for it
    )
    try:
        yield
    finally:
        end_all(stamp)
        if keeper.stdin is not None:
            keeper.stdin.close()
        keeper.wait()


def end_all(stamp: Stamp) -> int:
    """Kill every process of the stages of a rehearsal; returns how many there were."""
    reaped = [procs.kill_run(folder.path) for folder in stamp.stages()]
    return sum(one.ended + one.survivors for one in reaped)


if __name__ == "__main__":
    while os.read(0, 4096):
        pass
    end_all(Stamp(Path(sys.argv[1])))
