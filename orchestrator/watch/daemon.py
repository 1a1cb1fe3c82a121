"""The watcher as a process: one a workspace, started on demand, gone when nothing is left to do."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from types import FrameType

from orchestrator.errors import ConflictError, DamagedIndexError
from orchestrator.fsio import try_lock
from orchestrator.store import Reader
from orchestrator.store.database import set_aside
from orchestrator.watch.live import Pending
from orchestrator.workspace import Workspace

log = logging.getLogger(__name__)
TICK = 0.75  # seconds between two looks: a verdict is due within 1 s of its point
SLOWEST_TICK = 1.5  # seconds: a crash is to be noticed within 2
_SHARE = 0.01  # of a core, that looking may take; with many runs it looks less often
# A watcher started from inside a training program is no part of that run: bearing its variables it
# would be ended with it.
_OF_A_RUN = {
    "EXP_RUN_ID",
    "EXP_RUN_DIR",
    "EXP_ATTEMPT",
    "EXP_ATTEMPT_DIR",
    "EXP_CONFIG",
    "EXP_PHASE",
}
_KEEP_INTERVAL = 5.0  # seconds
_ASKED_SECONDS = 1.0  # who only asks whether a watcher is at work holds its lock for an instant
_REMAKES = 5  # of the index in one life; a disk that damages it again and again needs a person
_LOG_LIMIT = 1 << 20  # bytes of watcher.log after which a new one begins


def watcher_command(workspace: Workspace) -> list[str]:
    """The argv that starts a watcher for this workspace."""
    return [sys.executable, "-m", "orchestrator.watch", str(workspace.root)]


def ensure_watcher(workspace: Workspace) -> None:
    """Start a watcher in the background unless one is at work; cheap and safe to call often."""
    descriptor = try_lock(workspace.watcher_lock)
    if descriptor is None:
        return
    os.close(descriptor)
    with workspace.watcher_log.open("ab") as log:
        subprocess.Popen(
            watcher_command(workspace),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env={name: text for name, text in os.environ.items() if name not in _OF_A_RUN},
            start_new_session=True,
        )


def watcher_keeper(workspace: Workspace) -> Callable[[], None]:
    """A function to call in a polling loop: it sees every few seconds that a watcher is at work.

    Not at every call: a watcher that dies at its start must not be started five times a second.
    """
    due = 0.0

    def keep() -> None:
        nonlocal due
        if time.monotonic() >= due:
            due = time.monotonic() + _KEEP_INTERVAL
            ensure_watcher(workspace)

    return keep


def run_watcher(workspace: Workspace, *, forever: bool = False) -> None:
    """Tick until nothing is left to do (or until a signal, with `forever`).

    Raises:
        ConflictError: another watcher holds the workspace.
    """
    workspace.prepare_state()
    stop = _flag_on_signals()
    given_up: frozenset[str] | None = None
    # A run that starts while the lock is being released found it held and started no watcher:
    # so look once more after every release.
    while given_up is None or (_work_left(workspace, given_up) and not stop):
        descriptor = try_lock(workspace.watcher_lock, patience=_ASKED_SECONDS)
        if descriptor is None:
            if given_up is not None:
                return
            raise ConflictError(
                f"another watcher is at work in {workspace.root}", hint="nothing needs to be done"
            )
        try:
            given_up = _loop(workspace, stop, forever=forever)
        finally:
            os.close(descriptor)


def _work_left(workspace: Workspace, given_up: frozenset[str]) -> bool:
    with Reader(workspace.database) as reader:
        return any(folder.id not in given_up for folder in Pending(workspace, reader).folders())


def _loop(workspace: Workspace, stop: list[int], *, forever: bool) -> frozenset[str]:
    """Tick until there is nothing to wait for; return the runs that were given up.

    Files are the truth: an index that is damaged or gone is set aside and made again from them.
    """
    _open_log(workspace)
    for _ in range(_REMAKES):
        try:
            return _tick_on(workspace, stop, forever=forever)
        except DamagedIndexError as error:
            log.warning("%s; it is made again from the files", error)
            set_aside(workspace.database)
            time.sleep(TICK)
    return _tick_on(workspace, stop, forever=forever)


def _tick_on(workspace: Workspace, stop: list[int], *, forever: bool) -> frozenset[str]:
    # sqlmodel costs half a second: only the process that writes the index pays for it.
    from orchestrator.watch.watcher import Watcher  # noqa: PLC0415

    with Watcher(workspace) as watcher:
        while not stop:
            before = time.process_time()
            waiting = watcher.tick()
            if not waiting and not forever:
                break
            # A signal shortens nothing: the flag is seen at most one tick later.
            time.sleep(TICK if watcher.behind else pause_after(time.process_time() - before))
        return watcher.given_up


def pause_after(used: float) -> float:
    """Seconds until the next look, after one that took `used` seconds of processor time."""
    return min(SLOWEST_TICK, max(TICK, used / _SHARE))


def _flag_on_signals() -> list[int]:
    """Signal handlers that only set a flag; between two ticks nothing can be torn."""
    seen: list[int] = []

    def remember(number: int, _frame: FrameType | None) -> None:
        seen.append(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, remember)
    return seen


def _open_log(workspace: Workspace) -> None:
    file = workspace.watcher_log
    if file.exists() and file.stat().st_size > _LOG_LIMIT:
        file.replace(file.with_suffix(".log.1"))
    logging.basicConfig(
        filename=file, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
