"""Step 1: K optimizer steps at the real batch and world size."""

import math

from orchestrator.domain.rehearsal import Plan, RehearsalStep, StageFacts
from orchestrator.domain.sizes import format_size
from orchestrator.rehearsal import measures, series
from orchestrator.rehearsal.checks.causes import ending, failed_span, remedy
from orchestrator.rehearsal.checks.steps import Judgement

LEAST_HEADROOM = 0.05  # of the memory; allocations differ by that much between batches
_MOST_INPUT = 0.20  # of a step; FAILURES.md calls more than that input-bound
_CLOSE = 0.25  # of the accumulation, that a ratio may be off and still mean it


def check_training(control: StageFacts, plan: Plan) -> RehearsalStep:
    """Whether it trained: all steps, finite values, a learning rate, and memory to spare."""
    found = Judgement(1, plan, control)
    _ended(found, control, plan)
    _values(found, control)
    _learning_rate(found, control, plan)
    _scheduler(found, control, plan)
    _memory(found, control, plan)
    _speed(found, control)
    done = steps_done(control)
    at = f" by {plan.world} processes" if plan.world > 1 else ""
    return found.step(f"{done} optimizer steps{at} in {control.seconds:.0f} s")


def steps_done(facts: StageFacts) -> int:
    """Optimizer steps as PyTorch counted them, else as they were logged.

    A program that broke off was counted for the last time before that.
    """
    logged, counted = series.logged_steps(facts), facts.optimizer_steps or 0
    last = max(logged) + (min(logged) == 0) if logged else 0
    ended_well = facts.exit is not None and facts.exit.code == 0
    return counted if counted and ended_well else max(counted, last)


def _ended(found: Judgement, control: StageFacts, plan: Plan) -> None:
    """A failure inside of validation or of a checkpoint is told by the step that looks at it."""
    done, how, span = steps_done(control), ending(control, plan.budget), failed_span(control)
    if not control.asked and control.ended_by is not None:
        how = None  # nobody told it where to end
    if how is not None and span is not None and done:
        found.warn(
            f"{done} of {plan.steps} optimizer steps: then it was in the phase {span.phase!r} and "
            f"{how}",
            "see the step that looks at it",
        )
    elif how is not None:
        place = "" if span is None else f" in the phase {span.phase!r}"
        found.fail(
            f"it {how}{place} after {done} of {plan.steps} optimizer steps",
            remedy(control, measures.TRAIN if span is None else span.phase),
            control.error,
        )
    elif not done:
        _without_steps(found, control, plan)
    elif done < plan.steps:
        add = found.fail if control.asked else found.warn
        add(
            f"{done} of {plan.steps} optimizer steps",
            "let the loop run to track.rehearsal().steps, counted in optimizer steps",
        )


def _without_steps(found: Judgement, control: StageFacts, plan: Plan) -> None:
    """A program of which nothing is read may train; one that is silent as well may hang."""
    action = "log the loss of each step: run.log({...}, step=step)"
    if control.ended_by is None:
        found.fail("no step was logged", action)
        return
    within = f"no step was logged within {plan.budget:.0f} s"
    silent = control.silent
    if control.asked or silent is None or silent > plan.budget / 2:
        quiet = "" if silent is None else f", and nothing written for the last {silent:.0f} s"
        found.fail(f"{within}{quiet}", f"{action}; or read the end of {control.log}")
    else:
        found.warn(f"{within}, so that whether it trains is not known; it does write", action)


def _values(found: Judgement, control: StageFacts) -> None:
    for name, points in sorted(control.values.items()):
        wrong = [step for step, value in sorted(points.items()) if not math.isfinite(value)]
        if not wrong:
            continue
        quote = series.quote(control, name, wrong[0])
        # A gradient scaler finds its scale by steps that overflow.
        overflow = "grad" in name.lower() and not any(math.isnan(points[step]) for step in wrong)
        add = found.warn if overflow or series.is_evaluation(name) else found.fail
        add(
            f"{quote.text}: not finite in {len(wrong)} of {len(points)} points",
            "lower the learning rate or the precision's risk (bf16, fp32), and look at that batch",
            quote,
        )


def _learning_rate(found: Judgement, control: StageFacts, plan: Plan) -> None:
    """A warm-up may begin at 0 and a schedule end there; in between nothing would be learned."""
    for name in series.learning_rates(control):
        steps = sorted(control.values[name])
        zero = [step for step in steps[1:] if control.values[name][step] == 0.0]
        zero = [step for step in zero if plan.planned_steps is None or step < plan.planned_steps]
        if zero:
            found.fail(
                f"the learning rate is exactly 0 at step {zero[0]:,} ({name})",
                "look at the scheduler's plan: warm-up, total steps, and in which steps it counts",
                series.quote(control, name, zero[0]),
            )


def _scheduler(found: Judgement, control: StageFacts, plan: Plan) -> None:
    stepped, taken = control.scheduler_steps, control.optimizer_steps
    if not stepped or not taken:
        return
    counts = f"{stepped} scheduler steps in {taken} optimizer steps"
    found.note(counts)
    ratio, accumulation = stepped / taken, plan.accumulation
    if accumulation > 1 and abs(ratio - accumulation) <= _CLOSE * accumulation:
        found.fail(
            f"the scheduler is stepped in micro-batches: {counts}, {ratio:.3g} a step at an "
            f"accumulation of {accumulation}",
            "step the scheduler once after each optimizer step, or its plan ends "
            f"{accumulation} times too early",
        )
    elif ratio > 1 + _CLOSE:
        found.warn(
            f"the scheduler is stepped {ratio:.3g} times for each optimizer step: {counts}",
            "if it counts micro-batches, step it once after each optimizer step",
        )
    logged = max(series.logged_steps(control), default=0)
    if accumulation > 1 and logged and abs(taken / logged - accumulation) <= _CLOSE * accumulation:
        found.warn(
            f"the optimizer is stepped in micro-batches: {taken} times in {logged} logged steps",
            "step it once after all micro-batches, or log optimizer steps",
        )


def _memory(found: Judgement, control: StageFacts, plan: Plan) -> None:
    for device in measures.devices(control):
        used = measures.peak(control, measures.TRAIN, device)
        total = measures.capacity(control, device, plan)
        if used is None or not total:
            continue
        line = f"{device}: {format_size(used)} of {format_size(total)} at the peak"
        found.note(line)
        if total - used < LEAST_HEADROOM * total:
            found.warn(
                f"{line}: headroom of {series.percent(max(0.0, (total - used) / total))}",
                "use a smaller micro-batch with more accumulation: a longer batch will not fit",
            )


def _speed(found: Judgement, control: StageFacts) -> None:
    between, waited = measures.speed(control), measures.data_share(control)
    if between is not None:
        low, high = between
        found.note(f"{low:.3g} to {high:.3g} steps a second, the first third left out")
    if waited is None:
        return
    line = f"{series.percent(waited)} of the time waits for data"
    if waited > _MOST_INPUT:
        found.warn(line, "use more workers, prefetching, or faster storage")
    else:
        found.note(line)
