"""The order of a rehearsal: which stage gives which steps, and what a failure makes idle."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from orchestrator.actions.rehearsal.diagnosing import findings_of, weighed
from orchestrator.actions.rehearsal.performing import Performance
from orchestrator.domain.rehearsal import Plan, RehearsalStep, StageFacts, StepState
from orchestrator.domain.run import Phase, RunRecord
from orchestrator.rehearsal.checks import (
    check_alone,
    check_checkpoint,
    check_evaluator,
    check_resume,
    check_teardown,
    check_termination,
    check_training,
    check_validation,
    skipped,
)
from orchestrator.rehearsal.checks.checkpoint import is_cramped
from orchestrator.rehearsal.checks.steps import not_asked

if TYPE_CHECKING:
    from orchestrator.domain.finding import Finding

_SAVING = 4
_CRAMPED = "the disk has no room for the checkpoints of more trainings"
_NO_EVALUATOR = "the spec has no [evaluate]"


class Listener(Protocol):
    """Who watches a rehearsal."""

    def begin(self, what: str) -> None:
        """Something begins that takes its time."""

    def end(self, step: RehearsalStep) -> None:
        """A step has its result."""


class Course:
    """One pass through the steps 1 to 8; `steps`, `stages` and `findings` grow as it goes."""

    def __init__(self, performance: Performance, plan: Plan, listener: Listener) -> None:
        self.steps: list[RehearsalStep] = []
        self.stages: list[StageFacts] = []
        self.findings: tuple[Finding, ...] = ()
        self._performance = performance
        self._plan = plan
        self._listener = listener

    def take(self, step: RehearsalStep) -> RehearsalStep:
        """Add the result of a step, in the order of their numbers."""
        self.steps.append(step)
        self.steps.sort(key=lambda each: each.number)
        self._listener.end(step)
        return step

    def skip(self, numbers: tuple[int, ...], because: str) -> None:
        """Add steps that cannot be rehearsed."""
        for number in numbers:
            self.take(skipped(number, because, self._plan))

    def run(self, record: RunRecord, free_disk: int | None, free_inodes: int | None) -> None:
        """Perform what can be performed, in the bytes and inodes that are free."""
        evaluates = any(command.phase is Phase.EVAL for command in record.commands)
        control = self._perform("training, validation, checkpoints", self._performance.control)
        self.findings = findings_of(self._performance.control_stage, control)
        self._judge(control, free_disk, free_inodes)
        idle = self._idle(control)
        if not control.asked:
            self._ignored()
        elif idle is not None:
            self.skip((3, 5, 6, 7), idle)
        else:
            self._go_on(control, evaluates=evaluates, cramped=is_cramped(control, free_disk))
        self.take(check_teardown(self.stages, self._plan))

    def _judge(self, control: StageFacts, free_disk: int | None, free_inodes: int | None) -> None:
        """The steps that the control shows; an error that none of them sees fails the training."""
        training = check_training(control, self._plan)
        validation = check_validation(control, self._plan)
        saving = check_checkpoint(control, self._plan, free_disk, free_inodes)
        if StepState.FAILED not in {training.state, validation.state, saving.state}:
            training = weighed(training, self.findings)
        for step in (training, validation, saving):
            self.take(step)

    def _idle(self, control: StageFacts) -> str | None:
        """Why nothing can be performed after the control: each stage would end as it did."""
        failed = {step.number for step in self.steps if step.state is StepState.FAILED}
        ended_well = control.exit is not None and control.exit.code == 0
        if 1 in failed or (failed and not ended_well):
            return f"step {min(failed)} failed"
        return None

    def _go_on(self, control: StageFacts, *, evaluates: bool, cramped: bool) -> None:
        saving = next(step for step in self.steps if step.number == _SAVING)
        if saving.state in {StepState.FAILED, StepState.SKIPPED}:
            self.skip((3, 5, 7), f"step {_SAVING} {saving.state}")
            self._terminate(cramped=cramped)
            return
        evaluate = self._evaluate(evaluates=evaluates)
        if cramped:
            self.skip((5,), _CRAMPED)
        else:
            self._resume(control)
        self._terminate(cramped=cramped)
        self._alone(evaluate)

    def _ignored(self) -> None:
        for number in (3, 5, 6, 7):
            self.take(not_asked(number, self._plan))

    def _evaluate(self, *, evaluates: bool) -> StageFacts | None:
        if not evaluates:
            self.take(check_evaluator(None, self._plan))
            return None
        evaluate = self._perform("the evaluator on a subset", self._performance.evaluate)
        step = self.take(check_evaluator(evaluate, self._plan))
        return None if step.state is StepState.FAILED else evaluate

    def _resume(self, control: StageFacts) -> None:
        self._listener.begin("SIGKILL and resume")
        stages = list(self._performance.killed_and_resumed())
        self.stages += stages
        if len(stages) < 2:
            self.skip((5,), "no checkpoint was sealed before the kill")
        else:
            self.take(check_resume(control, stages[0], stages[1], self._plan))

    def _terminate(self, *, cramped: bool) -> None:
        if cramped:
            self.skip((6,), _CRAMPED)
            return
        terminated = self._perform("SIGTERM", self._performance.terminated)
        self.take(check_termination(terminated, self._plan))

    def _alone(self, evaluate: StageFacts | None) -> None:
        failed = [step.number for step in self.steps if step.state is StepState.FAILED]
        if evaluate is None and 3 in failed:
            self.skip((7,), "step 3 failed")
        elif evaluate is None:
            self.skip((7,), _NO_EVALUATOR)
        else:
            alone = self._perform("evaluation from the file alone", self._performance.alone)
            self.take(check_alone(evaluate, alone, self._plan))

    def _perform(self, what: str, stage: Callable[[], StageFacts]) -> StageFacts:
        self._listener.begin(what)
        facts = stage()
        self.stages.append(facts)
        return facts
