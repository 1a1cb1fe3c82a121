"""Step 5: killed with SIGKILL, resumed in a fresh process, compared with an uninterrupted control.

What differs tells what was not restored. The comparison holds as far as two executions of the
program agree at all: the steps before the kill were taken by both from the same start.
"""

import math
from dataclasses import dataclass, replace

from orchestrator.domain.finding import Quote
from orchestrator.domain.rehearsal import Plan, RehearsalStep, StageFacts
from orchestrator.rehearsal import measures, series
from orchestrator.rehearsal.checks.causes import ending, remedy
from orchestrator.rehearsal.checks.steps import Judgement, not_asked, skipped

_RESTORE = "restore model, optimizer, scheduler, loader and generators from track.resume_path()"
# What is not restored, and what to do.
_REPLAYED = (
    "the losses are those of the control's first steps again, under later numbers",
    "restore the weights and the loader's position, not the step alone",
)
_SCHEDULER = (
    "the scheduler's state is missing: the learning rate differs too",
    "save and load scheduler.state_dict()",
)
_OPTIMIZER = (
    "the optimizer's or the generators' state is missing: later losses differ, not the first one",
    "save and load optimizer.state_dict(), and the state of the random generators",
)
_WEIGHTS = (
    "the weights or the generators are not restored: the examples are the same, the losses not",
    "load the weights before the first step, and the state of the random generators",
)
_ANYTHING = (
    "weights, generators or the loader's position are not restored: the first loss differs",
    f"{_RESTORE}; track.rehearsal().batch(step, ids) would tell which of them",
)


_GROWTH = 5.0  # times the difference before the kill, to which one may grow within a few steps
_ROUNDING = 2e-7  # relative; more than float32 rounds by


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trial:
    """The three stages, the step of the checkpoint, and the steps that are compared."""

    control: StageFacts
    killed: StageFacts
    resumed: StageFacts
    saved: int
    names: tuple[str, ...]

    @property
    def behind(self) -> range:
        """Steps that the resumed process took."""
        first = min(series.logged_steps(self.resumed), default=self.saved + 1)
        return range(first, max(series.logged_steps(self.control), default=0) + 1)


def check_resume(
    control: StageFacts, killed: StageFacts, resumed: StageFacts, plan: Plan
) -> RehearsalStep:
    """Whether a resumed program goes on where it was: the same steps, examples and losses."""
    if not control.asked:
        return not_asked(5, plan)
    found = Judgement(5, plan, killed, resumed)
    for each in killed.saved:
        if each.problem is not None:
            found.fail(
                f"the kill left a torn checkpoint of step {each.checkpoint.step:,}: {each.problem}",
                "seal a checkpoint only when all of its bytes are written",
            )
    whole = [each.checkpoint.step for each in killed.saved if each.problem is None]
    if not whole:
        if found.failed:
            return found.step("")
        return skipped(5, "no checkpoint was sealed before the kill", plan)
    names = tuple(series.losses(control))
    trial = _Trial(control=control, killed=killed, resumed=resumed, saved=max(whole), names=names)
    how = ending(resumed, plan.budget)
    if how is not None:
        found.fail(
            f"the program {how} when it resumed from step {trial.saved:,}",
            remedy(resumed, measures.TRAIN),
            resumed.error,
        )
    elif _begins_right(found, trial):
        _compare(found, trial, plan)
    steps = f"steps {trial.behind.start:,} to {trial.behind.stop - 1:,}"
    return found.step(f"{steps} after a SIGKILL have the losses of the control")


