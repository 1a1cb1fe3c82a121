"""What a live run comes to next."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median

from orchestrator import report
from orchestrator.diagnose.series import Side, parse
from orchestrator.domain.facts import Checkpoint
from orchestrator.domain.hardware import is_sampled
from orchestrator.domain.progress import pace
from orchestrator.domain.run import RunStatus
from orchestrator.domain.series import surest
from orchestrator.domain.settings import count_of
from orchestrator.watch.reporting.metrics import densest, pace_points
from orchestrator.watch.reporting.subject import Subject

_BY = re.compile(r"(?:by|at|steps \d+\.\.) ?(?:step )?(\d+)")
_LAST = 6  # checkpoints and evaluations whose distances are looked at


def milestone_of(
    subject: Subject, checkpoints: Sequence[Checkpoint], reached: int | None
) -> report.Milestone | None:
    """The nearest step ahead at which something is due; None of an ended run, or if none is known.

    Checkpoints and evaluations are expected at the distance they have had so far.
    """
    if reached is None or subject.state.status is RunStatus.ENDED:
        return None
    ahead = [(step, what) for what, step in _due(subject, checkpoints) if step > reached]
    if not ahead:
        return None
    step, what = min(ahead, key=lambda each: each[0])  # the first of equals
    dense = densest(subject)
    eta = pace(pace_points(subject, dense), step).eta if dense is not None else None
    return report.Milestone(what=what, step=step, eta=eta)


def _due(subject: Subject, checkpoints: Sequence[Checkpoint]) -> Iterator[tuple[str, int]]:
    """What comes at which step, the most telling first."""
    for criterion in subject.record.criteria:
        for clause in criterion.reading.clauses:
            found = _BY.fullmatch(clause.anchor or "")
            if found is not None:
                yield f"criterion decided: “{' '.join(criterion.text.split())}”", int(found[1])
    settings = subject.settings
    for what, steps, meaning in (
        ("next evaluation", _evaluated(subject), "eval_every"),
        ("next checkpoint", [each.step for each in checkpoints], "checkpoint_every"),
    ):
        due = _next(steps, count_of(settings, meaning))
        if due is not None:
            yield what, due
    if subject.record.planned_steps is not None:
        yield "planned end", subject.record.planned_steps


def _next(steps: Sequence[int], configured: int | None) -> int | None:
    """One distance behind the last; the configured one while too few tell it."""
    known = sorted(set(steps))[-_LAST:]
    if not known:
        return configured
    distance = median(b - a for a, b in pairwise(known)) if len(known) > 1 else configured
    return None if distance is None else known[-1] + round(distance)


def _evaluated(subject: Subject) -> list[int]:
    """The newest steps at which held-out examples were measured."""
    names = surest(n for n in subject.reader.series(subject.record.id) if not is_sampled(n))
    series = [name for name in names if parse(name).side is Side.EVAL]
    steps: set[int] = set()
    for name in series[:_LAST]:
        found = subject.reader.curve(subject.record.id, name, newest=_LAST, older=0)
        steps.update(found.steps[-_LAST:])
    return sorted(steps)
