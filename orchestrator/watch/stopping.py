"""Asking a run to end: the reason first, then the signal."""

from orchestrator.codec import encode
from orchestrator.domain.run import RunRecord, StopRequest
from orchestrator.executors import executor_for
from orchestrator.fsio import write_once
from orchestrator.workspace import RunFolder


def request_stop(folder: RunFolder, record: RunRecord, request: StopRequest) -> bool:
    """Write stop.json, then signal the shim; False if nobody was there to be asked.

    The first reason stands: a second request only repeats the signal.
    """
    attempts = folder.attempts()
    if not attempts:
        return False
    write_once(attempts[-1].stop_file, encode(request))
    return executor_for(record.executor).stop(attempts[-1])
