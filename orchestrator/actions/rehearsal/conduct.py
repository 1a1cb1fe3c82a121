"""`exp ticket rehearse`: from a ticket to a result with a forecast."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from orchestrator.actions.rehearsal.course import Course, Listener
from orchestrator.actions.rehearsal.folders import Rehearsals
from orchestrator.actions.rehearsal.keeper import end_all, guarded
from orchestrator.actions.rehearsal.leasing import leased
from orchestrator.actions.rehearsal.performing import performing
from orchestrator.actions.rehearsal.stages import Scene
from orchestrator.actions.rehearsal.standing import Piece, Standing
from orchestrator.actions.rehearsal.surroundings import disk_free, surroundings_of
from orchestrator.domain.finding import Finding
from orchestrator.domain.rehearsal import Forecast, Rehearsal, RehearsalStep, StepState
from orchestrator.domain.run import RunRecord, RunStatus
from orchestrator.errors import ConflictError, RefusedError
from orchestrator.fsio import locked
from orchestrator.rehearsal.checks import skipped
from orchestrator.rehearsal.forecast import check_report, forecast_of
from orchestrator.rehearsal.plan import plan_of
from orchestrator.rehearsal.preflight import check_preflight
from orchestrator.watch.live import live_runs
from orchestrator.workspace import Workspace

_AFTER_PREFLIGHT = range(1, 9)


def rehearse_ticket(
    workspace: Workspace, piece: Piece, standing: Standing, listener: Listener
) -> Rehearsal:
    """Rehearse the run that would start now; the result is kept as the newest of its ticket.

    Whatever ends this, nothing of the programs goes on after it.

    Raises:
        ConflictError: the ticket is being rehearsed or has a live run, or too few GPUs are free.
        RefusedError: the spec refers to a variable that is not set.
        EnvironmentFailure: a folder cannot be written, or a program does not come up.
    """
    record = piece.record
    workspace.prepare_state()
    rehearsals = Rehearsals(workspace=workspace, ticket=piece.ticket)
    with _alone(rehearsals), leased(record) as gpus:
        _refuse_missing_variables(record)
        for stale in rehearsals.stamps():
            end_all(stale)
        plan = plan_of(record, record.rehearse)
        stamp = rehearsals.create()
        scene = Scene(
            workspace=workspace,
            stamp=stamp,
            record=record,
            plan=plan,
            gpus=gpus.gpus,
            locks=gpus.locks,
        )
        try:
            result = _rehearse(scene, piece, standing, listener)
            rehearsals.keep(stamp, result)
        except BaseException:  # Ctrl-C, a full disk: nobody will look at what it has saved
            stamp.drop_checkpoints()
            raise
        return result


def _rehearse(scene: Scene, piece: Piece, standing: Standing, listener: Listener) -> Rehearsal:
    began, wall = time.monotonic(), time.time()
    plan = scene.plan
    steps: list[RehearsalStep] = []

    def take(step: RehearsalStep) -> RehearsalStep:
        steps.append(step)
        listener.end(step)
        return step

    listener.begin("preflight")
    around = surroundings_of(scene.workspace, scene.record, plan, piece.mirror, standing.gpus)
    first = take(check_preflight(around, plan, time.monotonic() - began))
    forecast, findings = Forecast(), tuple[Finding, ...]()
    if first.state is StepState.FAILED:
        for number in _AFTER_PREFLIGHT:
            take(skipped(number, "step 0 failed", plan))
    else:
        course = _perform(scene, listener)
        steps += course.steps
        findings = course.findings
        forecast = forecast_of(course.stages[0], course.stages, plan)
    take(check_report(forecast, plan))
    return Rehearsal(
        ticket=piece.ticket,
        experiment=scene.record.experiment or "",
        time=wall,
        seconds=time.monotonic() - began,
        key=standing.key,
        plan=plan,
        steps=tuple(steps),
        forecast=forecast,
        findings=findings,
    )


def _perform(scene: Scene, listener: Listener) -> Course:
    with guarded(scene.stamp), performing(scene) as performance:
        course = Course(performance, scene.plan, listener)
        course.run(scene.record, *disk_free(scene.workspace))
        return course


@contextmanager
def _alone(rehearsals: Rehearsals) -> Iterator[None]:
    """One rehearsal of a ticket at a time, and none beside its run: each would measure both."""
    ticket = rehearsals.ticket
    with locked(rehearsals.lock_file, busy=f"{ticket} is being rehearsed already"):
        for folder, record, state in live_runs(rehearsals.workspace):
            ours = record.ticket is not None and record.ticket.id == ticket
            if ours and state.status is not RunStatus.QUEUED:
                raise ConflictError(
                    f"{ticket} has a live run: {folder.id} ({state.status}); a rehearsal beside it "
                    "would measure both",
                    hint=f"exp run stop {folder.id}, or wait for its end",
                )
        yield


def _refuse_missing_variables(record: RunRecord) -> None:
    for value in record.env.values():
        if value.startswith("$") and value[1:] not in os.environ:
            raise RefusedError(
                f"{record.experiment}: [env] refers to ${value[1:]}, which is not set",
                hint=f"export {value[1:]}=...",
            )
