"""The form that every check gives its result, and what is given up where one is skipped."""

from orchestrator.domain.finding import Quote
from orchestrator.domain.rehearsal import Plan, RehearsalStep, StageFacts, StepState

NAMES: dict[int, str] = {
    0: "preflight",
    1: "training",
    2: "validation",
    3: "evaluator",
    4: "checkpoint",
    5: "resume",
    6: "termination",
    7: "evaluation alone",
    8: "teardown",
    9: "report",
}
_GIVEN_UP = {
    0: "what stands in the way of the run will be found by the run",
    1: "whether it trains at all will be seen in the run",
    2: "a validation that fails or needs more memory than there is will end the run at its first "
    "one",
    3: "an evaluator that fails will fail after all of the training",
    4: "whether checkpoints can be read, and fit on the disk, is not known",
    5: "whether an interrupted run goes on where it was is not known",
    6: "a preemption or a time limit may lose what was trained since the last checkpoint",
    7: "whether the checkpoint alone is enough for an evaluation is not known",
    8: "processes and memory that outlive the run are not looked for",
    9: "how long the run takes, and what it takes, is not known",
}
NOT_ASKED = "the program does not ask track.rehearsal()"


class Findings:
    """What a check has found so far: the worst state counts, the first reason of it is told."""

    def __init__(self, number: int, plan: Plan, *stages: StageFacts) -> None:
        self._number, self._plan, self._stages = number, plan, stages
        self._state, self._why, self._action = StepState.PASSED, "", ""
        self._details: list[str] = []
        self._evidence: list[Quote] = []

    @property
    def failed(self) -> bool:
        """Whether something stands against a start."""
        return self._state is StepState.FAILED

    def note(self, *lines: str) -> None:
        """Add what is worth reading and decides nothing."""
        self._details += lines

    def warn(self, why: str, action: str, *evidence: Quote | None) -> None:
        """Add what should be known."""
        self._add(StepState.WARNED, why, action, evidence)

    def fail(self, why: str, action: str, *evidence: Quote | None) -> None:
        """Add what stands against a start."""
        self._add(StepState.FAILED, why, action, evidence)

    def _add(
        self, state: StepState, why: str, action: str, evidence: tuple[Quote | None, ...]
    ) -> None:
        worse = state is StepState.FAILED and not self.failed
        if worse or self._state is StepState.PASSED:
            if self._why:
                self._details.insert(0, f"{self._why}; {self._action}")
            self._state, self._why, self._action = state, why, action
        else:
            self._details.append(f"{why}; {action}")
        self._evidence += [each for each in evidence if each is not None]

    def step(self, passed: str, seconds: float | None = None) -> RehearsalStep:
        """The result; `passed` says why it is one where nothing stands against it."""
        took = sum(stage.seconds for stage in self._stages) if seconds is None else seconds
        return RehearsalStep(
            number=self._number,
            name=NAMES[self._number],
            state=self._state,
            why=self._why or passed,
            seconds=took,
            budget=self._plan.budget,
            details=tuple(self._details),
            evidence=tuple(self._evidence),
            action=self._action or None,
            log=self._stages[-1].log if self._stages else None,
        )


def skipped(number: int, because: str, plan: Plan, action: str | None = None) -> RehearsalStep:
    """A step that was not rehearsed: why, and what is given up."""
    return RehearsalStep(
        number=number,
        name=NAMES[number],
        state=StepState.SKIPPED,
        why=f"{because}: {_GIVEN_UP[number]}",
        seconds=0.0,
        budget=plan.budget,
        action=action,
    )


def not_asked(number: int, plan: Plan) -> RehearsalStep:
    """The step of a program that ignores the contract."""
    action = "let the training loop ask track.rehearsal() and end after its steps"
    return skipped(number, NOT_ASKED, plan, action)
