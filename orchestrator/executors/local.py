"""This machine: one detached shim an attempt."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from orchestrator import procs, shim
from orchestrator.codec import read_record_if_present
from orchestrator.domain.run import Identity, RunRecord
from orchestrator.errors import EnvironmentFailure, RefusedError
from orchestrator.workspace import AttemptFolder, RunFolder

_START_LIMIT = 20.0  # seconds; a shim needs 50 ms, a machine that swaps much longer


class LocalExecutor:
    """Starts shims in sessions of their own; they outlive every `exp` process."""

    def submit(self, run: RunFolder, attempt: AttemptFolder, env: dict[str, str]) -> None:
        """Start the attempt's shim; return once it has recorded its identity.

        Raises:
            EnvironmentFailure: the shim did not come up; quotes what it said.
        """
        complaint = attempt.path / "shim.log"
        with complaint.open("ab") as errors:
            shim_process = subprocess.Popen(
                [
                    sys.executable,
                    "-I",
                    str(Path(shim.__file__)),
                    str(run.path),
                    str(attempt.number),
                ],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                cwd="/",
                env=env,
                start_new_session=True,
            )
        try:
            _await_identity(run, attempt, shim_process, complaint)
        except BaseException:
            # Whoever asked believes that nothing runs: so nothing may.
            shim_process.terminate()
            procs.kill_run(run.path)
            raise

    def is_alive(self, process: Identity) -> bool:
        """Whether the shim still runs; a zombie does not."""
        return procs.is_alive(process)

    def stop(self, attempt: AttemptFolder) -> bool:
        """Send SIGTERM to the shim, which forwards it and ends the tree after the grace.

        One that somebody has stopped goes on: it could not hear of the end otherwise.
        """
        identity = read_record_if_present(Identity, attempt.process_file)
        if identity is None or not procs.send_signal(identity, signal.SIGTERM):
            return False
        return procs.send_signal(identity, signal.SIGCONT)

    def reap(self, run: RunFolder, attempt: AttemptFolder) -> procs.Reaped:
        """Kill what a lost shim left behind on this machine."""
        identity = read_record_if_present(Identity, attempt.process_file)
        if identity is not None and not procs.is_here(identity):
            return procs.Reaped()
        return procs.kill_run(run.path)


def _await_identity(
    run: RunFolder, attempt: AttemptFolder, process: "subprocess.Popen[bytes]", complaint: Path
) -> None:
    deadline = time.monotonic() + _START_LIMIT
    while not (attempt.process_file.exists() or attempt.exit_file.exists()):
        if process.poll() is not None or time.monotonic() > deadline:
            said = complaint.read_text(errors="replace").strip() or "it said nothing"
            raise EnvironmentFailure(
                f"the shim of {run.id} did not start: {said.splitlines()[-1]}",
                hint=f"df -h {run.path}; cat {complaint}",
            )
        time.sleep(0.005)


def child_environment(
    run: RunFolder, attempt: AttemptFolder, record: RunRecord, *, workspace: Path
) -> dict[str, str]:
    """The caller's environment, what the spec sets, and which run it is.

    Raises:
        RefusedError: the spec asks for a variable that the caller does not have.
    """
    return {
        **os.environ,
        "PYTHONUNBUFFERED": "1",  # a log that lags behind hides the crash
        **{name: _value(name, value) for name, value in record.env.items()},
        "EXP_RUN_ID": run.id,
        "EXP_RUN_DIR": str(run.path),
        "EXP_ATTEMPT": str(attempt.number),
        "EXP_ATTEMPT_DIR": str(attempt.path),
        "EXP_CONFIG": str(run.config_file),
        "EXP_WORKSPACE": str(workspace),
    }


def _value(name: str, value: str) -> str:
    if not value.startswith("$"):
        return value
    try:
        return os.environ[value[1:]]
    except KeyError as error:
        raise RefusedError(
            f"env.{name} = {value!r}: {value[1:]} is not set", hint=f"export {value[1:]}=..."
        ) from error
