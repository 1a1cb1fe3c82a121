"""Runs of a ticket as files and index, with nothing that executes."""

import json
import os
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from orchestrator.codec import encode
from orchestrator.domain.run import (
    Command,
    ExitRecord,
    GitState,
    Identity,
    Phase,
    RunRecord,
    TicketRef,
)
from orchestrator.executors import executor_for
from orchestrator.procs import boot_id, pid_namespace, start_ticks
from orchestrator.store.index import Index
from orchestrator.watch.lifecycle import attempt_state, run_state
from orchestrator.watch.reporting import report_facts
from orchestrator.workspace import RunFolder, Workspace

TICKET = "# T-0001: Learn\n\n**Status**: ONGOING\n\n## Acceptance Criteria\n\n- [ ] loss < 5\n"
REF = TicketRef(id="T-0001", path="tickets/T-0001.md", title="Learn", blob="b")


def point(step, time=None, **metrics):
    """A line of points; `eval__loss` in a keyword stands for `eval/loss`."""
    names = {name.replace("__", "/"): value for name, value in metrics.items()}
    return {"step": step, "time": 1000.0 + step if time is None else time, "metrics": names}


def event(name, /, time=1000.0, step=None, **data):
    """A line with an event."""
    return {"event": name, "time": time, "step": step, "data": data}


@dataclass(frozen=True)
class World:
    """A workspace whose runs a test makes up."""

    workspace: Workspace
    points: staticmethod = field(default=staticmethod(point))
    event: staticmethod = field(default=staticmethod(event))

    def run(self, *lines, telemetry=(), ended=2000.0, started=1000.0, **facts):
        """A run with one attempt that logged these lines; with `ended` None it lives."""
        folder = self.workspace.create_run()
        record = RunRecord(
            **{
                "id": folder.id,
                "created": started,
                "host": "h",
                "cwd": "/",
                "commands": (Command(phase=Phase.TRAIN, argv=("train",)),),
                "ticket": REF,
                **facts,
            }
        )
        folder.record_file.write_bytes(encode(record))
        attempt = folder.attempt(1)
        attempt.path.mkdir()
        self.write(attempt.path / "events-h-0-1.jsonl", lines)
        self.write(attempt.telemetry_file, telemetry)
        attempt.process_file.write_bytes(encode(this_process()))
        if ended is not None:
            gone = ExitRecord(code=0, signal=None, started=started, ended=ended, recorded_by="shim")
            attempt.exit_file.write_bytes(encode(gone))
        self.index(folder, record)
        return folder

    def write(self, path, lines):
        """Lines of an event file; none of nothing."""
        if lines:
            path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))

    def index(self, folder, record):
        """Have the index know the run as the watcher would."""
        state = attempt_state(folder.attempt(1), executor_for("local"))
        with Index(self.workspace.database) as index:
            index.put_run(record, run_state(record, state, max_step=None))
            index.ingest(RunFolder(folder.path))

    def facts(self, **more):
        """The facts of the ticket's report."""
        return report_facts(self.workspace, "T-0001", **{"now": 5000.0, **more})

    def git(self, *words):
        """Run git in the workspace; it must succeed."""
        done = subprocess.run(
            ["git", *words], cwd=self.workspace.root, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def commit(self, **files):
        """Commit files by name (`a` is a.py) and return what a run records of it."""
        for name, text in files.items():
            Path(self.workspace.root, f"{name}.py").write_text(text)
        self.git("add", "-A")
        self.git("commit", "-qm", "work")
        return GitState(commit=self.git("rev-parse", "HEAD"), branch="main", patch=False)


def this_process():
    """What stands for the shim of a run."""
    pid = os.getpid()
    return Identity(
        pid=pid,
        start_ticks=start_ticks(pid) or 0,
        boot_id=boot_id(),
        host=socket.gethostname(),
        pid_namespace=pid_namespace(),
    )


@pytest.fixture
def world(tmp_path):
    """A workspace with one ticket, in a folder with a space, a quote and an é."""
    workspace = Workspace(tmp_path / "a lab's é")
    workspace.tickets.mkdir(parents=True)
    (workspace.tickets / "T-0001.md").write_text(TICKET)
    return World(workspace)


@pytest.fixture
def repository(world):
    """The same in a repository of its own."""
    world.git("init", "-q", "-b", "main")
    world.git("config", "user.name", "Ada")
    world.git("config", "user.email", "ada@example.org")
    (world.workspace.root / ".gitignore").write_text(".exp/\n")
    return world
