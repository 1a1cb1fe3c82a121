"""Losses that are not finite, seen in the curves or only told by the log."""

import math
from collections.abc import Iterator, Sequence

from orchestrator.diagnose.case import Case
from orchestrator.diagnose.series import Measure, Series, all_series, last_at, newest
from orchestrator.domain.finding import Finding, Severity

_QUOTED = 4


def non_finite(case: Case) -> Iterator[Finding]:
    """NaN or infinity in a loss, a term of it, or, if it stays, in a gradient norm."""
    judged = (Measure.LOSS, Measure.TERM, Measure.GRADIENT_NORM)
    bad: dict[str, list[tuple[Series, list[int]]]] = {}
    for each in all_series(case):
        if each.name.measure not in judged or math.isfinite(sum(each.curve.values)):
            continue
        places = [at for at in newest(each.curve) if not math.isfinite(each.curve.values[at])]
        if places and not _finds_its_scale(each, places):
            bad.setdefault(each.name.member, []).append((each, places))
    for found in bad.values():
        yield _non_finite(case, sorted(found, key=lambda one: one[0].curve.steps[one[1][0]]))


def _finds_its_scale(each: Series, places: Sequence[int]) -> bool:
    """An infinite gradient norm now and then is how a loss scaler finds its scale."""
    if each.name.measure is not Measure.GRADIENT_NORM:
        return False
    return math.isfinite(each.curve.values[-1]) and len(places) <= max(3, len(each.curve) // 20)


def _non_finite(case: Case, found: Sequence[tuple[Series, list[int]]]) -> Finding:
    first, places = found[0]
    curve, at = first.curve, places[0]
    step = curve.steps[at]
    lasts = any(not math.isfinite(each.curve.values[-1]) for each, _ in found)
    others = [
        each
        for each in all_series(case)
        if each.name.member == first.name.member and each.name.series != first.name.series
    ]
    still = [
        each.curve.quote(place)
        for each in others
        for place in [last_at(each.curve, step)]
        if place is not None and math.isfinite(each.curve.values[place])
    ]
    before = [curve.quote(at - 1)] if at else []
    also = [each.curve.quote(bad[0]) for each, bad in found[1:_QUOTED]]
    word = str(curve.values[at]).replace("nan", "NaN")
    since = "" if lasts else ", and finite again since"
    return Finding(
        id="non-finite",
        severity=Severity.ERROR if lasts else Severity.WARN,
        subject=first.name.series,
        title=f"{first.name.series} is {word} at step {step:,}{since}",
        evidence=(*before, curve.quote(at), *also, *still[:_QUOTED]),
        arithmetic=f"{len(places):,} of {len(curve):,} points not finite; finite then: "
        + (", ".join(quote.text for quote in still[:_QUOTED]) or "nothing else that was logged"),
        meaning=(
            "The weights hold NaN from here on, and nothing behind this step is worth keeping."
            if lasts
            else "One batch or one term overflowed; the weights were not lost."
        ),
        action=(
            f"Roll back to the last checkpoint before step {step:,}; find the batch and the term "
            "(torch.autograd.set_detect_anomaly(True) over these steps), lower the learning rate "
            "or clip the gradient."
        ),
        retry=False,
    )


def hidden_nan(case: Case) -> Iterator[Finding]:
    """The log tells of NaN, clamping or skipped steps, and every loss looks finite."""
    losses = [each for each in all_series(case) if each.name.measure is Measure.LOSS]
    if any(not math.isfinite(sum(each.curve.values)) for each in losses):
        return
    finite = "the losses logged are finite" if losses else "no loss is logged"
    for kind, what in (
        ("nan", "speaks of NaN"),
        ("clamp", "tells of values that are clamped"),
        ("scaler_skip", "tells of optimizer steps that the loss scaler skipped"),
    ):
        hits = case.hits.get(kind)
        if hits is None or not hits.total or (kind == "scaler_skip" and _few(case, hits.total)):
            continue
        shown = hits.shown[:_QUOTED]
        yield Finding(
            id="hidden-nan",
            severity=Severity.WARN,
            subject=kind,
            title=f"The log {what} in {_lines(hits.total)}; {finite}",
            evidence=tuple(hit.quote for hit in shown),
            arithmetic=f"{_lines(hits.total)} of the log; {finite}",
            meaning="What is not finite is replaced or skipped before it is logged, so no curve "
            "shows it.",
            action="Log how often it happens as a metric; name the term and the batch; mend the "
            "overflow (bfloat16, an epsilon in log and division), not the value.",
        )


def _lines(count: int) -> str:
    return f"{count:,} line{'s' * (count != 1)}"


def _few(case: Case, total: int) -> bool:
    """A loss scaler skips some steps at the beginning, and one now and then."""
    return total <= max(10, case.thresholds.skips * (case.max_step or 0))
