"""Evaluations that stand still, are far from training, turn up again, or pool their votes."""

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from statistics import median
from typing import Any

from orchestrator.diagnose.case import Case, Curve
from orchestrator.diagnose.series import (
    Measure,
    Series,
    Side,
    all_series,
    eval_of,
    is_loss_progress,
    last_at,
    newest,
    of_measure,
    training_losses,
)
from orchestrator.domain.finding import Finding, Quote, Severity
from orchestrator.domain.series import origin_of

_JUDGED = (Measure.LOSS, Measure.TERM, Measure.PERPLEXITY, Measure.ACCURACY, Measure.EXACT)
_LOSSES = (Measure.LOSS, Measure.TERM, Measure.PERPLEXITY)
_SURE, _COARSE = 6.0, 4.0  # digits that agree: a coincidence is out of the question; is unlikely
_EXAMPLES = 20_000  # of an evaluation, below which a share comes again by chance
_NEAR = 20  # points of the training loss before an evaluation
_QUOTED = 4


def frozen(case: Case) -> Iterator[Finding]:
    """`frozen-evaluation`: every number the same to the last digit while steps advance."""
    groups: dict[tuple[str, str, str], list[Series]] = {}
    for each in all_series(case):
        name = each.name
        if name.side is Side.EVAL and name.measure in _JUDGED:
            groups.setdefault((origin_of(name.series), name.member, name.side_word), []).append(
                each
            )
    for group in groups.values():
        found = _frozen(case, group)
        if found is not None:
            yield found


def _frozen(case: Case, group: Sequence[Series]) -> Finding | None:
    runs = {each.name.series: _last_run(each.curve) for each in group}
    times = min(len(run) for run in runs.values())
    ever = all(len(runs[each.name.series]) == len(newest(each.curve)) for each in group)
    losses = [each for each in group if each.name.measure in _LOSSES]
    if times < 2 or any(_is_repeated(case, each) for each in group):
        return None
    digits = max(map(_digits, map(_value, losses or group)))
    if losses:
        sure = digits >= _SURE or (ever and times >= 3 and digits >= _COARSE)
    else:  # shares of few examples come again by chance
        sure = digits >= _SURE and times >= 3 and not all(_is_of_few(_value(e)) for e in group)
    if not sure:
        return None
    main = max(losses or group, key=lambda each: (each.name.measure is Measure.LOSS, _value(each)))
    curve, run = main.curve, runs[main.name.series]
    first, last = curve.steps[run[0]], curve.steps[run[-1]]
    word, also = main.name.side_word, [each for each in group if each is not main]
    return Finding(
        id="frozen-evaluation",
        severity=Severity.ERROR,
        subject=main.name.series,
        title=f"{main.name.series} is {_value(main):.10g} to the last digit at {times} "
        f"evaluations, steps {first:,} to {last:,}",
        evidence=(
            *(curve.quote(at) for at in run[-3:]),
            *(each.curve.quote(len(each.curve) - 1) for each in also[:_QUOTED]),
        ),
        arithmetic=f"{times} values, difference 0, over {last - first:,} steps; "
        f"all {len(group)} series of {word} stand still",
        meaning="The evaluation does not see the training: stale or copied weights, an average "
        "that hardly moves, a cached result, weights that are not updated, or one answer to "
        "everything.",
        action="Hash the weights that the evaluation uses before and after a step; check the EMA "
        "decay, the learning rate, and what evaluation loads or caches.",
        retry=False,
    )


def _value(each: Series) -> float:
    return each.curve.values[-1]


def _last_run(curve: Curve) -> list[int]:
    """Places of the newest points that have the last value, one a step."""
    places = newest(curve)
    value = curve.values[places[-1]]
    run: list[int] = []
    for at in reversed(places):
        if curve.values[at] != value:
            break
        if not run or curve.steps[at] != curve.steps[run[-1]]:
            run.append(at)
    return run[::-1]


