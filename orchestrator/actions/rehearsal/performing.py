"""The stages of a rehearsal: what is started, when it is ended, and what is kept of it."""

from collections.abc import Iterator
from contextlib import contextmanager

from orchestrator.actions.rehearsal.checkpoints import forget_after, lend
from orchestrator.actions.rehearsal.facts import facts_of
from orchestrator.actions.rehearsal.leftovers import Before, left_by, look_before
from orchestrator.actions.rehearsal.stages import ENDLESS, Execution, Scene, Stage
from orchestrator.domain.rehearsal import StageFacts
from orchestrator.domain.run import Phase


class Performance:
    """Performs one stage after another; each may be performed once."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._open: list[Stage] = []
        self._control: Stage | None = None

    @property
    def control_stage(self) -> Stage:
        """The stage that the others are compared with; made when it is first asked for."""
        if self._control is None:
            self._control = self._stage("control")
        return self._control

    def close(self) -> None:
        """Let go of all indexes."""
        for stage in self._open:
            stage.close()

    def control(self) -> StageFacts:
        """Train for the planned steps; a program that does not ask is ended after as many."""
        before = look_before(self._scene.gpus)
        execution = self.control_stage.start(Phase.TRAIN)
        if execution.wait(lambda: _ignores(execution, self._scene.plan.steps)):
            execution.terminate()
            execution.ended_by = "limit"
        return self._told(execution, "control", before)

    def evaluate(self) -> StageFacts:
        """Evaluate in the folder of the control, as a run does."""
        before = look_before(self._scene.gpus)
        execution = self.control_stage.start(Phase.EVAL)
        execution.finish()
        return self._told(execution, "evaluate", before)

    def killed_and_resumed(self) -> Iterator[StageFacts]:
        """Kill a training behind its first checkpoint, then start it again in a fresh process.

        It is told to go on for ever, so that it cannot end before it is killed. What it saved
        behind the first checkpoint is taken away: the resume begins where the control was compared.
        """
        stage = self._stage("killed")
        before = look_before(self._scene.gpus)
        execution = stage.start(Phase.TRAIN, steps=ENDLESS)
        if execution.wait(lambda: _beyond_checkpoint(execution)):
            execution.end("kill")
        first = _first_checkpoint(execution)
        if first is not None:
            forget_after(stage.folder, first)
        yield self._told(execution, "killed", before)
        if first is None:
            return
        before = look_before(self._scene.gpus)
        again = stage.start(Phase.TRAIN)
        again.finish()
        yield self._told(again, "resumed", before)

    def terminated(self) -> StageFacts:
        """Send SIGTERM to a training that cannot end by itself, once it has logged two steps.

        `run.should_stop()` listens from its first call, which may lie behind the first step's log.
        """
        stage = self._stage("terminated")
        before = look_before(self._scene.gpus)
        execution = stage.start(Phase.TRAIN, steps=ENDLESS)
        if execution.wait(lambda: len(_steps(execution)) > 1):
            execution.terminate()
        return self._told(execution, "terminated", before)

    def alone(self) -> StageFacts:
        """Evaluate in a folder that holds the newest checkpoint of the control and no more."""
        stage = self._stage("alone")
        before = look_before(self._scene.gpus)
        lend(self.control_stage.folder, stage.folder)
        execution = stage.start(Phase.EVAL)
        execution.finish()
        return self._told(execution, "alone", before)

    def _stage(self, name: str) -> Stage:
        stage = Stage(self._scene, name)
        self._open.append(stage)
        return stage

    def _told(self, execution: Execution, name: str, before: Before) -> StageFacts:
        return facts_of(execution, name, leftovers=left_by(execution, before))


@contextmanager
def performing(scene: Scene) -> Iterator[Performance]:
    """A performance whose indexes are closed at the end."""
    performance = Performance(scene)
    try:
        yield performance
    finally:
        performance.close()


def _steps(execution: Execution) -> set[int]:
    return {point.at.step for point in execution.points}


def _ignores(execution: Execution, steps: int) -> bool:
    """Whether a program trains on as if nobody had asked it to end."""
    asked = any(event.name == "rehearsal" for event in execution.events)
    return not asked and max(_steps(execution), default=0) >= steps


def _first_checkpoint(execution: Execution) -> int | None:
    own = [s for s in execution.stage.checkpoints() if s.attempt == execution.attempt.number]
    return min((saved.step for saved in own), default=None)


def _beyond_checkpoint(execution: Execution) -> bool:
    first = _first_checkpoint(execution)
    return first is not None and max(_steps(execution), default=0) > first
