"""`exp run stop`: ask a run to end, and see that it does."""

import getpass
import time
from dataclasses import dataclass

from orchestrator.actions.follow import require_record
from orchestrator.domain.run import RunState, RunStatus, StopRequest
from orchestrator.watch.daemon import ensure_watcher
from orchestrator.watch.live import live_runs, state_of
from orchestrator.watch.stopping import request_stop
from orchestrator.workspace import RunFolder, Workspace

_MARGIN = 20.0  # seconds beyond the grace for killing a tree and writing the record


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """What came of a stop: `asked` is False if the run had ended before."""

    run: RunFolder
    asked: bool
    state: RunState


def stop_run(workspace: Workspace, folder: RunFolder, *, why: str) -> Stopped:
    """Ask a run to end and wait for its exit record, at most its grace and a margin."""
    record = require_record(folder)
    before = state_of(folder, record)
    if before.status is RunStatus.ENDED:
        return Stopped(run=folder, asked=False, state=before)
    request_stop(folder, record, StopRequest(by=getpass.getuser(), why=why, time=time.time()))
    deadline = time.monotonic() + record.grace + _MARGIN
    while True:
        state = state_of(folder, record)
        if state.status is RunStatus.ENDED or time.monotonic() > deadline:
            break
        time.sleep(0.05)
    ensure_watcher(workspace)
    return Stopped(run=folder, asked=True, state=state)


def stop_all(workspace: Workspace, *, why: str) -> list[Stopped]:
    """Stop every live run of the workspace."""
    return [stop_run(workspace, folder, why=why) for folder, _, _ in list(live_runs(workspace))]
