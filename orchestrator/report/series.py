"""From points to the few numbers of a report: first, latest, best, targets, pace, thinning."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence

from orchestrator.domain.criterion import Clause, Criterion, Subject
from orchestrator.domain.run import MetricSpec
from orchestrator.domain.series import plain_name
from orchestrator.report.facts import History, MetricFacts, Sample, Target

_LOWER_IS_BETTER = re.compile(
    r"(?:^|[/_.\-])(?:loss|perplexity|ppl|nll|error|err|fid|wer|cer|mae|mse|rmse|latency|bpb)$",
    re.IGNORECASE,
)
_HIGHER_IS_BETTER = re.compile(
    r"(?:^|[/_.\-])(?:\w*acc(?:uracy)?|pass@\d+|f1|auc|auroc|recall|precision|bleu|reward|exact|"
    r"\w*_match|iou|map|score)$",
    re.IGNORECASE,
)
_BETWEEN_WORDS = re.compile(r"[\s_-]+")
_EVALUATION_SHARE = 0.2


def metric_facts(
    name: str,
    history: Sequence[tuple[int, float]],
    spec: MetricSpec | None = None,
    criteria: Iterable[Criterion] = (),
    evaluation: bool | None = None,
) -> MetricFacts:
    """Sum up a metric from its full history in order of writing: (step, value) pairs.

    `evaluation` says that it is measured now and then; by default its name decides.
    """
    known = spec or MetricSpec()
    finite = [point for point in history if math.isfinite(point[1])]
    return MetricFacts(
        name=name,
        spec=known,
        history=tuple(history),
        first=_sample(history[0]) if history else None,
        latest=_sample(history[-1]) if history else None,
        best=_best(finite, higher_is_better(name, known)),
        targets=targets_of(name, {name: known}, criteria),
        points=len(history),
        non_finite=len(history) - len(finite),
        evaluation=_looks_like_evaluation(name) if evaluation is None else evaluation,
    )


def _sample(point: tuple[int, float]) -> Sample:
    return Sample(step=point[0], value=point[1])


def higher_is_better(name: str, spec: MetricSpec) -> bool | None:
    """Which way is good: as declared, else by the known names, else None."""
    goal = (spec.goal or "").lower()
    if goal.startswith(("max", "high", "up", "inc")):
        return True
    if goal.startswith(("min", "low", "down", "dec")):
        return False
    if _LOWER_IS_BETTER.search(name):
        return False
    return True if _HIGHER_IS_BETTER.search(name) else None


def _best(finite: Sequence[tuple[int, float]], higher: bool | None) -> Sample | None:
    if not finite or higher is None:
        return None
    pick = max if higher else min
    return _sample(pick(finite, key=lambda point: point[1]))  # the earliest of equals


def _looks_like_evaluation(name: str) -> bool:
    head = name.split("/", maxsplit=1)[0].lower()
    return head.startswith(("eval", "val", "test", "valid"))


def targets_of(
    name: str, metrics: Mapping[str, MetricSpec], criteria: Iterable[Criterion]
) -> tuple[Target, ...]:
    """What the criteria ask of this series, each demand once, in their order.

    A word that the spec declares in `metrics` means its series and no other that ends like it.
    """
    spec = spec_of(metrics, name) or MetricSpec()
    found = (
        _target(clause, spec)
        for criterion in criteria
        if criterion.reading.is_goal
        for clause in criterion.reading.clauses
        if clause.baseline is None
        and clause.subject is Subject.METRIC
        and clause.metric is not None
        and _means(_spoken(clause.metric), name, metrics)
    )
    return tuple(dict.fromkeys(target for target in found if target is not None))


def spec_of(metrics: Mapping[str, MetricSpec], series: str) -> MetricSpec | None:
    """What the spec declares of a series: by its name, its key or an alias."""
    names = {series, plain_name(series)}
    known = ((spec.key or name, spec) for name, spec in metrics.items())
    return next((spec for name, spec in known if names & {name, *spec.aliases}), None)


def _means(said: str, series: str, metrics: Mapping[str, MetricSpec]) -> bool:
    for word, spec in metrics.items():
        if said in {_spoken(known) for known in (word, *spec.aliases)}:
            return bool({series, plain_name(series)} & {spec.key or word, *spec.aliases})
    spoken = _spoken(series)
    return said == spoken or spoken.endswith(f"/{said}")


def _spoken(name: str) -> str:
    """`Test accuracy` and `test_accuracy` are one name."""
    return _BETWEEN_WORDS.sub(" ", name.casefold())


def _target(clause: Clause, spec: MetricSpec) -> Target | None:
    if clause.value is None or clause.op in {"exists", "absent"}:
        return None
    percent = clause.unit == "%"
    factor = spec.scale if percent else 1.0
    shown = [_plain(bound * 100 if percent else bound) for bound in _bounds(clause)]
    unit = "%" if percent else f" {clause.unit}" if clause.unit else ""
    label = f"{clause.op} {shown[0]}{unit}"
    if clause.value2 is not None:
        label = f"{shown[0]}-{shown[1]}{unit}"
    if clause.aggregate not in {None, "latest"}:
        label = f"{label} ({clause.aggregate})"
    return Target(
        op=clause.op,
        value=clause.value * factor,
        value2=None if clause.value2 is None else clause.value2 * factor,
        label=label,
        percent=percent,
    )


def _bounds(clause: Clause) -> list[float]:
    return [bound for bound in (clause.value, clause.value2) if bound is not None]


def _plain(value: float) -> str:
    return f"{value:.6g}"


def thin_out(history: Sequence[tuple[int, float]], limit: int = 400) -> History:
    """At most `limit` finite points that keep every bucket's lowest and highest value.

    A NaN in the result is a gap: where a value was not finite, or where steps went back.
    """
    pieces = with_gaps(history)
    if len(pieces) <= limit:
        return tuple(pieces)
    return tuple(_buckets(pieces, math.ceil(len(pieces) / max(1, limit // 2))))


def with_gaps(history: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """The points with NaN where a value was not finite and where steps went back."""
    pieces: list[tuple[int, float]] = []
    previous = None
    for step, value in history:
        if previous is not None and step < previous:
            pieces.append((step, math.nan))
        pieces.append((step, value if math.isfinite(value) else math.nan))
        previous = step
    return pieces


def _buckets(pieces: Sequence[tuple[int, float]], size: int) -> Iterable[tuple[int, float]]:
    for at in range(0, len(pieces), size):
        bucket = list(enumerate(pieces[at : at + size]))
        finite = [entry for entry in bucket if not math.isnan(entry[1][1])]
        gaps = [entry for entry in bucket if math.isnan(entry[1][1])]
        keep = gaps[:1]
        if finite:
            lowest = min(finite, key=lambda entry: entry[1][1])
            highest = max(finite, key=lambda entry: entry[1][1])
            keep += [lowest] if lowest == highest else [lowest, highest]
        yield from (piece for _, piece in sorted(keep, key=lambda entry: entry[0]))
