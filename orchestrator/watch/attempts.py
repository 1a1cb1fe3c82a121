"""Asking for an attempt: its folder appears whole, with its request in it."""

import os
import shutil
import signal
import tempfile
from pathlib import Path

from orchestrator.codec import encode
from orchestrator.domain.attempt import AttemptRequest
from orchestrator.domain.run import ExitRecord, RunRecord, StopRequest
from orchestrator.errors import ConflictError, EnvironmentFailure
from orchestrator.fsio import sync_folder, to_json, write_atomic, write_once
from orchestrator.workspace import AttemptFolder, RunFolder


def request_attempt(folder: RunFolder, record: RunRecord, request: AttemptRequest) -> AttemptFolder:
    """Queue the next attempt of a run; a dispatcher starts it.

    The folder is renamed into place with everything in it, so that nobody ever sees half of it.

    Raises:
        ConflictError: somebody else asked for the same attempt a moment before.
        EnvironmentFailure: the run folder cannot be written.
    """
    attempt = folder.attempt(len(folder.attempts()) + 1)
    try:
        draft = Path(tempfile.mkdtemp(prefix=f".{attempt.path.name}.", dir=folder.path))
    except OSError as error:
        raise _failure(attempt, error) from error
    try:
        draft.chmod(folder.path.stat().st_mode & 0o777)
        write_atomic(AttemptFolder(draft, attempt.number).request_file, encode(request))
        if request.settings:
            settings = to_json(record.params | request.settings)
            write_atomic(AttemptFolder(draft, attempt.number).config_file, settings)
        draft.rename(attempt.path)
    except OSError as error:
        if attempt.path.exists():
            raise ConflictError(
                f"{folder.id}: {attempt.path.name} was asked for a moment ago by somebody else",
                hint=f"exp run show {folder.id}",
            ) from error
        raise _failure(attempt, error) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    sync_folder(folder.path)
    # Watchers remember which runs are finished until this folder changes.
    os.utime(folder.path.parent)
    return attempt


def end_unstarted(folder: RunFolder, attempt: AttemptFolder, stop: StopRequest) -> None:
    """Write the end of an attempt that nothing of was started; the queue's lock must be held."""
    reopen(folder)
    write_once(attempt.stop_file, encode(stop))
    record = ExitRecord(
        code=None,
        signal=signal.SIGTERM,
        started=stop.time,
        ended=stop.time,
        recorded_by="queue",
        error="stopped before the first command",
    )
    write_once(attempt.exit_file, encode(record))


def reopen(folder: RunFolder) -> None:
    """Before an attempt begins or ends: the end of an earlier one is not the run's end."""
    folder.published_file.unlink(missing_ok=True)


def _failure(attempt: AttemptFolder, error: OSError) -> EnvironmentFailure:
    return EnvironmentFailure(
        f"cannot create {attempt.path}: {error.strerror}", hint=f"df -h {attempt.path.parent}"
    )
