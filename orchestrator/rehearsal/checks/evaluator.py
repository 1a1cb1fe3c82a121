"""Steps 3 and 7: the full evaluator on a subset, and again from the checkpoint file alone."""

import math

from orchestrator.domain.finding import Quote
from orchestrator.domain.rehearsal import Plan, RehearsalStep, StageFacts
from orchestrator.rehearsal import measures, series
from orchestrator.rehearsal.checks.causes import ending, remedy
from orchestrator.rehearsal.checks.steps import Findings, not_asked, skipped

_NO_EVALUATOR = "the spec has no [evaluate]"
_MOST_SHOWN = 3


def check_evaluator(evaluate: StageFacts | None, plan: Plan) -> RehearsalStep:
    """Whether [evaluate] works on what training left, and measures something."""
    if evaluate is None:
        return skipped(3, _NO_EVALUATOR, plan)
    how = ending(evaluate, plan.budget)
    if how is not None and evaluate.ended_by is not None and not evaluate.asked:
        return not_asked(3, plan)
    found = Findings(3, plan, evaluate)
    if how is not None:
        found.fail(f"the evaluator {how}", remedy(evaluate, measures.EVAL), evaluate.error)
    elif not evaluate.metrics:
        found.warn("the evaluator logged no metric", "log its results with run.log(...)")
    wrong = sorted(name for name, value in evaluate.metrics.items() if not math.isfinite(value))
    if wrong:
        values = ", ".join(f"{name} = {evaluate.metrics[name]}" for name in wrong[:_MOST_SHOWN])
        found.warn(f"not finite: {values}", "see what it divides by", _quote(evaluate, wrong[0]))
    found.note(_subset(evaluate))
    count = len(evaluate.metrics)
    return found.step(f"{count} metric{'s' * (count != 1)} in {evaluate.seconds:.0f} s")


def check_alone(evaluate: StageFacts | None, alone: StageFacts | None, plan: Plan) -> RehearsalStep:
    """Whether [evaluate] gives the same from a folder that holds a checkpoint and nothing else."""
    if evaluate is None or alone is None:
        because = _NO_EVALUATOR if evaluate is None else "it was not evaluated from the file alone"
        return skipped(7, because, plan)
    found = Findings(7, plan, alone)
    action = "let it read all that it needs from the checkpoint and the configuration"
    how = ending(alone, plan.budget)
    if how is not None:
        found.fail(
            f"the evaluator needs training state: with the checkpoint alone it {how}",
            action,
            alone.error,
        )
        return found.step("")
    compared = sorted(n for n in evaluate.metrics if not series.is_measured_by_clock(n))
    missing = [name for name in compared if name not in alone.metrics]
    gaps = [
        series.gap(name, None, alone.metrics[name], evaluate.metrics[name])
        for name in compared
        if name in alone.metrics
    ]
    worst = max(gaps, key=lambda each: each.apart, default=None)
    if missing:
        found.fail(
            "the evaluator needs training state: with the checkpoint alone it does not measure "
            f"{', '.join(missing[:_MOST_SHOWN])}",
            action,
            _quote(evaluate, missing[0]),
        )
    if worst is not None and worst.apart > plan.tolerance:
        found.fail(
            "the evaluator needs training state: with the checkpoint alone its metrics differ by "
            f"{series.percent(worst.apart)}, tolerance {series.percent(plan.tolerance)}: {worst}",
            action,
            _quote(alone, worst.name),
            _quote(evaluate, worst.name),
        )
    if not compared:
        found.warn("it works, but there is no metric to compare", "log the evaluator's results")
    apart = series.percent(worst.apart) if worst is not None else ""
    return found.step(f"{len(gaps)} metrics equal those of step 3, at most {apart} apart")


def _subset(evaluate: StageFacts) -> str:
    if evaluate.subset is None:
        return "all examples, as the evaluator does not ask track.rehearsal().subset"
    used, total = evaluate.subset
    return f"on {used:,} of {total:,} examples"


def _quote(stage: StageFacts, name: str) -> Quote:
    return Quote(source=stage.folder, text=f"{name} = {series.number(stage.metrics[name])}")
