"""Scores that a constant predictor reaches, and classes that are never predicted."""

import math
from collections.abc import Iterator, Sequence

from orchestrator.diagnose.case import Case, Curve
from orchestrator.diagnose.series import (
    Measure,
    Series,
    Side,
    all_series,
    class_counts,
    newest,
    of_measure,
    recalls,
)
from orchestrator.domain.finding import Finding, Quote, Severity

_ALWAYS = 0.9  # recall of the class that is predicted for everything
_CLASSES = 3  # from so many on a share of them says something
_QUOTED = 6


def collapse(case: Case) -> Iterator[Finding]:
    """Accuracy at or below the constant predictor's, or recall of most classes near zero."""
    told: set[tuple[str, str]] = set()
    for each in of_measure(case, Measure.ACCURACY, Side.EVAL):
        found = _below_constant(case, each)
        if found is not None:
            told.add((each.name.member, each.name.side_word))
            yield found
    groups: dict[tuple[str, str], list[Series]] = {}
    for each in recalls(case):
        groups.setdefault((each.name.member, each.name.side_word), []).append(each)
    for place, group in groups.items():
        if place not in told and (missed := _missed(case, group)):
            yield _one_class(group, missed)


def _below_constant(case: Case, each: Series) -> Finding | None:
    value = _last(each.curve)
    constant = _constant(case, each)
    if value is None or constant is None or not _is_judged(case, each.curve):
        return None
    chance, words, quotes = constant
    scale = _scale(each, value)
    lead = value / scale - chance
    if lead > case.thresholds.chance:
        return None
    group = [other for other in recalls(case) if _same(each, other)]
    missed = _missed(case, group)
    never = f"; recall near 0 in {len(missed)} of {len(group)} classes" if missed else ""
    word = "below" if lead < 0 else "no better than"
    sure = bool(missed) or case.ended  # while it runs it may still learn
    return Finding(
        id="collapse",
        severity=Severity.ERROR if sure else Severity.WARN,
        subject=each.name.series,
        title=f"{each.name.series} {value / scale:.2%} is {word} the {chance:.2%} of a constant "
        "predictor",
        evidence=(
            each.curve.quote(len(each.curve) - 1),
            *quotes,
            *(other.curve.quote(len(other.curve) - 1) for other in missed[:_QUOTED]),
        ),
        arithmetic=f"{value / scale:.2%} - {words} = {100 * lead:+.2f} points{never}",
        meaning="The model may predict the majority class for everything; the score says nothing.",
        action="Show accuracy beside this baseline, and take exact match or balanced accuracy as "
        "the score; weight the classes or use a focal loss; mask the padding.",
        retry=False,
    )


def _constant(case: Case, each: Series) -> tuple[float, str, tuple[Quote, ...]] | None:
    """What a constant predictor reaches as a share of 1, how that comes about, evidence."""
    declared = each.spec.chance if each.spec else None
    if isinstance(declared, str):
        curve = case.curves.get(declared)
        return _logged(each, curve) if curve is not None and len(curve) else None
    if declared is not None:
        scale = each.spec.scale if each.spec else 1.0
        share = declared / (100 if scale == 1 and declared > 1 else scale)
        text = f"chance of {each.name.series} = {declared:g}"
        return share, f"declared {share:.2%}", (Quote(source="run.json", text=text),)
    counts = [other for other in class_counts(case) if _same(each, other)]
    if len(counts) > 1:
        return _majority(counts)
    beside = (other for other in all_series(case) if other.name.measure is Measure.CHANCE)
    chance = next((other for other in beside if _same(each, other)), None)
    return None if chance is None else _logged(each, chance.curve)


def _logged(each: Series, curve: Curve) -> tuple[float, str, tuple[Quote, ...]] | None:
    value = _last(curve)
    if value is None:
        return None
    share = value / _scale(each, value)
    return share, f"{curve.name} {share:.2%}", (curve.quote(len(curve) - 1),)


def _majority(counts: Sequence[Series]) -> tuple[float, str, tuple[Quote, ...]] | None:
    numbers = [_last(each.curve) or 0.0 for each in counts]
    total, most = sum(numbers), max(numbers)
    if not total > 0:
        return None
    largest = counts[numbers.index(most)].curve
    share = most / total
    return share, f"{most:,.0f}/{total:,.0f} = {share:.2%}", (largest.quote(len(largest) - 1),)


def _scale(each: Series, value: float) -> float:
    """What counts as 1: declared, or 100 for a value that can only be percent."""
    if each.spec is not None and each.spec.scale != 1:
        return each.spec.scale
    return 100.0 if value > 1 else 1.0


def _same(each: Series, other: Series) -> bool:
    """Whether two series come from the same evaluation of the same member."""
    mine, theirs = each.name, other.name
    return (mine.member, mine.side_word, mine.group) == (
        theirs.member,
        theirs.side_word,
        theirs.group,
    )


def _is_judged(case: Case, curve: Curve) -> bool:
    """An evaluation at the very beginning is of a model that has not learned yet."""
    step = curve.steps[newest(curve)[-1]]
    planned = case.record.planned_steps
    if planned is None or case.ended:
        return step > 0
    return step >= case.thresholds.warmup * planned


def _missed(case: Case, group: Sequence[Series]) -> list[Series]:
    """Classes that are never predicted, if they are most, and another takes it all."""
    values = [value for each in group if (value := _last(each.curve)) is not None]
    if len(values) < _CLASSES or not _is_judged(case, group[0].curve):
        return []
    scales = {_scale(each, max(values)) for each in group}
    limit, top = (share * max(scales) for share in (case.thresholds.recall, _ALWAYS))
    missed = [each for each in group if (_last(each.curve) or 0.0) < limit]
    return missed if len(missed) > len(group) / 2 and max(values) >= top else []


def _one_class(group: Sequence[Series], missed: Sequence[Series]) -> Finding:
    best = max(group, key=lambda each: _last(each.curve) or 0.0)
    where = missed[0].name.side_word or "evaluation"
    return Finding(
        id="collapse",
        severity=Severity.ERROR,
        subject="/".join(filter(None, (best.name.member, where, "recall"))),
        title=f"{len(missed)} of {len(group)} classes are never predicted, class "
        f"{best.name.part} for nearly everything",
        evidence=(
            best.curve.quote(len(best.curve) - 1),
            *(each.curve.quote(len(each.curve) - 1) for each in missed[:_QUOTED]),
        ),
        arithmetic=f"recall of class {best.name.part} {_last(best.curve) or 0:.4g}; of "
        f"{len(missed)} others at most {max(_last(each.curve) or 0 for each in missed):.4g}",
        meaning="The model predicts one class for everything; accuracy only counts how frequent "
        "that class is.",
        action="Weight the classes or use a focal loss; take exact match or balanced accuracy as "
        "the score; mask the padding.",
        retry=False,
    )


def _last(curve: Curve) -> float | None:
    value = curve.values[newest(curve)[-1]]
    return value if math.isfinite(value) else None
