"""Training losses that jump or diverge."""

import math
from collections.abc import Iterator, Sequence
from statistics import median

from orchestrator.diagnose.case import Case
from orchestrator.diagnose.series import (
    Series,
    gradient_norms,
    is_loss_progress,
    last_at,
    newest,
    training_losses,
)
from orchestrator.diagnose.trend import Excursion, block_medians, drift_of, excursions, noise_of
from orchestrator.domain.finding import Finding, Severity

_START, _BLOCK, _FEW = 20, 20, 60  # points: of the start, of a level, to judge a course
_BRIEF = 20  # points within which a jump is over; a harder task takes longer to learn


def jumps(case: Case) -> Iterator[Finding]:
    """Spikes of a training loss that are over, and losses that diverged."""
    if not is_loss_progress(case):
        return
    for each in training_losses(case):
        curve = each.curve
        places = [at for at in newest(curve) if math.isfinite(curve.values[at])]
        values = [curve.values[at] for at in places]
        if len(values) < _FEW:
            continue
        start = median(values[:_START])
        tall = [
            one
            for one in excursions(values, case.thresholds.spike)
            if _is_loss_of_progress(values[one.top], one.level, start)
        ]
        lasting = next((one for one in tall if one.end is None), None)
        if lasting is not None and _stays(values[lasting.begin :], lasting.level, start):
            yield _divergence(each, places, lasting.begin, lasting.level)
            continue
        if lasting is None and (began := _gone_up(values, start)) is not None:
            yield _divergence(each, places, began, min(block_medians(values, _BLOCK)))
            continue
        over = [one for one in tall if one.end is not None and one.end - one.begin <= _BRIEF]
        if over:
            yield _spike(case, each, places, over)


def _is_loss_of_progress(value: float, level: float, start: float) -> bool:
    """Whether half of what was learned is gone."""
    return value - level > max(0.5 * (start - level), 0.05 * abs(level))


def _stays(behind: Sequence[float], level: float, start: float) -> bool:
    """Whether a loss that has jumped does not come down: a harder task is learned, in time."""
    if len(behind) < _START:
        return False
    drift = drift_of(behind)
    falls = drift.change < -drift.noise and drift.change < -0.02 * (drift.first - level)
    return not falls and _is_loss_of_progress(drift.last, level, start)


def _gone_up(values: Sequence[float], start: float) -> int | None:
    """Where a loss turned that has lost twice what it had gained, or stands ten times above."""
    blocks = block_medians(values, _BLOCK)
    best, last = min(blocks), blocks[-1]
    gained, noise = start - best, noise_of(values[:_START])
    turned = blocks.index(best) * _BLOCK
    if gained > max(8 * noise / _BLOCK**0.5, 0.1 * abs(start)) and last > start + gained:
        return turned
    return turned if min(values) > 0 and last > 10 * max(values[:_START]) else None


def _divergence(each: Series, places: Sequence[int], began: int, level: float) -> Finding:
    curve, name = each.curve, each.name.series
    turned, last = places[began], places[-1]
    now = median([curve.values[at] for at in places[-_START:]])
    return Finding(
        id="divergence",
        severity=Severity.ERROR,
        subject=name,
        title=f"{name} diverged at step {curve.steps[turned]:,}: {level:.4g} before, {now:.4g} now",
        evidence=(curve.quote(max(0, turned - 1)), curve.quote(turned), curve.quote(last)),
        arithmetic=f"median of the last {_START} points {now:.4g} against {level:.4g} before: "
        f"{now - level:+.4g}",
        meaning="The loss left its course and does not come back; further steps are lost.",
        action=f"Roll back to the last checkpoint before step {curve.steps[turned]:,}, lower the "
        "learning rate or clip the gradient, and skip the data of these steps.",
        retry=False,
    )


def _spike(case: Case, each: Series, places: Sequence[int], over: Sequence[Excursion]) -> Finding:
    curve, name = each.curve, each.name.series
    worst = max(over, key=lambda one: curve.values[places[one.top]] - one.level)
    top = places[worst.top]
    value, step = curve.values[top], curve.steps[top]
    again = places[worst.end] if worst.end is not None else top
    beside = [
        norm.curve.quote(at)
        for norm in gradient_norms(case)
        if norm.name.member == each.name.member and (at := last_at(norm.curve, step)) is not None
    ]
    sigmas = f" = {(value - worst.level) / worst.noise:.0f} sigma" if worst.noise else ""
    return Finding(
        id="loss-spike",
        severity=Severity.INFO,
        subject=name,
        title=f"{name} jumped to {value:.4g} at step {step:,} and came back; spikes: {len(over)}",
        evidence=(
            curve.quote(places[worst.begin - 1]),
            curve.quote(top),
            curve.quote(again),
            *beside[:1],
        ),
        arithmetic=f"{value:.4g} - median {worst.level:.4g} of the points before"
        f" = {value - worst.level:.4g}{sigmas}",
        meaning="A bad batch or a step too large; it has recovered.",
        action="Nothing now. If they come again: clip the gradient, lower the learning rate, look "
        f"at the batches around step {step:,}.",
    )