def _digits(value: float) -> float:
    """How much a value says: its decimal digits, or those of its bits if they are fewer.

    A loss in bfloat16 has 8 bits, so that it repeats soon; one printed as 1.23 has 3 digits.
    """
    if not math.isfinite(value) or value == 0:
        return 0.0
    numerator, _ = math.frexp(value)[0].as_integer_ratio()
    mantissa = f"{value:.17g}" if float(f"{value:.15g}") != value else f"{value:.15g}"
    decimal = mantissa.partition("e")[0].replace(".", "").replace("-", "").strip("0")
    return min(float(len(decimal)), abs(numerator).bit_length() * math.log10(2))


def _is_of_few(share: float) -> bool:
    """Whether it may be the share of a few thousand examples."""
    nearest = float(Fraction(share).limit_denominator(_EXAMPLES))
    return abs(nearest - share) < 1e-12 or _digits(share) < 8


def _is_repeated(case: Case, each: Series) -> bool:
    """Whether a value is logged again and again until the next evaluation has another."""
    run, points = len(_last_run(each.curve)), len(newest(each.curve))
    changes = sum(a != b for a, b in pairwise(each.curve.values))
    if changes and points > 3 * (changes + 1) and run < points / 2:
        return True
    beside = [loss.curve for loss in training_losses(case) if loss.name.member == each.name.member]
    shown = {step for curve in beside for step in curve.steps}
    begin = each.curve.steps[0]
    own = set(each.curve.steps)
    between = {step for step in shown if begin <= step <= each.curve.steps[-1]}
    return len(own) > 3 and bool(between) and own >= between


def gap(case: Case) -> Iterator[Finding]:
    """`train-eval-gap`: the evaluation's loss is a multiple of training's from the beginning."""
    if not is_loss_progress(case):
        return
    for training in training_losses(case):
        for each in eval_of(case, training):
            found = _gap(case, training, each)
            if found is not None:
                yield found


def _gap(case: Case, training: Series, each: Series) -> Finding | None:
    if each.name.part != training.name.part or each.name.side_word == "ood":
        return None
    pairs = [
        (at, trained)
        for place in (0, -1)
        for at in [newest(each.curve)[place]]
        for trained in [_level(training.curve, each.curve.steps[at])]
        if trained is not None
    ]
    ratios = [_ratio(each.curve.values[at], trained) for at, trained in pairs]
    start = _level(training.curve, training.curve.steps[min(2, len(training.curve) - 1)])
    first = each.curve.values[newest(each.curve)[0]]
    if len(pairs) < 2 or start is None or first <= start or min(ratios) <= case.thresholds.gap:
        return None
    at, trained = pairs[-1]
    value, step = each.curve.values[at], each.curve.steps[at]
    beside = last_at(training.curve, step)
    return Finding(
        id="train-eval-gap",
        severity=Severity.WARN,
        subject=each.name.series,
        title=f"{each.name.series} is {ratios[-1]:.1f} times {training.name.series} from the "
        "first evaluation on",
        evidence=(
            each.curve.quote(pairs[0][0]),
            each.curve.quote(at),
            training.curve.quote(0 if beside is None else beside),
        ),
        arithmetic=f"{value:.4g} / {trained:.4g} = {ratios[-1]:.1f}, at the first evaluation "
        f"{ratios[0]:.1f}; limit {case.thresholds.gap:g}",
        meaning="So large a gap before anything could be learned by heart says that the two losses "
        "are not the same sum.",
        action="Before calling it overfitting: evaluate a training batch with the evaluator, and "
        "compare normalisation, reduction (mean or sum), top-k subset and terms.",
        retry=False,
    )


def _level(curve: Curve, step: int) -> float | None:
    """The training loss around a step: of the points before it, else of the first ones."""
    places = newest(curve)
    end = max(1, bisect_right(places, step, key=lambda at: curve.steps[at]))
    near = [curve.values[at] for at in places[max(0, end - _NEAR) : end]]
    finite = [value for value in near if math.isfinite(value)]
    return median(finite) if finite else None


