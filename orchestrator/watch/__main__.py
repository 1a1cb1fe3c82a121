"""`python -m orchestrator.watch ROOT [--forever]`: the watcher that other commands start.

With `--forever`, as in the systemd unit, it stays when there is nothing to do.
"""

import sys
from pathlib import Path

from orchestrator.errors import ConflictError
from orchestrator.watch.daemon import run_watcher
from orchestrator.workspace import Workspace


def main() -> int:
    """Watch the workspace named on the command line; a second watcher leaves at once."""
    try:
        run_watcher(Workspace(Path(sys.argv[1])), forever="--forever" in sys.argv[2:])
    except ConflictError:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
