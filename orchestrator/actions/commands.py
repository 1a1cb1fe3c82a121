"""`exp ticket check --run-commands`: the commands that criteria name, run and recorded."""

import json
import os
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.actions.trusting import require_trust
from orchestrator.criteria.predicates.expression import CommandResult, leaves
from orchestrator.domain.criterion import Criterion, Decidable
from orchestrator.domain.run import RunRecord
from orchestrator.errors import EnvironmentFailure, RefusedError
from orchestrator.watch.bindings import tree_of
from orchestrator.workspace import RunFolder, Workspace

TIMEOUT = 600.0  # seconds
_KEPT = 2000  # characters of output that are recorded
_TIMED_OUT, _NOT_RUNNABLE = 124, 127  # as the shell and timeout(1) say it


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRun:
    """How a command of a criterion ended; `output` is the end of what it printed."""

    command: str
    code: int
    output: str


def run_commands(
    workspace: Workspace,
    folder: RunFolder,
    record: RunRecord,
    current: Iterable[Criterion],
    timeout: float = TIMEOUT,
) -> Iterator[CommandRun]:
    """Run the commands of a run's criteria and record each with the run, as it ends.

    Only commands that the ticket (`current`) still names are run: what was trusted is the ticket
    as it stands.

    Raises:
        RefusedError: the workspace is not trusted, or the run has no attempt to record in.
        EnvironmentFailure: the result cannot be written.
    """
    require_trust(workspace)
    attempts = folder.attempts()
    if not attempts:
        raise RefusedError(f"{folder.id} has no attempt", hint=f"exp run show {folder.id}")
    named = set(_commands(current))
    for command in dict.fromkeys(c for c in _commands(record.criteria) if c in named):
        result = _run(command, workspace.root, timeout)
        data = {"command": result.command, "code": result.code, "output": result.output}
        _record(attempts[-1].path, "command", data)
        yield result


def _commands(criteria: Iterable[Criterion]) -> Iterator[str]:
    for criterion in criteria:
        reading = criterion.reading
        tree = tree_of(reading.predicate) if reading.decidable is Decidable.YES else None
        for leaf in leaves(tree) if tree is not None else ():
            if isinstance(leaf, CommandResult):
                yield leaf.command


def _run(command: str, root: Path, timeout: float) -> CommandRun:
    """Run an argv, never a shell, from the workspace's root."""
    with tempfile.TemporaryFile() as output:
        try:
            program = subprocess.Popen(
                shlex.split(command),
                cwd=root,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except (OSError, ValueError, IndexError) as error:
            return CommandRun(command=command, code=_NOT_RUNNABLE, output=f"cannot run: {error}")
        try:
            code = program.wait(timeout)
            said = ""
        except subprocess.TimeoutExpired:
            code, said = _TIMED_OUT, f"\n(ended after {timeout:g} s)"
        finally:
            # What it left behind in its session ends with it, also when we are interrupted.
            with suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)
            program.wait()
        if code < 0:
            code = 128 - code
        return CommandRun(command=command, code=code, output=_tail(output) + said)


def _tail(file: Any) -> str:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 4 * _KEPT))
    return str(file.read().decode(errors="replace"))[-_KEPT:]


def _record(attempt: Path, name: str, data: dict[str, Any]) -> None:
    """Append an event in track's format to a file that only this process writes."""
    host = "".join(c if c.isalnum() or c in "._" else "_" for c in os.uname().nodename)
    path = attempt / f"events-{host}-0-{os.getpid()}.jsonl"
    line = json.dumps({"event": name, "time": time.time(), "step": None, "data": data}) + "\n"
    try:
        with path.open("ab", buffering=0) as file:
            file.write(line.encode())
            os.fsync(file.fileno())
    except OSError as error:
        raise EnvironmentFailure(
            f"cannot write {path}: {error.strerror}", hint=f"df -h {attempt}"
        ) from error
