"""This machine: one detached shim an attempt."""

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from orchestrator import procs, shim
from orchestrator.codec import read_record_if_present
from orchestrator.domain.run import Identity
from orchestrator.errors import EnvironmentFailure
from orchestrator.workspace import AttemptFolder, RunFolder

_START_LIMIT = 20.0  # seconds; a shim needs 50 ms, a machine that swaps much longer


class LocalExecutor:
    """Starts shims in sessions of their own; they outlive every `exp` process."""

    def submit(
        self, run: RunFolder, attempt: AttemptFolder, env: dict[str, str], locks: Sequence[int]
    ) -> None:
        """Start the attempt's shim; return once it has recorded its identity.

        The shim inherits the descriptors `locks` and keeps them to itself: what they lock is free
        again when the shim is gone, however it went.

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
                pass_fds=locks,
                start_new_session=True,
            )
        try:
            _await_identity(run, attempt, shim_process, complaint)
        except BaseException:
            # Whoever asked believes that nothing runs: so nothing may.
            shim_process.terminate()
            procs.kill_run(run.path)
            raise

    def is_alive(self, attempt: AttemptFolder, process: Identity) -> bool:
        """Whether the attempt's shim still runs; a zombie does not."""
        return procs.is_alive(process, attempt.request_file)

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