def _begins_right(found: Judgement, trial: _Trial) -> bool:
    """See where the resumed process went on; whether its values can be compared."""
    logged = series.logged_steps(trial.resumed)
    due = [step for step in series.logged_steps(trial.control) if step > trial.saved]
    if not due:
        found.warn(
            f"nothing to compare: the control logged no step behind {trial.saved:,}",
            "log the loss of each step while track.rehearsal() is not None",
        )
        return False
    if not logged:
        found.fail(f"it logged no step after it resumed from step {trial.saved:,}", _RESTORE)
        return False
    first, begin = logged[0], min(series.logged_steps(trial.control))
    # Where steps are counted from 0, the checkpoint after three steps goes on with step 3.
    if first == due[0] or (begin == 0 and first == trial.saved):
        return True
    quote = _any_at(trial.resumed, first)
    if first <= begin:
        found.fail(
            f"the program starts again from the beginning: step {first:,} after the kill, though "
            f"the checkpoint is of step {trial.saved:,}",
            "load the checkpoint that track.resume_path() names, unless it is None",
            quote,
        )
    else:
        found.fail(
            f"it goes on with step {first:,} instead of {due[0]:,}: the checkpoint is of step "
            f"{trial.saved:,}",
            "save the number of steps taken with the checkpoint, and go on behind it",
            quote,
        )
    return False


def _compare(found: Judgement, trial: _Trial, plan: Plan) -> None:
    data = _data(trial)
    gaps = series.gaps(trial.resumed.values, trial.control.values, trial.names, trial.behind)
    if not gaps:
        found.warn(
            "no loss to compare: none was logged by both at the same step behind "
            f"step {trial.saved:,}",
            "log the training loss of each step while track.rehearsal() is not None",
        )
    worst = max(gaps, key=lambda each: each.apart, default=None)
    noise = _noise(trial)
    if noise is not None and noise.apart > plan.tolerance:
        found.warn(
            "two executions of the program differ before any kill, so that a resume cannot be "
            f"judged by losses: by {series.percent(noise.apart)}, {noise}",
            "set the seeds of all generators, or raise rehearse.tolerance",
        )
        if data is not None:
            found.fail(*data)
        return
    plan = _forgiving(found, trial, noise, plan)
    if worst is None or worst.apart <= plan.tolerance:
        if data is not None:
            found.fail(*data)
        elif worst is not None:
            found.note(f"the largest difference is {series.percent(worst.apart)}: {worst}")
            _small(found, trial, gaps, noise)
        if not trial.resumed.batches:
            found.note("whether examples are the same is not told: call track.rehearsal().batch")
        return
    _explain(found, trial, gaps, plan)


def _forgiving(found: Judgement, trial: _Trial, noise: series.Gap | None, plan: Plan) -> Plan:
    """A plan with the tolerance that the program's own noise and its numbers ask for."""
    wider = plan.tolerance
    if noise is not None and noise.apart > 0:
        wider = max(wider, _GROWTH * noise.apart)
    if series.is_bfloat16(trial.control, trial.names):
        wider = max(wider, 2 * series.BFLOAT16)
    if wider > plan.tolerance:
        found.note(f"tolerance {series.percent(wider)}: as coarse as its losses repeat themselves")
    return replace(plan, tolerance=wider)


def _small(
    found: Judgement, trial: _Trial, gaps: list[series.Gap], noise: series.Gap | None
) -> None:
    """Warn of what a low learning rate hides: the first loss is equal, later ones drift away.

    Only where two executions were equal to the last digit before the kill.
    """
    first = min(each.step or 0 for each in gaps)
    if noise is None or noise.apart or any(each.apart for each in gaps if each.step == first):
        return
    drift = max(gaps, key=lambda each: each.apart)
    if drift.apart > _ROUNDING:
        cause, action = _SCHEDULER if _rates_differ(trial, 0.0) else _OPTIMIZER
        found.warn(
            f"perhaps {cause}: by {series.percent(drift.apart)} at step {drift.step or 0:,}, "
            "within the tolerance, though two executions were equal to the last digit before it",
            f"{action}; a low learning rate hides what is missing",
        )


def _rates_differ(trial: _Trial, tolerance: float) -> bool:
    rates = series.learning_rates(trial.control)
    apart = series.gaps(trial.resumed.values, trial.control.values, rates, trial.behind)
    return any(each.apart > tolerance for each in apart)


