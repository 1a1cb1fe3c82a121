"""One stage: the real program in a folder that looks like a run's, watched from its own index.

The stage goes through the executor and the shim as a run does. Nobody else looks after it: no
watcher knows of it, so whoever starts it ends it.
"""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from orchestrator import procs
from orchestrator.actions.rehearsal.folders import Stamp
from orchestrator.codec import encode, read_record_if_present
from orchestrator.domain.attempt import AttemptRequest
from orchestrator.domain.facts import Checkpoint
from orchestrator.domain.point import Event, Point
from orchestrator.domain.rehearsal import Plan
from orchestrator.domain.run import ExitRecord, Identity, Phase, RunRecord
from orchestrator.executors import executor_for
from orchestrator.executors.environment import child_environment
from orchestrator.fsio import to_json, try_lock, write_atomic, write_once
from orchestrator.store import Index
from orchestrator.watch.attempts import request_attempt
from orchestrator.watch.checkpoints import CheckpointShelf
from orchestrator.workspace import AttemptFolder, Workspace

ENDLESS = 10**9  # steps that no program takes within a rehearsal
_LOOK = 0.02  # seconds between looks at a stage
_TEARDOWN = 10.0  # seconds beyond the grace that a shim needs to end a tree that does not listen


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What all stages of one rehearsal share.

    `record` is that of the real run. `locks` hold the leases of `gpus`; every shim inherits them,
    so that they stay leased as long as anything of the rehearsal lives.
    """

    workspace: Workspace
    stamp: Stamp
    record: RunRecord
    plan: Plan
    gpus: tuple[str, ...] = ()
    locks: tuple[int, ...] = ()


@dataclass(slots=True)
class Records:
    """All that the programs of a stage wrote, in Position order within each file."""

    points: list[Point] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


class Stage:
    """A folder of a rehearsal, its index, and the attempts that are made in it."""

    def __init__(self, scene: Scene, name: str) -> None:
        """Make the folder; nothing runs yet.

        Raises:
            EnvironmentFailure: the folder cannot be written.
        """
        self.scene = scene
        self.folder = scene.stamp.stage(name)
        self.folder.path.mkdir()
        self.record = replace(scene.record, id=name, on_exit=(), commit_policy="never")
        write_atomic(self.folder.config_file, to_json(self.record.params))
        write_once(self.folder.record_file, encode(self.record))
        self.index = Index(self.folder.path / "exp.db")
        self.records = Records()

    def close(self) -> None:
        """Let go of the index."""
        self.index.close()

    def read(self) -> None:
        """Take in what the programs have written since."""
        result = self.index.ingest(
            self.folder,
            wanted=lambda _: True,
            on_point=self.records.points.append,
            on_event=self.records.events.append,
        )
        if result.restarted:
            self.records = Records()
            self.index.replay(
                self.record.id,
                wanted=lambda _: True,
                on_point=self.records.points.append,
                on_event=self.records.events.append,
            )

    def start(self, phase: Phase, *, steps: int | None = None) -> "Execution":
        """Start the program of a phase as the next attempt, asked to end after so many steps.

        Raises:
            EnvironmentFailure: it did not come up.
            RefusedError: the spec asks for a variable that is not set.
        """
        commands = tuple(c for c in self.record.commands if c.phase is phase)
        request = AttemptRequest(
            by="exp", why="exp ticket rehearse", time=time.time(), commands=commands
        )
        attempt = request_attempt(self.folder, self.record, request)
        lock = try_lock(attempt.request_file)
        locks = [] if lock is None else [lock]
        try:
            env = child_environment(self.folder, attempt, self.record, request, self.scene.gpus)
            env |= self._asking(steps or self.scene.plan.steps)
            began = time.time()
            executor = executor_for(self.record.executor)
            executor.submit(self.folder, attempt, env, [*locks, *self.scene.locks])
        finally:
            for descriptor in locks:
                os.close(descriptor)
        return Execution(self, attempt, phase, began)

    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """The checkpoints that lie in the folder now."""
        return CheckpointShelf().of(self.folder)

    def _asking(self, steps: int) -> dict[str, str]:
        """The variables that tell a program of the rehearsal, and where the workspace is."""
        plan = self.scene.plan
        asked = {"steps": steps, "every": plan.every, "examples": plan.examples}
        return {
            "EXP_REHEARSAL": to_json(asked).decode(),
            "EXP_WORKSPACE": str(self.scene.workspace.root),
        }


class Execution:
    """One attempt of a stage while it runs and after."""

    def __init__(self, stage: Stage, attempt: AttemptFolder, phase: Phase, began: float) -> None:
        self.stage = stage
        self.attempt = attempt
        self.phase = phase
        self.began = began  # wall time
        self.ended: float | None = None  # wall time
        self.ended_by: str | None = None
        self.terminated: float | None = None  # wall time of SIGTERM
        self._started = time.monotonic()
        self._executor = executor_for(stage.record.executor)

    @property
    def exit(self) -> ExitRecord | None:
        """How it ended; None while it lives, and where its shim was killed."""
        return read_record_if_present(ExitRecord, self.attempt.exit_file)

    @property
    def points(self) -> list[Point]:
        """Points that this attempt logged."""
        points = self.stage.records.points
        return [point for point in points if point.at.attempt == self.attempt.number]

    @property
    def events(self) -> list[Event]:
        """Events of this attempt."""
        events = self.stage.records.events
        return [event for event in events if event.at.attempt == self.attempt.number]

    def wait(self, until: Callable[[], bool]) -> bool:
        """Look until the condition holds or the program has ended; whether the condition holds.

        One that takes longer than the budget is killed; `ended_by` then says `limit`.
        """
        deadline = self._started + self.stage.scene.plan.budget
        while True:
            lives = self._lives()
            self.stage.read()
            if until():
                return True
            if not lives:
                self._note_end()
                return False
            if time.monotonic() > deadline:
                self.end("limit")
                return False
            time.sleep(_LOOK)

    def finish(self) -> None:
        """Wait for its end."""
        self.wait(lambda: False)

    def end(self, why: str) -> None:
        """Kill the whole tree at once, the shim too, as a lost machine would."""
        procs.kill_run(self.stage.folder.path)
        self.stage.read()
        self.ended_by = why
        self._note_end()

    def terminate(self) -> None:
        """Send SIGTERM as a preemption does, and wait for the end; the shim kills after the grace.

        `ended_by` says `limit` if it had to be killed.
        """
        self.terminated = time.time()
        self._executor.stop(self.attempt)
        deadline = time.monotonic() + self.stage.scene.plan.grace + _TEARDOWN
        while self._lives() and time.monotonic() < deadline:
            time.sleep(_LOOK)
        if self._lives() or self._was_killed():
            self.end("limit")
        self.stage.read()
        self._note_end()

    def _was_killed(self) -> bool:
        """Whether the shim had to kill what did not listen within the grace."""
        return self.exit is not None and self.exit.signal == signal.SIGKILL

    def _lives(self) -> bool:
        process = read_record_if_present(Identity, self.attempt.process_file)
        return (
            not self.attempt.exit_file.exists()
            and process is not None
            and self._executor.is_alive(self.attempt, process)
        )

    def _note_end(self) -> None:
        if self.ended is None:
            exit_ = self.exit
            self.ended = time.time() if exit_ is None else exit_.ended
