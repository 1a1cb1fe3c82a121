"""Step 2: validation right after training steps, with the optimizer's state resident."""

from orchestrator.clock import format_brief
from orchestrator.domain.rehearsal import Plan, RehearsalStep, StageFacts
from orchestrator.domain.sizes import format_size
from orchestrator.rehearsal import measures, series
from orchestrator.rehearsal.checks.causes import ending, failed_span, remedy
from orchestrator.rehearsal.checks.steps import Judgement, not_asked, skipped

_TOO_MUCH = 0.50  # of the time: more evaluation than training
_LEAST_MEASURED = 0.05  # of the time: scaling up alone may be wrong by the size of a batch
_MORE = 1.05  # times the memory of training
_HOST_NOISE = 64 * 1024**2  # bytes that libraries take on first use


def check_validation(control: StageFacts, plan: Plan) -> RehearsalStep:
    """Whether a validation within training works, fits into memory and leaves time to train."""
    if not control.asked:
        return not_asked(2, plan)
    found = Judgement(2, plan, control)
    broken, how = failed_span(control), ending(control, plan.budget)
    spans = measures.spans_of(control, measures.EVAL)
    if how is not None and broken is not None and broken.phase == measures.EVAL:
        after = "" if broken.after is None else f" after step {broken.after:,}"
        error = f": {broken.error}" if broken.error is not None else ""
        found.fail(
            f"validation{after} did not end well: the program {how}{error}",
            remedy(control, measures.EVAL),
            control.error,
        )
    elif not spans:
        return _none(control, plan)
    _memory(found, control, plan)
    _share(found, control, plan)
    seconds = sum(span.seconds or 0.0 for span in spans)
    return found.step(
        f"{len(spans)} validations after training steps, {format_brief(seconds)}", seconds
    )


def _none(control: StageFacts, plan: Plan) -> RehearsalStep:
    action = 'validate after every track.rehearsal().every steps, inside run.phase("eval")'
    if ending(control, plan.budget) is not None:
        return skipped(2, "training did not get that far", plan)
    if plan.eval_every is None:
        return skipped(2, "the program does not validate while it trains", plan, action)
    found = Judgement(2, plan, control)
    logged = sorted(name for name in control.values if series.is_evaluation(name))
    if logged:
        found.warn(
            f"{logged[0]} was logged outside of a phase: what validation takes is not known",
            'validate inside run.phase("eval")',
        )
        return found.step("", 0.0)
    found.fail(
        f"no validation came, though the run wants one every {plan.eval_every:,} steps", action
    )
    return found.step("", 0.0)


def _memory(found: Judgement, control: StageFacts, plan: Plan) -> None:
    for device in measures.devices(control):
        used = measures.peak(control, measures.EVAL, device)
        total = measures.capacity(control, device, plan)
        if used is None:
            continue
        of = f" of {format_size(total)}" if total else ""
        found.note(f"{device}: {format_size(used)}{of} at the peak of validation")
        if total and used > total:
            found.fail(
                f"validation needs {format_size(used)} of {device}, and there are "
                f"{format_size(total)}: {format_size(used - total)} too much",
                _smaller(device),
            )
        else:
            _against_training(found, control, device)


def _against_training(found: Judgement, control: StageFacts, device: str) -> None:
    """Compare what tensors took: the allocator keeps what training had reserved."""
    needed = _needed(control, measures.EVAL, device)
    trained = _needed(control, measures.TRAIN, device)
    if needed is None or trained is None:
        return
    noise = _HOST_NOISE if device == measures.HOST else 0
    if needed > trained * _MORE + noise:
        found.warn(
            f"validation needs more memory of {device} than training: {format_size(needed)} "
            f"against {format_size(trained)}, {format_size(needed - trained)} more",
            _smaller(device),
        )


def _smaller(device: str) -> str:
    """What makes an evaluation smaller and leaves training alone."""
    cache = "" if device == measures.HOST else ", and empty the cache before it"
    return f"halve the evaluation batch, evaluate under torch.no_grad(){cache}"


def _needed(control: StageFacts, phase: str, device: str) -> int | None:
    allocated = [
        each.allocated
        for each in control.memory
        if (each.phase, each.device) == (phase, device) and each.allocated is not None
    ]
    if device == measures.HOST or not allocated:
        return measures.peak(control, phase, device)
    return max(allocated)


def _share(found: Judgement, control: StageFacts, plan: Plan) -> None:
    cost, step = measures.evaluation(control), measures.step_seconds(control)
    if cost is None or step is None:
        return
    used, total = control.subset or (None, None)
    scaled = "" if used is None else f", scaled up from {used:,} of {total:,} examples"
    found.note(
        f"a whole validation takes {format_brief(cost.whole)}{scaled}; a step {format_brief(step)}"
    )
    proposed = measures.interval_for(cost.whole, step)
    if plan.eval_every is None:
        found.note(f"every {proposed:,} steps would keep it under 20% of the time")
        return
    share = cost.share(step, plan.eval_every)
    line = f"evaluation takes {share:.0%} of the time: {format_brief(cost.whole)} every "
    line += f"{plan.eval_every:,} steps of {format_brief(step)}{scaled}"
    if share <= measures.MOST_EVALUATION:
        found.note(line)
        return
    sure = cost.share(step, plan.eval_every, scaled=False) >= _LEAST_MEASURED
    action = f"evaluate every {proposed:,} steps{_subset(cost, step, plan, total)}"
    if not sure:
        action += "; a larger rehearse.examples makes this surer"
    (found.fail if share >= _TOO_MUCH and sure else found.warn)(line, action)


def _subset(cost: measures.Evaluation, step: float, plan: Plan, total: int | None) -> str:
    """A smaller evaluation that would fit the interval as it is; empty if nobody can tell."""
    if total is None or plan.eval_every is None or cost.whole <= 0:
        return ""
    allowed = measures.MOST_EVALUATION / (1 - measures.MOST_EVALUATION)
    fitting = int(total * allowed * plan.eval_every * step / cost.whole)
    return f", or on {fitting:,} of the {total:,} examples" if 0 < fitting < total else ""
