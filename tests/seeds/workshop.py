"""A workspace in which runs happened at told times: their folders are written in the true formats.

What a start, a shim, a training program and the watcher's sampler would have written stands there;
then the watcher itself looks at it, at the time that is told, and takes it in, judges, diagnoses
and publishes as ever. No fact of a report is made here.
"""

import os
import subprocess
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from seeds.trial import Trial

from orchestrator import tickets
from orchestrator.actions.last_run import last_run
from orchestrator.actions.planning import experiment_path, plan_run
from orchestrator.actions.queueing import mark_ongoing
from orchestrator.actions.specs import checked_experiment
from orchestrator.codec import encode
from orchestrator.domain.attempt import AttemptRequest
from orchestrator.domain.remark import Remark
from orchestrator.fsio import to_json, write_atomic, write_once
from orchestrator.git import Repository
from orchestrator.watch.attempts import request_attempt
from orchestrator.watch.bindings import freeze
from orchestrator.watch.watcher import Watcher
from orchestrator.workspace import Workspace

HOST = "gpubox"
_LOOKS = 6  # of the watcher at an end: it reads, settles, diagnoses, publishes
_SETTINGS = "[telemetry]\ninterval = 0\n"  # the machine of the tests is not the one of the story


@dataclass(frozen=True)
class Then:
    """The clock of a told moment."""

    now: float

    def wall(self):
        """Seconds since 1970."""
        return self.now

    def monotonic(self):
        """Seconds that go on."""
        return time.monotonic()


class Workshop:
    """A repository with tickets, specs and programs, and runs that happened in it."""

    def __init__(self, root, settings=""):
        self.root = Path(root)
        self.root.mkdir(parents=True)
        self.workspace = Workspace(self.root)
        self._git("init", "--quiet", "--initial-branch=main", at=0)
        self._git("config", "user.name", "Dennis", at=0)
        self._git("config", "user.email", "dennis@example.org", at=0)
        self.write("exp.toml", settings + _SETTINGS)
        self.workspace.prepare_state()

    def write(self, path, text):
        """Write a file of the workspace."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def commit(self, message, at):
        """Commit everything, at a told time."""
        self._git("add", "--all", at=at)
        self._git("commit", "--quiet", "--message", message, at=at)

    def launch(self, ticket, at, *, why="exp ticket start"):
        """What `exp ticket start` writes, up to the request of the first attempt."""
        document = tickets.find(self.workspace.tickets, ticket)
        experiment = checked_experiment(self.workspace, experiment_path(document.ticket))
        record = plan_run(self.workspace, document, experiment, commit=True)
        series = last_run(self.workspace, document.ticket).series
        folder = self.workspace.create_run()
        record = replace(
            record,
            id=folder.id,
            created=at,
            host=HOST,
            environment={},
            criteria=freeze(record.criteria, record.metrics, series),
            git=Repository.find(self.root).snapshot(folder.patch),
        )
        write_atomic(folder.config_file, to_json(record.params))
        asked = AttemptRequest(by="dennis", why=why, time=at, commands=record.commands)
        request_attempt(folder, record, asked)
        write_once(folder.record_file, encode(record))
        tickets.edit_file(self.root / document.ticket.path, mark_ongoing)
        return Trial(folder, record)

    def note(self, ticket, kind, text, at, run=None):
        """What `exp note` writes, at a told time."""
        remark = Remark(kind=kind, by="Dennis <dennis@example.org>", time=at, text=text, run=run)
        path = tickets.find(self.workspace.tickets, ticket).ticket.path
        tickets.edit_file(self.root / path, partial(tickets.add_remark, remark=remark))

    def watch(self, at):
        """Let the watcher look, until nothing is left to do or only live runs are."""
        with Watcher(self.workspace, Then(at)) as watcher:
            for _ in range(_LOOKS):
                if not watcher.tick():
                    return

    def _git(self, *words, at):
        dated = {name: f"{int(at)} +0000" for name in ("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE")}
        subprocess.run(["git", *words], cwd=self.root, env={**os.environ, **dated}, check=True)
