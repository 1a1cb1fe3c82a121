"""Findings about the control of a rehearsal: what the rules of `exp doctor` say of it."""

import time
from dataclasses import replace

from orchestrator.actions.rehearsal.stages import Stage
from orchestrator.diagnose.findings import diagnose
from orchestrator.domain.finding import Finding, Quote, Severity
from orchestrator.domain.rehearsal import RehearsalStep, StageFacts, StepState
from orchestrator.domain.run import Outcome
from orchestrator.store import Reader
from orchestrator.watch.casebook import case_of
from orchestrator.watch.scanning import scan_logs


def findings_of(stage: Stage, facts: StageFacts) -> tuple[Finding, ...]:
    """What is found in the records of a stage; places are relative to the workspace."""
    with Reader(stage.index.path) as reader:
        case = case_of(
            stage.folder, stage.record, reader, now=time.time(), scan=scan_logs(stage.folder)
        )
    if case.outcome is Outcome.INCOMPLETE:
        case = replace(case, outcome=Outcome.COMPLETED)  # it was told to end before its plan
    if facts.ended_by is not None:
        case = replace(case, exit=None, failures={})  # the rehearsal's own doing
    folder = stage.folder.path.relative_to(stage.scene.workspace.root)
    return tuple(_placed(finding, str(folder)) for finding in diagnose(case))


def _placed(finding: Finding, folder: str) -> Finding:
    evidence = tuple(
        Quote(source=f"{folder}/{quote.source}", text=quote.text, line=quote.line)
        for quote in finding.evidence
    )
    return replace(finding, evidence=evidence)


def weighed(step: RehearsalStep, findings: tuple[Finding, ...]) -> RehearsalStep:
    """The step of the training, failed by an error that no step has seen."""
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    if not errors or step.state is StepState.FAILED:
        return step
    first = errors[0]
    return replace(
        step,
        state=StepState.FAILED,
        why=f"{first.title} ({first.id})",
        details=(*step.details, first.arithmetic),
        evidence=(*step.evidence, *first.evidence),
        action=first.action,
    )
