"""Learning rates and gradient norms that are exactly zero: nothing is learned then."""

import math
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from orchestrator.diagnose.case import Case, Curve
from orchestrator.diagnose.series import (
    Series,
    gradient_norms,
    learning_rates,
    newest,
    training_losses,
)
from orchestrator.domain.finding import Finding, Quote, Severity
from orchestrator.domain.series import PRINTED, origin_of

# With an exponent every number has its digits: 7.96e-6 prints as 7.96e-06, and only 0 as 0.00e+00.
_EXACT_ZERO = re.compile(r"(?<![\d.])0(?:\.0+)?e[+-]?0+(?!\d)", re.IGNORECASE)
_FEW, _SPAN = 3, 100  # points; steps within which accumulation may hold the first value
_QUOTED = 3


def rate_zero(case: Case) -> Iterator[Finding]:
    """`lr-zero`: the learning rate is 0 where the plan has steps left."""
    rates, printed = learning_rates(case), _printed_zeros(case)
    groups: dict[str, list[Series]] = {}
    for each in rates:
        groups.setdefault(each.name.member, []).append(each)
    for group in groups.values():  # of parameters: one may be frozen on purpose
        places = [_zeros(case, each, printed) for each in group]
        if all(places):
            yield _rate_zero(group[0].name.series, group[0].curve, places[0], printed)
    if not rates and len(printed) >= _FEW:
        yield _finding(
            "lr",
            title=f"The log prints a learning rate of exactly 0 in {len(printed):,} lines",
            evidence=printed[:_QUOTED],
            arithmetic=f"{len(printed):,} lines; 7.96e-6 would print as 7.96e-06",
        )


def _printed_zeros(case: Case) -> tuple[Quote, ...]:
    """Log lines that prove a zero: with an exponent nothing is rounded away."""
    hits = case.hits.get("lr_zero")
    return tuple(h.quote for h in hits.shown if _EXACT_ZERO.search(h.text)) if hits else ()


def _zeros(case: Case, each: Series, printed: Sequence[Quote]) -> list[int]:
    """Places of zeros that no schedule explains; empty if there is no case."""
    curve = each.curve
    if origin_of(each.name.series) == PRINTED and not printed:
        return []
    places = newest(curve)
    zero = [at for at in places if curve.values[at] == 0]
    if len(zero) < 2:
        return []
    planned, warmup = case.record.planned_steps, case.thresholds.warmup
    if planned is not None:
        low, high = (
            max(min(warmup * planned, _SPAN), curve.steps[places[0]]),
            (1 - warmup) * planned,
        )
        inside = [at for at in zero if low < curve.steps[at] < high]
        return inside if _in_a_row(places, inside) else []
    if len(zero) == len(places):
        steps = curve.steps
        long = steps[zero[-1]] - steps[zero[0]] > _SPAN
        return zero if len(zero) >= _FEW and long else []
    tail = _tail(places, curve)
    return tail if len(tail) >= max(_FEW, warmup * len(places)) else []


def _in_a_row(places: Sequence[int], zero: Sequence[int]) -> bool:
    """Whether two of them follow each other; a cycle may touch zero for one point."""
    at = {place: n for n, place in enumerate(places)}
    return any(at[b] - at[a] == 1 for a, b in pairwise(zero))


def _tail(places: Sequence[int], curve: Curve) -> list[int]:
    tail: list[int] = []
    for at in reversed(places):
        if curve.values[at] != 0:
            break
        tail.append(at)
    return tail[::-1]


def _rate_zero(name: str, curve: Curve, places: Sequence[int], printed: Sequence[Quote]) -> Finding:
    first, last = curve.steps[places[0]], curve.steps[places[-1]]
    proof = printed[:_QUOTED] if origin_of(name) == PRINTED else ()
    positive = [value for value in curve.values if math.isfinite(value) and value > 0]
    return _finding(
        name,
        title=f"{name} is exactly 0 from step {first:,} to step {last:,}",
        evidence=(curve.quote(places[0]), curve.quote(places[-1]), *proof),
        arithmetic=f"{len(places):,} of {len(curve):,} points are 0"
        + (f"; the largest is {max(positive):.3g}" if positive else ", no other value was logged")
        + ("; 7.96e-6 would print as 7.96e-06" if proof else ""),
    )


def _finding(subject: str, *, title: str, evidence: tuple[Quote, ...], arithmetic: str) -> Finding:
    return Finding(
        id="lr-zero",
        severity=Severity.ERROR,
        subject=subject,
        title=title,
        evidence=evidence,
        arithmetic=arithmetic,
        meaning="The weights do not move, or the variable that is logged is not the optimizer's.",
        action="Log optimizer.param_groups[0]['lr'] itself. If that is 0: size the schedule in "
        "optimizer steps, and call scheduler.step() after optimizer.step(), once for each.",
        retry=False,
    )


def gradient_zero(case: Case) -> Iterator[Finding]:
    """`gradient-zero`: the norm of the whole gradient is exactly 0, and still is."""
    losses = {each.name.member: each.curve for each in training_losses(case)}
    for each in gradient_norms(case):
        curve = each.curve
        zero = _tail(newest(curve), curve)
        loss = losses.get(each.name.member)
        rounded = origin_of(each.name.series) == PRINTED
        if rounded or len(zero) < _FEW or (loss is not None and abs(loss.values[-1]) < 1e-6):
            continue
        beside = () if loss is None else (loss.quote(len(loss) - 1),)
        yield Finding(
            id="gradient-zero",
            severity=Severity.ERROR,
            subject=each.name.series,
            title=f"{each.name.series} is exactly 0 since step {curve.steps[zero[0]]:,}",
            evidence=(curve.quote(zero[0]), curve.quote(zero[-1]), *beside),
            arithmetic=f"the last {len(zero):,} of {len(curve):,} points are 0",
            meaning="Nothing reaches the weights, though the loss is not zero.",
            action="Look for detach(), no_grad(), dead activations or a norm taken after "
            "zero_grad(); print the norm of each parameter's gradient after backward().",
            retry=False,
        )