def _ratio(above: float, below: float) -> float:
    return above / below if below > 0 and math.isfinite(above) else 0.0


def overfitting(case: Case) -> Iterator[Finding]:
    """The evaluation's loss has risen by half since its best, while training's still falls."""
    if not is_loss_progress(case):
        return
    for training in training_losses(case):
        for each in eval_of(case, training):
            places = [at for at in newest(each.curve) if math.isfinite(each.curve.values[at])]
            values = [each.curve.values[at] for at in places]
            if len(values) < 6 or min(values) <= 0:
                continue
            best = values.index(min(values))
            then = _level(training.curve, each.curve.steps[places[best]])
            now = _level(training.curve, each.curve.steps[places[-1]])
            rose = min(values[-3:]) > 1.5 * values[best] and len(values) - best > 4
            if rose and then is not None and now is not None and now < then:
                yield _overfitting(training, each, places[best], (then, now))


def _overfitting(
    training: Series, each: Series, best: int, trained: tuple[float, float]
) -> Finding:
    curve = each.curve
    low, now = curve.values[best], curve.values[-1]
    return Finding(
        id="overfitting",
        severity=Severity.INFO,
        subject=each.name.series,
        title=f"{each.name.series} was best at step {curve.steps[best]:,}: {low:.4g}",
        evidence=(
            curve.quote(best),
            curve.quote(len(curve) - 1),
            training.curve.quote(len(training.curve) - 1),
        ),
        arithmetic=f"{now:.4g} / {low:.4g} = {now / low:.2f}, while {training.name.series} went "
        f"{trained[0]:.4g} → {trained[1]:.4g}",
        meaning="Training learns its examples by heart.",
        action=f"Keep the checkpoint nearest to step {curve.steps[best]:,}; stop earlier, or add "
        "data, augmentation or weight decay.",
    )


_POOLING = frozenset({"aggregated_voting", "aggregate_votes", "pool_votes", "pooled_votes"})
_SEVERAL = frozenset({"eval_checkpoints", "vote_checkpoints", "evaluate_checkpoints"})


def pooled_votes(case: Case) -> Iterator[Finding]:
    """Votes of several checkpoints make one score: `pass@1 at step N` is that of an ensemble."""
    scores = [
        each
        for each in of_measure(case, Measure.EXACT, Side.EVAL)
        if "pooled" not in each.name.series
    ]
    hits = case.hits.get("votes")
    told = [hit.quote for hit in hits.shown[:_QUOTED]] if hits else []
    told += [
        Quote(source="run.json", text=f"{path} = {value}")
        for path, value in _flat(case.record.params)
        if _pools(path.rpartition(".")[2], value)
    ]
    if not told or (not hits and not scores):
        return
    shown = [each.curve.quote(len(each.curve) - 1) for each in scores[:_QUOTED]]
    subject = scores[0].name.series if scores else ""
    count = f"{len(newest(scores[0].curve))} evaluations" if scores else f"{len(told)} lines"
    yield Finding(
        id="pooled-votes",
        severity=Severity.WARN,
        subject=subject,
        title=f"{subject or 'pass@k'} counts votes of several checkpoints, not of one",
        evidence=(*told, *shown),
        arithmetic=f"{count}: the score at step N counts the votes of all checkpoints up to N",
        meaning="An ensemble: not what the weights of that step reach; it may grow without them.",
        action="Clear the votes before each evaluation; report the pooled score under a name of "
        "its own (pooled/pass@1).",
    )


def _pools(key: str, value: object) -> bool:
    if key in _SEVERAL:
        return isinstance(value, (list, tuple)) and len(value) > 1
    return key in _POOLING and value is True


def _flat(params: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in params.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value