def _explain(found: Judgement, trial: _Trial, gaps: list[series.Gap], plan: Plan) -> None:
    """The losses differ: say by how much, and what that points to."""
    beyond = [each for each in gaps if each.apart > plan.tolerance]
    steps = sorted({each.step for each in beyond if each.step is not None})
    span = f"step {steps[0]:,}" if len(steps) == 1 else f"steps {steps[0]:,} to {steps[-1]:,}"
    worst = max(beyond, key=lambda each: each.apart)
    numbers = (
        f"losses of {span} differ by up to {series.percent(worst.apart)} from the control's, "
        f"tolerance {series.percent(plan.tolerance)}: {beyond[0]}"
    )
    cause, action = _cause(trial, gaps, plan)
    first = beyond[0]
    step = first.step or 0
    found.fail(
        f"{cause}: {numbers}",
        action,
        series.quote(trial.resumed, first.name, step),
        series.quote(trial.control, first.name, step),
    )
    found.note(*(f"{each}: {series.percent(each.apart)}" for each in gaps[:12]))


def _cause(trial: _Trial, gaps: list[series.Gap], plan: Plan) -> tuple[str, str]:
    """What is not restored, as far as the differences tell, and what to do."""
    data = _data(trial)
    if data is not None:
        return data
    if _shifted(trial, plan):
        return _REPLAYED
    if _rates_differ(trial, plan.tolerance):
        return _SCHEDULER
    first = min(each.step or 0 for each in gaps)
    if all(each.apart <= plan.tolerance for each in gaps if each.step == first):
        return _OPTIMIZER
    return _WEIGHTS if trial.resumed.batches and trial.control.batches else _ANYTHING


def _data(trial: _Trial) -> tuple[str, str] | None:
    """What is wrong with the examples that were taken after the resume; None if nothing is."""
    found, expected, before = trial.resumed.batches, trial.control.batches, trial.killed.batches
    if any(before[step] != expected.get(step) for step in before if step <= trial.saved):
        return None  # the order is another one in each execution
    wrong = [
        step
        for step in trial.behind
        if step in found and step in expected and found[step] != expected[step]
    ]
    if not wrong:
        return None
    earlier = {expected[step] for step in expected if step <= trial.saved}
    replayed = [step for step in wrong if found[step] in earlier]
    steps = f"step {wrong[0]:,}" if len(wrong) == 1 else f"steps {wrong[0]:,} to {wrong[-1]:,}"
    if len(replayed) == len(wrong):
        return (
            f"the loader replays data: the examples of {steps} are those from before the kill",
            "save the loader's position (epoch, sampler, examples taken) and go on behind it",
        )
    return (
        f"the loader ignores its position: {steps} took other examples than the control's",
        "save the loader's position and its generator's state, and restore both",
    )


def _shifted(trial: _Trial, plan: Plan) -> bool:
    """Whether the losses are those of the control's first steps, and differ between them."""
    seen = False
    for name in trial.names:
        found, expected = trial.resumed.values.get(name, {}), trial.control.values[name]
        for step in trial.behind:
            if step in found and step - trial.saved in expected:
                gap = series.gap(name, step, found[step], expected[step - trial.saved])
                if gap.apart > plan.tolerance:
                    return False
                seen = True
    return seen


def _noise(trial: _Trial) -> series.Gap | None:
    """The largest difference between two executions before the kill."""
    before = range(trial.saved + 1)
    gaps = series.gaps(trial.killed.values, trial.control.values, trial.names, before)
    return max(gaps, key=lambda each: each.apart, default=None)


def _any_at(stage: StageFacts, step: int) -> Quote | None:
    """A value that was logged at this step, a finite one if there is one."""
    names = sorted(name for name, points in stage.values.items() if step in points)
    name = min(names, key=lambda name: not math.isfinite(stage.values[name][step]), default=None)
    return None if name is None else series.quote(stage, name, step)
